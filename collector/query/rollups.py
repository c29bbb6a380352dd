"""Time ranges in the tables of derived rows: the middle of one from a table of long steps, its ends from shorter ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from collector.query.store import SpanStore
from exporters.clickhouse.schema import table_name

SECOND: Final = 10**9
MINUTE: Final = 60 * SECOND
QUARTER_HOUR: Final = 15 * MINUTE
HOUR: Final = 60 * MINUTE

_LAST_SECOND: Final = 2**32 - 1
"""Of a DateTime."""


class Rollup(NamedTuple):
    """A table whose rows each tell of a step of time.

    Attributes:
        template: of the table, as in `exporters.clickhouse.schema`.
        time: the column with the beginning of the step.
        step: its length, nanoseconds.
    """

    template: str
    time: str
    step: int


RED: Final = (
    Rollup("otel_red_hour", "Hour", HOUR),
    Rollup("otel_red_quarter_hour", "QuarterHour", QUARTER_HOUR),
    Rollup("otel_red_minute", "Minute", MINUTE),
)
"""Those of the processor `red_metrics`, the longest steps first."""
CALLS: Final = (
    Rollup("otel_topology_hour", "Hour", HOUR),
    Rollup("otel_topology_minute", "Minute", MINUTE),
)
"""Those of the processor `topology`. Rows of minutes that came later are in `otel_topology_settled` as well."""


class Part(NamedTuple):
    """The rows of a table from `start` up to `end`, nanoseconds, which are whole steps."""

    rollup: Rollup
    start: int
    end: int


def parts(rollups: Sequence[Rollup], start: int, end: int) -> list[Part]:
    """Parts that together are [start, end), each time in one of them; those of the longest steps that fit.

    Args:
        rollups: the longest steps first, each a multiple of the next.
        start, end: nanoseconds, whole steps of the last.
    """
    if start >= end:
        return []
    rollup, *finer = rollups
    first, last = -(-start // rollup.step) * rollup.step, end // rollup.step * rollup.step
    if not finer:
        return [Part(rollup, start, end)]
    if first >= last:
        return parts(finer, start, end)
    return [*parts(finer, start, first), Part(rollup, first, last), *parts(finer, last, end)]


def of_step(rollups: Sequence[Rollup], step: int) -> Rollup:
    """The one with the longest steps of which `step`, nanoseconds, is a multiple."""
    return next(rollup for rollup in rollups if step % rollup.step == 0)


def whole_minutes(start: int, end: int) -> tuple[int, int]:
    """The minutes that [start, end) touches, nanoseconds."""
    return start // MINUTE * MINUTE, -(-end // MINUTE) * MINUTE


def rows_of(store: SpanStore, found: Sequence[Part], columns: Sequence[str], condition: str) -> str:
    """A SELECT of columns of parts, and of when each row's step begins, as `Time`. Each table is read once.

    Args:
        columns: of `rollup`.
        condition: on the rows besides their times; parameters in it are bound by whoever asks.
    """
    ranges: dict[Rollup, list[str]] = {}
    for rollup, start, end in found:
        ranges.setdefault(rollup, []).append(f"({in_range(rollup.time, start, end)})")
    return " UNION ALL ".join(
        f"SELECT rollup.{rollup.time} AS Time, {', '.join(columns)}"  # noqa: S608 - names are checked, the rest are numbers
        f" FROM {table_name(rollup.template, store.spans_table)} AS rollup WHERE ({' OR '.join(conditions)}) AND {condition}"
        for rollup, conditions in ranges.items()
    )


def in_range(column: str, start: int, end: int) -> str:
    """The condition that a DateTime lies in [start, end), nanoseconds."""
    first, last = (min(time // SECOND, _LAST_SECOND) for time in (start, end))
    return f"{column} >= toDateTime({first}, 'UTC') AND {column} < toDateTime({last}, 'UTC')"
