"""The operations of services: the names that their spans have, and of which kind those are."""

from __future__ import annotations

from typing import NamedTuple

from collector.query.store import SpanStore, Statement, time_range


class Operation(NamedTuple):
    """A name of spans, and one of KINDS."""

    name: str
    kind: str


def operations_statement(
    store: SpanStore, *, start: int, end: int, service: str | None, kind: str | None, limit: int, workspace: str
) -> Statement:
    """Names and kinds of spans, in their order."""
    condition, parameters = time_range(start, end)
    conditions = ["Workspace = {workspace:String}", condition]
    parameters |= {"workspace": workspace, "limit": limit}
    for column, name, value in (("ServiceName", "service", service), ("SpanKind", "kind", kind)):
        if value is not None:
            conditions.append(f"{column} = {{{name}:String}}")
            parameters[name] = value
    return Statement(
        f"SELECT SpanName, SpanKind FROM {store.spans_table} WHERE {' AND '.join(conditions)}"  # noqa: S608 - the name is checked, values are bound
        " GROUP BY SpanName, SpanKind ORDER BY SpanName, SpanKind LIMIT {limit:UInt64}",
        parameters,
    )


async def find_operations(
    store: SpanStore,
    *,
    start: int,
    end: int,
    service: str | None = None,
    kind: str | None = None,
    limit: int = 10_000,
    workspace: str,
) -> list[Operation]:
    """What spans that start in [start, end), nanoseconds, are called.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    statement = operations_statement(store, start=start, end=end, service=service, kind=kind, limit=limit, workspace=workspace)
    columns = (await store.fetch(statement)).columns
    return [Operation(name, kind) for name, kind in zip(columns["SpanName"], columns["SpanKind"], strict=True)]
