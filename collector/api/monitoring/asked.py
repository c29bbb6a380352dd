"""Parameters that several paths below a workspace have in common."""

from __future__ import annotations

from typing import Final

from multidict import MultiMapping

from collector.api import params, parsing
from collector.api.params import Parameter
from collector.query.rollups import HOUR, MINUTE, QUARTER_HOUR

PREFIX: Final = "/api/v1/workspaces/{workspace}"

_LONG_NS: Final = 6 * HOUR
_VERY_LONG_NS: Final = 72 * HOUR


def _positive(text: str) -> int:
    duration = parsing.parse_duration(text)
    if not duration:
        raise ValueError("must be above 0, such as 500ms")
    return duration


THRESHOLD: Final[Parameter[int]] = Parameter(
    "apdexThreshold",
    "Requests that take no longer satisfy, those that take up to four times as long are tolerated. Such as `500ms`.",
    {"type": "string", "default": "500ms"},
    _positive,
    parsing.parse_duration("500ms"),
    example="500ms",
)


def whole_range(query: MultiMapping[str], now: int) -> tuple[int, int]:
    """The time range that is asked for, widened to whole minutes; where it is long, to whole quarters of an hour, or hours.

    Raises:
        BadParameter: as `params.time_range`.
    """
    start, end = params.time_range(query, now)
    length = end - start
    step = MINUTE if length < _LONG_NS else QUARTER_HOUR if length < _VERY_LONG_NS else HOUR
    return start // step * step, -(-end // step) * step
