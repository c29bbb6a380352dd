"""Keys and values of attributes, to complete what somebody types in a search.

They come from a small table that a view fills from some of the spans, by the hour (see `otel_traces_tags_mv.sql`):
what is rare may be missing, and a time range is widened to whole hours. Nothing here reads spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from collector.query.store import SpanStore, Statement

TagLevel = Literal["span", "resource", "scope", "event", "link"]

_HOUR_NS: Final = 3_600 * 10**9
_LAST_HOUR: Final = (2**32 - 1) // 3_600
"""The last one that the table's column holds; what is later is counted there."""


class Tag(NamedTuple):
    """A key of attributes, and what has attributes with it."""

    key: str
    levels: Sequence[TagLevel]


def tags_statement(
    store: SpanStore, *, start: int, end: int, level: TagLevel | None, prefix: str, after: str | None, limit: int, workspace: str
) -> Statement:
    """Keys after `after` in their order, each with its levels: `Name`, `Levels`."""
    conditions, parameters = _within(start, end, level, workspace)
    conditions.append("startsWith(Key, {prefix:String})")
    if after is not None:
        conditions.append("Key > {after:String}")
        parameters["after"] = after
    return Statement(
        "SELECT toString(Key) AS Name, arraySort(groupUniqArray(toString(Level))) AS Levels"  # noqa: S608 - the name is checked, values are bound
        f" FROM {_table(store)} WHERE {' AND '.join(conditions)} GROUP BY Name ORDER BY Name LIMIT {{limit:UInt64}}",
        {**parameters, "prefix": prefix, "limit": limit},
    )


def values_statement(
    store: SpanStore, key: str, *, start: int, end: int, level: TagLevel | None, prefix: str, limit: int, workspace: str
) -> Statement:
    """Values under a key in their order: `Value`."""
    conditions, parameters = _within(start, end, level, workspace)
    return Statement(
        "SELECT arrayJoin(SomeValues) AS Value"  # noqa: S608 - the name is checked, values are bound
        f" FROM {_table(store)} WHERE {' AND '.join(conditions)} AND Key = {{key:String}}"
        " AND startsWith(Value, {prefix:String}) GROUP BY Value ORDER BY Value LIMIT {limit:UInt64}",
        {**parameters, "key": key, "prefix": prefix, "limit": limit},
    )


def _table(store: SpanStore) -> str:
    return f"{store.spans_table}_tags"


def _within(start: int, end: int, level: TagLevel | None, workspace: str) -> tuple[list[str], dict[str, object]]:
    first, last = (min(nanoseconds // _HOUR_NS, _LAST_HOUR) * 3_600 for nanoseconds in (start, end - 1))
    conditions = ["Workspace = {workspace:String}", "Hour >= toDateTime({first:UInt32})", "Hour <= toDateTime({last:UInt32})"]
    parameters: dict[str, object] = {"workspace": workspace, "first": first, "last": last}
    if level is not None:
        conditions.append("Level = {level:String}")
        parameters["level"] = level
    return conditions, parameters


async def find_tags(
    store: SpanStore,
    *,
    start: int,
    end: int,
    level: TagLevel | None = None,
    prefix: str = "",
    after: str | None = None,
    limit: int = 1000,
    workspace: str,
) -> list[Tag]:
    """Keys that spans had in the hours of [start, end), nanoseconds; at most `limit` that are greater than `after`.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    statement = tags_statement(
        store, start=start, end=end, level=level, prefix=prefix, after=after, limit=limit, workspace=workspace
    )
    return [Tag(row["Name"], row["Levels"]) for row in (await store.fetch(statement)).rows()]


async def find_tag_values(
    store: SpanStore,
    key: str,
    *,
    start: int,
    end: int,
    level: TagLevel | None = None,
    prefix: str = "",
    limit: int = 1000,
    workspace: str,
) -> list[str]:
    """Some values under `key` in those hours, at most `limit`; of a key with very many values an hour, any 1000 of them.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    statement = values_statement(store, key, start=start, end=end, level=level, prefix=prefix, limit=limit, workspace=workspace)
    return list((await store.fetch(statement)).columns["Value"])
