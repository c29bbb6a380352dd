"""The figures of a workspace's requests in a time range, beside those of the range before: all, by service, and by operation.

Requests are the spans with which work enters a service (ENTRY_KINDS).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from collector.query.native_values import numbers_of, strings_of
from collector.query.red_spans import RedSpans
from collector.query.requests import ENTRY_KINDS, SOURCE_COLUMNS, RequestGroups, Requests, added_up
from collector.query.rollups import RED, SECOND, Part, of_step, parts, rows_of
from collector.query.store import SpanStore, Statement
from exporters.clickhouse.wire import Answer, parse_blocks

MOST_OPERATIONS: Final = 10_000
"""Those that are compared: the ones that took the most time together."""

_KEYS: Final = ("Period", "ServiceName", "SpanName")
"""What rows are told apart by: whether their time is in the range or before it, and what they tell of."""


@dataclass(slots=True)
class Compared:
    """Requests of a range and of the one before, of the same length; None where there were none."""

    current: Requests | None = None
    previous: Requests | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """Where requests enter: the name of a service, and of a span."""

    service: str
    name: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """What is known of all requests.

    Attributes:
        services, operations: those with requests in one of both ranges.
        complete: whether there were no more operations than could be looked at.
    """

    requests: Compared
    services: Mapping[str, Compared]
    operations: Mapping[Operation, Compared]
    complete: bool


@dataclass(frozen=True, slots=True)
class DashboardQuery:
    """What is asked.

    Attributes:
        workspace: whose requests.
        start, end: nanoseconds, whole minutes; the range before is as long, and begins no earlier than 1970.
        threshold: of Apdex, nanoseconds.
        service: only this one's; None for all.
        injected: only requests that failed on purpose, or only others; None for all.
    """

    workspace: str
    start: int
    end: int
    threshold: int
    service: str | None = None
    injected: bool | None = None

    @property
    def previous_start(self) -> int:
        return max(2 * self.start - self.end, 0)

    @property
    def condition(self) -> tuple[str, dict[str, object]]:
        """On rows of a table, and its parameters."""
        return RedSpans(self.workspace, service=self.service, kinds=ENTRY_KINDS, injected=self.injected).condition


def dashboard_statement(store: SpanStore, query: DashboardQuery, keys: Sequence[str] = _KEYS) -> Statement:
    """A row for each operation with requests in a range; those that took the most time first.

    Args:
        keys: the first of _KEYS; with fewer, a row for each service, or for each range.
    """
    # The beginning of the range parts what is in it from what was before, so no step lies in both.
    found = [*parts(RED, query.previous_start, query.start), *parts(RED, query.start, query.end)]
    period = f"toUInt8(Time >= toDateTime({query.start // SECOND}, 'UTC')) AS Period"
    condition, parameters = query.condition
    source = rows_of(store, found, (period, *keys[1:], *SOURCE_COLUMNS), condition)
    return Statement(
        f"{added_up(source, keys)} ORDER BY Duration DESC, {', '.join(keys)} LIMIT {{limit:UInt64}}",
        {**parameters, "limit": 2 * MOST_OPERATIONS + 1},
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """An answer to `dashboard_statement`.

    Attributes:
        periods: 1 for the range itself, 0 for the one before, for each row.
        names: of the service and the operation, or the first of them, for each row.
        groups: the requests of each row.
    """

    periods: Sequence[int]
    names: Sequence[tuple[str, ...]]
    groups: RequestGroups

    @classmethod
    def of(cls, answer: Answer, keys: Sequence[str]) -> _Rows:
        columns = parse_blocks(answer)
        groups = RequestGroups.of(columns)
        periods = numbers_of(columns[keys[0]]) if columns else []
        names = [strings_of(columns[key]) for key in keys[1:]] if columns else []
        return cls(periods, list(zip(*names, strict=True)) if names else [()] * groups.count, groups)

    def by(self, count: int) -> _Rows:
        """The same by the first so many names."""
        places: dict[tuple[int, tuple[str, ...]], int] = {}
        of_row = [
            places.setdefault((period, name[:count]), len(places)) for period, name in zip(self.periods, self.names, strict=True)
        ]
        periods, names = zip(*places, strict=True) if places else ((), ())
        return _Rows(periods, names, self.groups.regrouped(np.array(of_row, np.int64), len(places)))

    def compared(self, threshold: int) -> dict[tuple[str, ...], Compared]:
        """The requests of both ranges by names."""
        found: dict[tuple[str, ...], Compared] = {}
        for period, name, requests in zip(self.periods, self.names, self.groups.requests(threshold), strict=True):
            compared = found.setdefault(name, Compared())
            if period:
                compared.current = requests
            else:
                compared.previous = requests
        return found


async def find_dashboard(store: SpanStore, query: DashboardQuery) -> Dashboard:
    """The requests of a range, and of the one before.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """

    async def read(keys: Sequence[str]) -> _Rows:
        return await asyncio.to_thread(_Rows.of, await store.fetch_native(dashboard_statement(store, query, keys)), keys)

    operations = await read(_KEYS)
    complete = operations.groups.count <= 2 * MOST_OPERATIONS
    # What all operations come to has to be asked for only where they are not all there.
    services, whole = [operations.by(count) if complete else await read(_KEYS[: 1 + count]) for count in (1, 0)]

    def dashboard() -> Dashboard:
        return Dashboard(
            whole.compared(query.threshold).get((), Compared()),
            {service: compared for (service,), compared in services.compared(query.threshold).items()},
            {Operation(*names): compared for names, compared in operations.compared(query.threshold).items()},
            complete,
        )

    return await asyncio.to_thread(dashboard)


def series_statement(store: SpanStore, query: DashboardQuery, step: int) -> Statement:
    """A row for each step with requests, nanoseconds, of the range and the one before; both are whole steps."""
    rollup = of_step(RED, step)
    seconds = step // SECOND
    steps = f"intDiv(toUInt32(Time), {seconds}) * {seconds} AS Step"
    condition, parameters = query.condition
    source = rows_of(store, [Part(rollup, query.previous_start, query.end)], (steps, *SOURCE_COLUMNS), condition)
    return Statement(f"{added_up(source, ['Step'])} ORDER BY Step", parameters)


async def find_dashboard_series(store: SpanStore, query: DashboardQuery, step: int) -> dict[int, Compared]:
    """Requests over time: start of a step, nanoseconds since 1970 → the requests of it, and of the step a whole range earlier.

    Args:
        query: whose range is whole steps.
        step: nanoseconds, whole minutes. Steps without requests in either range are left out.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    return await asyncio.to_thread(_series, await store.fetch_native(series_statement(store, query, step)), query)


def _series(answer: Answer, query: DashboardQuery) -> dict[int, Compared]:
    columns = parse_blocks(answer)
    steps = numbers_of(columns["Step"]) if columns else []
    points: dict[int, Compared] = {}
    for step, requests in zip(steps, RequestGroups.of(columns).requests(query.threshold), strict=True):
        time = step * SECOND
        if time >= query.start:
            points.setdefault(time, Compared()).current = requests
        else:
            points.setdefault(time + query.end - query.start, Compared()).previous = requests
    return dict(sorted(points.items()))


Ranked = Sequence[tuple[Operation, Compared]]


def ranked(operations: Mapping[Operation, Compared], of: Callable[[Requests], float], limit: int) -> Ranked:
    """The operations with the most of something now, those with none left out; by name where they have the same."""
    known: Iterable[tuple[float, Operation, Compared]] = (
        (of(compared.current), operation, compared) for operation, compared in operations.items() if compared.current is not None
    )
    ordered = sorted((each for each in known if each[0] > 0), key=lambda each: (-each[0], each[1].service, each[1].name))
    return [(operation, compared) for _, operation, compared in ordered[:limit]]
