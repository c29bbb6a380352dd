"""Which share of the spans is kept: the processor `probabilistic_sampler`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from config.section import Section
from config.values import refuse_booleans

_LOGS_ONLY = "it is about logs; for spans the trace id decides, and the attribute sampling.priority"

_LEAST_OF_A_HASH = 100 / 16384
"""The smallest percentage that is not rounded down to none."""


class ProbabilisticSampler(Section):
    """Keeps a share of the spans, all of a trace or none: the trace id decides, with the span's trace state."""

    mode: Literal["hash_seed", "proportional", "equalizing"] = "hash_seed"
    """How a span's randomness and the threshold are found. `hash_seed` hashes the trace id; `equalizing` brings every span
    to `sampling_percentage` of what there was before any sampling; `proportional` keeps `sampling_percentage` of what
    comes. Behind anything that samples already, use one of the latter two: `hash_seed` takes what was sampled for an error."""
    sampling_percentage: Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(refuse_booleans)] = 0
    """Keep so many spans of a hundred; 100 and more keep all, 0 none."""
    hash_seed: Annotated[int, Field(ge=0, le=2**32 - 1), BeforeValidator(refuse_booleans)] = 0
    """Collectors that share work must have the same; used in mode `hash_seed` only."""
    fail_closed: bool = True
    """Drop spans whose trace state is broken or contradicts itself; `false` keeps them."""
    sampling_precision: Annotated[int, Field(ge=1, le=14), BeforeValidator(refuse_booleans)] = 4
    """Hexadecimal digits of the threshold that is written to the trace state."""
    attribute_source: Literal["traceID"] = "traceID"
    """What is random about a span. The Collector's `record` is for logs."""

    @field_validator("sampling_percentage")
    @classmethod
    def _enough_for_a_hash(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("mode") == "hash_seed" and 0 < value < _LEAST_OF_A_HASH:
            raise ValueError(
                f"must be 0 or at least {_LEAST_OF_A_HASH:.4f} with mode: hash_seed, which tells 16384 shares apart;"
                " mode: equalizing keeps smaller ones"
            )
        return value

    reference_only: ClassVar[Mapping[str, str]] = {"from_attribute": _LOGS_ONLY, "sampling_priority": _LOGS_ONLY}
