"""Goes through the windows of time in which functions such as `avg_over_time` look at the numbers of series."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.query.promql.vectors import EvaluationError, Numbers, Vector, unnamed
from collector.query.promql.windows import WINDOWS, Window, grown, last_rate, predicted, quantile
from collector.query.rollups import SECOND

MOST_LOOKS: Final = 100_000_000
"""So many numbers are looked at, those of windows that overlap again and again."""
_OF_TWO: Final = ("rate", "increase", "irate", "delta", "idelta", "deriv", "predict_linear")
"""Functions that make nothing of one number alone."""


def over_time(
    function: str,
    vector: Vector,
    times: NDArray[np.int64],
    ends: NDArray[np.int64],
    range_ns: int,
    *,
    parameters: Numbers | None = None,
    steps: NDArray[np.int64] | None = None,
) -> Vector:
    """What a function makes of the numbers of each series after `range_ns` before each end, and until then.

    Args:
        vector: the numbers at `times`.
        times, ends: nanoseconds since 1970, rising; `ends` may stand still.
        parameters: the number that the function takes besides, at each end, where it takes one.
        steps: for which the windows are looked at, nanoseconds since 1970, where that is not their ends.

    Raises:
        EvaluationError: it is too much.
    """
    first = np.searchsorted(times, ends - range_ns, "right")
    last = np.searchsorted(times, ends, "right")
    if len(vector.labels) * int((last - first).sum()) > MOST_LOOKS:
        raise EvaluationError(
            f"{function} of {len(vector.labels)} series is too much; ask for fewer, or for a longer step in [:]"
        )
    least = 2 if function in _OF_TWO else 1
    values = np.zeros((len(vector.labels), len(ends)))
    present = np.zeros(values.shape, np.bool_)
    now_s = ((ends if steps is None else steps) - ends) / SECOND
    with np.errstate(all="ignore"):
        for place, (start, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
            if start < end and len(values):
                window = Window(
                    vector.values[:, start:end],
                    vector.present[:, start:end],
                    (times[start:end] - ends[place]) / SECOND,
                    range_ns / SECOND,
                    float(now_s[place]),
                )
                present[:, place] = window.count >= least
                values[:, place] = _function(function, None if parameters is None else float(parameters[place]))(window)
    found = Vector(vector.labels, values, present)
    return found if function == "last_over_time" else unnamed(found)


def _function(name: str, parameter: float | None) -> Callable[[Window], Numbers]:
    match name:
        case "quantile_over_time" if parameter is not None:
            return lambda window: quantile(parameter, window.values, window.there)
        case "predict_linear" if parameter is not None:
            return partial(predicted, seconds=parameter)
        case "rate":
            return lambda window: grown(window, is_counter=True) / window.range_s
        case "increase":
            return partial(grown, is_counter=True)
        case "irate":
            return last_rate
    return WINDOWS[name]
