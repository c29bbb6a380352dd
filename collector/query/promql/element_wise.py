"""Functions that make another number of each number. Source: "Functions" in the manual of Prometheus 3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from collector.query.promql.vectors import Numbers, Vector, unnamed

_LATEST_S: Final = 2**53
"""Seconds since 1970 beyond which there are no dates, on both sides: numbers do not tell single seconds there."""

ELEMENT_WISE: Final[Mapping[str, tuple[int, Callable[..., Any]]]] = {
    "abs": (0, np.abs),
    "ceil": (0, np.ceil),
    "floor": (0, np.floor),
    "exp": (0, np.exp),
    "ln": (0, np.log),
    "log2": (0, np.log2),
    "log10": (0, np.log10),
    "sqrt": (0, np.sqrt),
    "sgn": (0, np.sign),
    "deg": (0, np.degrees),
    "rad": (0, np.radians),
    "sin": (0, np.sin),
    "cos": (0, np.cos),
    "tan": (0, np.tan),
    "asin": (0, np.arcsin),
    "acos": (0, np.arccos),
    "atan": (0, np.arctan),
    "sinh": (0, np.sinh),
    "cosh": (0, np.cosh),
    "tanh": (0, np.tanh),
    "asinh": (0, np.arcsinh),
    "acosh": (0, np.arccosh),
    "atanh": (0, np.arctanh),
    "round": (1, lambda values, nearest: np.floor(values * (1 / nearest) + 0.5) / (1 / nearest)),
    "clamp": (2, lambda values, least, most: np.maximum(least, np.minimum(most, values))),
    "clamp_min": (1, lambda values, least: np.maximum(least, values)),
    "clamp_max": (1, lambda values, most: np.minimum(most, values)),
}
"""Name → how many numbers it takes besides, and what it makes of all."""


def _day_of(times: Any, unit: str) -> Any:
    """Which day of its month or year it is, from 1 on."""
    return (times.astype("M8[D]") - times.astype(unit).astype("M8[D]")).astype(np.int64) + 1


def _days_in_month(times: Any) -> Any:
    months = times.astype("M8[M]")
    following = months + np.timedelta64(1, "M")
    return (following.astype("M8[D]") - months.astype("M8[D]")).astype(np.int64)


DATES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "minute": lambda times: times.astype("M8[m]").astype(np.int64) % 60,
    "hour": lambda times: times.astype("M8[h]").astype(np.int64) % 24,
    # The first of January 1970 was a Thursday.
    "day_of_week": lambda times: (times.astype("M8[D]").astype(np.int64) + 4) % 7,
    "day_of_month": lambda times: _day_of(times, "M8[M]"),
    "day_of_year": lambda times: _day_of(times, "M8[Y]"),
    "days_in_month": _days_in_month,
    "month": lambda times: times.astype("M8[M]").astype(np.int64) % 12 + 1,
    "year": lambda times: times.astype("M8[Y]").astype(np.int64) + 1970,
}
"""Name → what it tells of times, in UTC."""


def element_wise(function: str, vector: Vector, parameters: list[Numbers]) -> Vector:
    """What a function of ELEMENT_WISE makes of each number.

    Args:
        parameters: the numbers that it takes besides, at each step.
    """
    with np.errstate(all="ignore"):
        values = np.asarray(ELEMENT_WISE[function][1](vector.values, *parameters), np.float64)
    present = vector.present
    if function == "clamp":
        least, most = parameters
        present = present & ~(most < least)
    return unnamed(Vector(vector.labels, values, present))


def date(function: str, vector: Vector) -> Vector:
    """What a function of DATES tells of numbers that are seconds since 1970; NaN of what is no time."""
    is_time = np.abs(vector.values) <= _LATEST_S
    times = np.trunc(np.where(is_time, vector.values, 0)).astype(np.int64).astype("M8[s]")
    return vector.mapped(lambda _: np.where(is_time, DATES[function](times), np.nan))
