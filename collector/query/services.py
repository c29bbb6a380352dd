"""The services that sent spans in a time range."""

from __future__ import annotations

from dataclasses import dataclass

from collector.query.store import SpanStore, Statement, time_range


@dataclass(frozen=True, slots=True)
class Service:
    """A service by name.

    Attributes:
        span_count: of its spans that start in the time range.
        last_seen: latest start of those, nanoseconds since 1970.
    """

    name: str
    span_count: int
    last_seen: int


def services_statement(store: SpanStore, *, start: int, end: int, after: str | None, limit: int, workspace: str) -> Statement:
    """Names after `after` in their order, with span count and latest start."""
    condition, parameters = time_range(start, end)
    conditions = ["Workspace = {workspace:String}", condition]
    parameters |= {"workspace": workspace, "limit": limit}
    if after is not None:
        conditions.append("ServiceName > {after:String}")
        parameters["after"] = after
    return Statement(
        "SELECT ServiceName AS Name, count() AS SpanCount, toUnixTimestamp64Nano(max(Timestamp)) AS LastSeen"  # noqa: S608 - the name is checked, values are bound
        f" FROM {store.spans_table} WHERE {' AND '.join(conditions)}"
        " GROUP BY ServiceName ORDER BY ServiceName LIMIT {limit:UInt64}",
        parameters,
    )


async def find_services(
    store: SpanStore,
    *,
    start: int,
    end: int,
    after: str | None = None,
    limit: int = 100,
    workspace: str,
) -> list[Service]:
    """Services with a span that starts in [start, end), nanoseconds; at most `limit` whose name is greater than `after`.

    A span that its client sent twice counts twice here: the list is for finding names and must be fast.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    result = await store.fetch(services_statement(store, start=start, end=end, after=after, limit=limit, workspace=workspace))
    return [Service(row["Name"], row["SpanCount"], row["LastSeen"]) for row in result.rows()]
