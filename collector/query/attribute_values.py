"""Which keys attributes have, and which values: of spans in a time range, for completion while somebody types.

At most MOST_SPANS of them are looked at, so that an answer comes in time; what only others have is not found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from collector.query.predicates import EVERY_SPAN, Attribute, Column, Field, Level, Predicate
from collector.query.store import SpanStore, Statement, time_range
from collector.query.wording import Wording

MOST_SPANS: Final = 1_000_000

_MAPS: Final[dict[Level, str]] = {
    "span": "SpanAttributes",
    "resource": "ResourceAttributes",
    "scope": "ScopeAttributes",
    "event": "`Events.Attributes`",
    "link": "`Links.Attributes`",
}
_MANY: Final = ("event", "link")
_COLUMNS: Final[dict[Column, str]] = {
    "name": "SpanName",
    "service": "ServiceName",
    "status message": "StatusMessage",
    "scope name": "ScopeName",
    "scope version": "ScopeVersion",
}
_LETTERS: Final = "extractAll(types, '.')"
_OUTER_CODES: Final = (
    "arrayFilter((letter, depth) -> depth = (letter IN ('[', '{')) AND letter NOT IN (']', '}'),"
    f" {_LETTERS}, arrayCumSum(letter -> (letter IN ('[', '{{')) - (letter IN (']', '}}')), {_LETTERS}))"
)
"""The first letter of the type of each attribute, those of nested values included."""
_MANY_COLUMNS: Final[dict[Column, str]] = {"event name": "`Events.Name`"}


class ValueSeen(NamedTuple):
    """A value as text, and the letter of its type (docs/storage.md)."""

    text: str
    code: str


@dataclass(frozen=True, slots=True)
class SpansSeen:
    """The spans that are looked at: those of a workspace that start in [start, end), nanoseconds, and fit."""

    workspace: str
    start: int
    end: int
    where: Predicate = EVERY_SPAN

    def select(self, store: SpanStore, columns: str) -> tuple[str, dict[str, object]]:
        """A SELECT of these columns, and its parameters."""
        condition, parameters = time_range(self.start, self.end)
        parameters["workspace"] = self.workspace
        fits = Wording(store.spans_table, parameters).condition(self.where)
        sql = (
            f"SELECT {columns} FROM {store.spans_table}"  # noqa: S608 - the name is checked, values are bound
            f" WHERE Workspace = {{workspace:String}} AND {condition} AND {fits} LIMIT {MOST_SPANS}"
        )
        return sql, parameters


def keys_statement(store: SpanStore, spans: SpansSeen, limit: int) -> Statement:
    """One row with an array of keys for each level, at most `limit` in each."""
    inner, parameters = spans.select(store, ", ".join(f"{column} AS {level}" for level, column in _MAPS.items()))
    arrays = [
        f"arraySort(groupUniqArrayArray({int(limit)})("
        f"{f'arrayFlatten(arrayMap(m -> mapKeys(m), {level}))' if level in _MANY else f'mapKeys({level})'})) AS {level}_keys"
        for level in _MAPS
    ]
    return Statement(f"SELECT {', '.join(arrays)} FROM ({inner})", parameters)  # noqa: S608 - as above


async def find_keys(store: SpanStore, spans: SpansSeen, limit: int) -> dict[Level, list[str]]:
    """Keys of attributes at each level, in their order.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    (row,) = (await store.fetch(keys_statement(store, spans, limit))).rows()
    return {level: row[f"{level}_keys"] for level in _MAPS}


def values_statement(store: SpanStore, field: Field, spans: SpansSeen, limit: int) -> Statement:
    """Values of a field and their types, the most frequent first."""
    sources: list[tuple[str, dict[str, object]]] = []
    if isinstance(field, Attribute):
        levels: tuple[Level, ...] = ("span", "resource") if field.level == "span or resource" else (field.level,)
        for level in levels:
            sql, parameters = spans.select(store, _columns_of(level))
            sources.append((f"SELECT {_value_of(level)} FROM ({sql}) WHERE {_has(level)}", {**parameters, "key": field.key}))  # noqa: S608 - as above
    elif field in _MANY_COLUMNS:
        sql, parameters = spans.select(store, f"{_MANY_COLUMNS[field]} AS names")
        sources.append((f"SELECT arrayJoin(names) AS Value, 's' AS Code FROM ({sql})", parameters))  # noqa: S608 - as above
    else:
        sql, parameters = spans.select(store, f"{_COLUMNS[field]} AS Value")
        sources.append((f"SELECT Value, 's' AS Code FROM ({sql}) WHERE Value != ''", parameters))  # noqa: S608 - as above
    merged: dict[str, object] = {"limit": limit}
    for _, parameters in sources:
        merged |= parameters
    return Statement(
        f"SELECT toString(Value) AS Value, Code FROM ({' UNION ALL '.join(sql for sql, _ in sources)})"  # noqa: S608 - as above
        " GROUP BY Value, Code ORDER BY count() DESC, Value, Code LIMIT {limit:UInt64}",
        merged,
    )


def _columns_of(level: Level) -> str:
    types = "'' AS types" if level in _MANY else f"{_MAPS[level]}Types AS types"
    return f"{_MAPS[level]} AS attributes, {types}"


def _value_of(level: Level) -> str:
    if level in _MANY:
        having = "arrayFilter(m -> mapContains(m, {key:String}), attributes)"
        return f"arrayJoin(arrayMap(m -> m[{{key:String}}], {having})) AS Value, 's' AS Code"
    # Where some are nested there are more letters than attributes: those within brackets are left out.
    place = "indexOf(mapKeys(attributes), {key:String})"
    return (
        "attributes[{key:String}] AS Value, multiIf(types = '', 's', length(types) = length(attributes),"
        f" substring(types, {place}, 1), arrayElement({_OUTER_CODES}, {place})) AS Code"
    )


def _has(level: Level) -> str:
    return "notEmpty(attributes)" if level in _MANY else "mapContains(attributes, {key:String})"


async def find_values(store: SpanStore, field: Field, spans: SpansSeen, limit: int) -> list[ValueSeen]:
    """Values of a field, the most frequent first; none of fields that have too many to choose from, such as ids and durations.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    if not isinstance(field, Attribute) and field not in _COLUMNS and field not in _MANY_COLUMNS:
        return []
    columns: dict[str, list[Any]] = (await store.fetch(values_statement(store, field, spans, limit))).columns
    return [ValueSeen(text, code) for text, code in zip(columns["Value"], columns["Code"], strict=True)]
