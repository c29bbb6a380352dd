"""The functions of PromQL that are served: what each takes, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from collector.query.promql.element_wise import DATES, ELEMENT_WISE
from collector.query.promql.expressions import Type
from collector.query.promql.windows import WINDOWS


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes.

    Attributes:
        arguments: types, in their order.
        optional: how many of the last may be left out.
        repeats: whether the last may come several times.
    """

    arguments: tuple[Type, ...]
    result: Type = "vector"
    optional: int = 0
    repeats: bool = False

    def types(self, count: int) -> tuple[Type, ...]:
        """Of so many arguments.

        Raises:
            ValueError: they are too few or too many; says how many are expected.
        """
        most = len(self.arguments)
        least = most - self.optional
        if count < least or (count > most and not self.repeats):
            many = f"at least {least}" if self.repeats else f"{least} to {most}" if self.optional else str(most)
            raise ValueError(f"expected {many} argument(s)")
        return (*self.arguments, *self.arguments[-1:] * (count - most))[:count]


_WITH_SCALARS: Final[tuple[tuple[Type, ...], ...]] = (("vector",), ("vector", "scalar"), ("vector", "scalar", "scalar"))
FUNCTIONS: Final[Mapping[str, Signature]] = {
    "rate": Signature(("matrix",)),
    "increase": Signature(("matrix",)),
    "irate": Signature(("matrix",)),
    **dict.fromkeys(WINDOWS, Signature(("matrix",))),
    "quantile_over_time": Signature(("scalar", "matrix")),
    "predict_linear": Signature(("matrix", "scalar")),
    "absent_over_time": Signature(("matrix",)),
    **{name: Signature(_WITH_SCALARS[count]) for name, (count, _) in ELEMENT_WISE.items()},
    "round": Signature(("vector", "scalar"), optional=1),
    **dict.fromkeys(DATES, Signature(("vector",), optional=1)),
    "sort": Signature(("vector",)),
    "sort_desc": Signature(("vector",)),
    "label_replace": Signature(("vector", "string", "string", "string", "string")),
    "label_join": Signature(("vector", "string", "string", "string"), optional=1, repeats=True),
    "histogram_quantile": Signature(("scalar", "vector")),
    "absent": Signature(("vector",)),
    "timestamp": Signature(("vector",)),
    "vector": Signature(("scalar",)),
    "scalar": Signature(("vector",), "scalar"),
    "time": Signature((), "scalar"),
    "pi": Signature((), "scalar"),
}
"""By their names."""
GROWTHS: Final = ("rate", "increase", "irate")
"""What the tables tell of counters without looking at them minute by minute."""
NOT_SERVED: Final = (
    "double_exponential_smoothing",
    "first_over_time",
    "histogram_avg",
    "histogram_count",
    "histogram_fraction",
    "histogram_quantiles",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
    "holt_winters",
    "info",
    "mad_over_time",
    "sort_by_label",
    "sort_by_label_desc",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
)
"""Functions of Prometheus of native histograms, or on trial there."""
