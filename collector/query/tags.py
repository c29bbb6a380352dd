"""Keys and values of attributes, to complete what somebody types in a search.

They come from a small table that a view fills from some of the spans, by the hour (see `otel_traces_tags_mv.sql`):
what is rare may be missing, and a time range is widened to whole hours. Nothing here reads spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from collector.query.store import SpanStore, Statement

TagLevel = Literal["span", "resource", "scope", "event", "link"]

_HOUR_NS: Final = 3_600 * 10**9
_LAST_HOUR: Final = (2**32 - 1) // 3_600
"""The last one that the table's column holds; what is later is counted there."""


@dataclass(frozen=True, slots=True)
class TagQuery:
    """What is asked for, be it keys or values.

    Attributes:
        workspace: whose spans they are of.
        start, end: of spans in the hours of [start, end), nanoseconds since 1970.
        level: what has the attributes; None for anything.
        prefix: what keys or values begin with.
        limit: so many at most.
    """

    workspace: str
    start: int
    end: int
    level: TagLevel | None = None
    prefix: str = ""
    limit: int = 1000

    @property
    def within(self) -> tuple[list[str], dict[str, object]]:
        """Conditions on rows of the table, but for the prefix, and all parameters."""
        first, last = (min(nanoseconds // _HOUR_NS, _LAST_HOUR) * 3_600 for nanoseconds in (self.start, self.end - 1))
        conditions = ["Workspace = {workspace:String}", "Hour >= toDateTime({first:UInt32})", "Hour <= toDateTime({last:UInt32})"]
        parameters: dict[str, object] = {"workspace": self.workspace, "first": first, "last": last}
        parameters |= {"prefix": self.prefix, "limit": self.limit}
        if self.level is not None:
            conditions.append("Level = {level:String}")
            parameters["level"] = self.level
        return conditions, parameters


class Tag(NamedTuple):
    """A key of attributes, and what has attributes with it."""

    key: str
    levels: Sequence[TagLevel]


def tags_statement(store: SpanStore, query: TagQuery, after: str | None) -> Statement:
    """Keys after `after` in their order, each with its levels: `Name`, `Levels`."""
    conditions, parameters = query.within
    conditions.append("startsWith(Key, {prefix:String})")
    if after is not None:
        conditions.append("Key > {after:String}")
        parameters["after"] = after
    return Statement(
        "SELECT toString(Key) AS Name, arraySort(groupUniqArray(toString(Level))) AS Levels"  # noqa: S608 - the name is checked, values are bound
        f" FROM {_table(store)} WHERE {' AND '.join(conditions)} GROUP BY Name ORDER BY Name LIMIT {{limit:UInt64}}",
        parameters,
    )


def values_statement(store: SpanStore, query: TagQuery, key: str) -> Statement:
    """Values under a key in their order: `Value`."""
    conditions, parameters = query.within
    return Statement(
        "SELECT arrayJoin(SomeValues) AS Value"  # noqa: S608 - the name is checked, values are bound
        f" FROM {_table(store)} WHERE {' AND '.join(conditions)} AND Key = {{key:String}}"
        " AND startsWith(Value, {prefix:String}) GROUP BY Value ORDER BY Value LIMIT {limit:UInt64}",
        {**parameters, "key": key},
    )


def _table(store: SpanStore) -> str:
    return f"{store.spans_table}_tags"


async def find_tags(store: SpanStore, query: TagQuery, after: str | None = None) -> list[Tag]:
    """Keys that spans had, in their order; only those that are greater than `after`, to go on after a page.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    rows = (await store.fetch(tags_statement(store, query, after))).rows()
    return [Tag(row["Name"], row["Levels"]) for row in rows]


async def find_tag_values(store: SpanStore, query: TagQuery, key: str) -> list[str]:
    """Some values under `key`, in their order; of a key with very many values an hour, any 1000 of them.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    return list((await store.fetch(values_statement(store, query, key))).columns["Value"])
