"""How traces are held back, as a configuration says; another one may say something else while some are held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from collector.pipeline.batching import BatchLimits
from collector.processors.base import ProcessorTelemetry
from config.tail_sampling import Policy, TailSamplingProcessor

_LEAST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
"""Between two decisions lies as much time as between two batches, within these bounds."""
_KEEP_ALL: Final = TailSamplingProcessor(policies=(Policy(name="always_sample", type="always_sample"),), num_traces=1)
"""By which what is held is let on where nothing samples any more."""


@dataclass(frozen=True, slots=True)
class HoldingSettings:
    """How traces are held back.

    Attributes:
        name: id of the processor, under which what it drops is counted.
        sampling: its settings; None where nothing is to be held back, so that what is held is let on.
        limits: how large batches become.
        telemetry: where to count.
    """

    name: str
    sampling: TailSamplingProcessor | None
    limits: BatchLimits
    telemetry: ProcessorTelemetry

    def sampler(self) -> TailSamplingProcessor:
        """How what is held is decided."""
        return self.sampling or _KEEP_ALL

    @property
    def pause_s(self) -> float:
        """Seconds between two decisions."""
        return min(max(self.limits.timeout_s, _LEAST_PAUSE_S), _LONGEST_PAUSE_S)
