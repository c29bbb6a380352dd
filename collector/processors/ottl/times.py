"""Times and durations in units, and the parts of times, of whole columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.ottl.columns import DURATION, FAILED, FLOAT, INT, NAMES, TIME, Column

_SECOND_NS: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _SECOND_NS
_HOUR_NS: Final = 60 * _MINUTE_NS
_DAY_NS: Final = 24 * _HOUR_NS

_Times = NDArray[np.int64]

UNITS: Final[Mapping[str, tuple[Any, int, Any]]] = {
    "Hours": (DURATION, 3_600_000_000_000, FLOAT),
    "Minutes": (DURATION, 60_000_000_000, FLOAT),
    "Seconds": (DURATION, 1_000_000_000, FLOAT),
    "Milliseconds": (DURATION, 1_000_000, INT),
    "Microseconds": (DURATION, 1_000, INT),
    "Nanoseconds": (DURATION, 1, INT),
    "UnixSeconds": (TIME, 1_000_000_000, INT),
    "UnixMilli": (TIME, 1_000_000, INT),
    "UnixMicro": (TIME, 1_000, INT),
    "UnixNano": (TIME, 1, INT),
}
"""Functions that count units: in what, how many nanoseconds a unit has, and whether they count parts of it."""


def count_units(column: Column, wanted: Any, nanoseconds: int, result: Any) -> Column:
    """Times or durations in units; parts of one that do not count are cut off towards zero."""
    known = column.types == wanted
    if result == FLOAT:
        numbers = (column.numbers / nanoseconds).view(np.int64)
    else:
        numbers = column.numbers // nanoseconds
        # What was rounded down below zero goes up.
        numbers += (numbers < 0) & (numbers * nanoseconds != column.numbers)
    failure = column.failure or ("" if known.all() else f"expected a {NAMES[int(wanted)]}")
    return Column(np.where(known, result, FAILED), numbers, failure=failure)


def _dates(times: _Times) -> NDArray[np.datetime64]:
    return (times // _DAY_NS).view("datetime64[D]")


def _months(times: _Times) -> NDArray[np.datetime64]:
    return _dates(times).astype("datetime64[M]")


PARTS: Final[Mapping[str, Callable[[_Times], _Times]]] = {
    "Year": lambda times: _months(times).astype(np.int64) // 12 + 1970,
    "Month": lambda times: _months(times).astype(np.int64) % 12 + 1,
    "Day": lambda times: (_dates(times) - _months(times).astype("datetime64[D]")).astype(np.int64) + 1,
    "Hour": lambda times: times // _HOUR_NS % 24,
    "Minute": lambda times: times // _MINUTE_NS % 60,
    "Second": lambda times: times // _SECOND_NS % 60,
    "Nanosecond": lambda times: times % _SECOND_NS,
    # From Sunday on, which is 0; 1970 began with a Thursday.
    "Weekday": lambda times: (times // _DAY_NS + 4) % 7,
}
"""Functions that tell a part of a time, in UTC, of nanoseconds since 1970."""


def part_of_time(column: Column, part: Callable[[_Times], _Times]) -> Column:
    """A part of times."""
    known = column.types == TIME
    failure = column.failure or ("" if known.all() else "expected a time")
    return Column(np.where(known, INT, FAILED), part(column.numbers), failure=failure)
