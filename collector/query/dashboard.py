"""The figures of a workspace's requests in a time range, beside those of the range before: all, by service, and by operation.

Requests are the spans with which work enters a service (ENTRY_KINDS).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from collector.query.requests import ENTRY_KINDS, SOURCE_COLUMNS, Requests, apdex_parameters, measured, requests_of
from collector.query.rollups import RED, SECOND, Part, of_step, parts, rows_of, spans_condition
from collector.query.store import SpanStore, Statement

MOST_OPERATIONS: Final = 10_000
"""Those that are compared: the ones that took the most time together."""

_CURRENT, _PREVIOUS = 1, 0


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
        """On rows of a table, and its parameters, and those of Apdex."""
        condition, parameters = spans_condition(self.workspace, service=self.service, kinds=ENTRY_KINDS, injected=self.injected)
        return condition, parameters | apdex_parameters(self.threshold)


def dashboard_statement(store: SpanStore, query: DashboardQuery) -> Statement:
    """A row for each range with all requests, for each service of it, and for each operation of that."""
    # The beginning of the range parts what is in it from what was before, so no step lies in both.
    found = [*parts(RED, query.previous_start, query.start), *parts(RED, query.start, query.end)]
    period = f"toUInt8(Time >= toDateTime({query.start // SECOND}, 'UTC')) AS Period"
    condition, parameters = query.condition
    source = rows_of(store, found, (period, "ServiceName", "SpanName", *SOURCE_COLUMNS), condition)
    keys = ("Period", "ServiceName", "SpanName")
    grouped = measured(source, keys, [keys[:1], keys[:2], keys])
    return Statement(
        f"SELECT * FROM ({grouped}) ORDER BY Level, Duration DESC, ServiceName, SpanName LIMIT {{limit:UInt64}} BY Level",  # noqa: S608 - names are checked, values are bound
        {**parameters, "limit": 2 * MOST_OPERATIONS + 1},
    )


async def find_dashboard(store: SpanStore, query: DashboardQuery) -> Dashboard:
    """The requests of a range, and of the one before.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    whole, services, operations = Compared(), dict[str, Compared](), dict[Operation, Compared]()
    found = 0
    for row in (await store.fetch(dashboard_statement(store, query))).rows():
        match row["Level"]:
            case 0:
                compared = whole
            case 1:
                compared = services.setdefault(row["ServiceName"], Compared())
            case _:
                found += 1
                compared = operations.setdefault(Operation(row["ServiceName"], row["SpanName"]), Compared())
        _put(compared, row)
    return Dashboard(whole, services, operations, found <= 2 * MOST_OPERATIONS)


def _put(compared: Compared, row: Mapping[str, Any]) -> None:
    if row["Period"] == _CURRENT:
        compared.current = requests_of(row)
    else:
        compared.previous = requests_of(row)


def series_statement(store: SpanStore, query: DashboardQuery, step: int) -> Statement:
    """A row for each step with requests, nanoseconds, of the range and the one before; both are whole steps."""
    rollup = of_step(RED, step)
    seconds = step // SECOND
    steps = f"intDiv(toUInt32(Time), {seconds}) * {seconds} AS Step"
    condition, parameters = query.condition
    source = rows_of(store, [Part(rollup, query.previous_start, query.end)], (steps, *SOURCE_COLUMNS), condition)
    return Statement(f"{measured(source, ('Step',), [('Step',)])} ORDER BY Step", parameters)


async def find_dashboard_series(store: SpanStore, query: DashboardQuery, step: int) -> dict[int, Compared]:
    """Requests over time: start of a step, nanoseconds since 1970 → the requests of it, and of the step a whole range earlier.

    Args:
        query: whose range is whole steps.
        step: nanoseconds, whole minutes. Steps without requests in either range are left out.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    points: dict[int, Compared] = {}
    for row in (await store.fetch(series_statement(store, query, step))).rows():
        time = row["Step"] * SECOND
        if time >= query.start:
            points.setdefault(time, Compared()).current = requests_of(row)
        else:
            points.setdefault(time + query.end - query.start, Compared()).previous = requests_of(row)
    return dict(sorted(points.items()))


Ranked = Sequence[tuple[Operation, Compared]]


def ranked(operations: Mapping[Operation, Compared], of: Callable[[Requests], float], limit: int) -> Ranked:
    """The operations with the most of something now, those with none left out; by name where they have the same."""
    known: Iterable[tuple[float, Operation, Compared]] = (
        (of(compared.current), operation, compared) for operation, compared in operations.items() if compared.current is not None
    )
    ordered = sorted((each for each in known if each[0] > 0), key=lambda each: (-each[0], each[1].service, each[1].name))
    return [(operation, compared) for _, operation, compared in ordered[:limit]]
