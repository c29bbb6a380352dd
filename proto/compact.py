"""Spans in a batch of their own: with what they refer to, and nothing else.

What is selected from a batch holds on to all its bytes. Spans that are kept for long, or that are few among many, get bytes of
their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto.kernel import kernel
from proto.spans import ABSENT, SpanBatch, Table, take
from proto.words import copy

_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8


class _Text(NamedTuple):
    """Where the rows of a table say where a text is; `length` of an id is its fixed length."""

    name: str
    length: int | None = None


_TEXTS: Final[dict[str, tuple[_Text, ...]]] = {
    "resources": (_Text("schema_url"), _Text("entity_refs")),
    "scopes": (_Text("name"), _Text("version"), _Text("schema_url")),
    "spans": (
        _Text("trace_id", _TRACE_ID_BYTES),
        _Text("span_id", _SPAN_ID_BYTES),
        _Text("parent_span_id", _SPAN_ID_BYTES),
        _Text("trace_state"),
        _Text("name"),
        _Text("status_message"),
    ),
    "events": (_Text("name"),),
    "links": (_Text("trace_id"), _Text("span_id"), _Text("trace_state")),
    "attributes": (_Text("key"), _Text("value")),
}


def compact(batch: SpanBatch) -> SpanBatch:
    """The same spans in the same order, without what belongs to none of them. Cost is per span and attribute of these alone."""
    spans = take(batch.spans, np.arange(len(batch)))
    scope_rows, spans["scope"] = _used(spans["scope"], len(batch.scopes))
    scopes = take(batch.scopes, scope_rows)
    resource_rows, scopes["resource"] = _used(scopes["resource"], len(batch.resources))
    resources = take(batch.resources, resource_rows)
    events = take(batch.events, _move_runs(spans, "events"))
    links = take(batch.links, _move_runs(spans, "links"))

    # A service's name is one of its resource's attributes, and moves with them.
    named = resources["service_name"] != ABSENT
    behind_start = (resources["service_name"] - resources["attributes_start"])[named]
    places: list[NDArray[np.int64]] = []
    before = 0
    for owners in (resources, scopes, spans, events, links):
        places.append(_move_runs(owners, "attributes"))
        owners["attributes_start"] += before
        before += len(places[-1])
    resources["service_name"][named] = resources["attributes_start"][named] + behind_start
    attributes = take(batch.attributes, np.concatenate(places))

    tables = {
        "resources": resources,
        "scopes": scopes,
        "spans": spans,
        "events": events,
        "links": links,
        "attributes": attributes,
    }
    data = _move_texts(tables, batch.data)
    made: dict[str, Any] = tables
    return replace(batch, data=data, origin=None, **made)


def _used(rows: NDArray[np.int32], count: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Which of `count` rows are referred to, and the references to them once they stand alone."""
    used = np.zeros(count, np.bool_)
    used[rows] = True
    renumbered = np.cumsum(used, dtype=np.int32) - 1
    return np.flatnonzero(used), renumbered[rows]


def _move_runs(owners: Table, of: str) -> NDArray[np.int64]:
    """The places of all rows that `owners` have runs of, one run behind the other; the runs then say where they stand so."""
    counts = owners[f"{of}_count"].astype(np.int64)
    starts = np.cumsum(counts) - counts
    places: NDArray[np.int64] = np.repeat(owners[f"{of}_start"] - starts, counts) + np.arange(counts.sum())
    owners[f"{of}_start"] = starts
    return places


def _move_texts(tables: dict[str, Table], data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Data with all texts of the tables, which then say where they are in it."""
    size = 0
    for name, texts in _TEXTS.items():
        for text in texts:
            table = tables[name]
            size += len(table) * text.length if text.length else int(table[f"{text.name}_length"].sum(dtype=np.int64))
    moved = np.empty(size, np.uint8)
    position = 0
    for name, texts in _TEXTS.items():
        table = tables[name]
        fields: Any = table.dtype.fields
        words = table.view(np.int32).reshape(len(table), table.dtype.itemsize // 4)
        for text in texts:
            offset_word = fields[f"{text.name}_offset"][1] // 4
            length_word = ABSENT if text.length else fields[f"{text.name}_length"][1] // 4
            position = move_texts(moved, position, data, words, offset_word, length_word, text.length or 0)
    # Ids that are not there were reckoned in.
    moved = moved[:position]
    moved.flags.writeable = False
    return moved


@kernel
def move_texts(out: Any, position: Any, data: Any, rows: Any, offset_word: Any, length_word: Any, length: Any) -> Any:
    """Copy a text of each row from `data` to `out`, from `position` on; returns where they end.

    Shapes: rows (rows, words of a row) int32. The offset stands in one word and the length in another, or is `length` where
    `length_word` is ABSENT. A text with the offset of the row before is not copied again.
    """
    before = np.int64(ABSENT)
    before_length = np.int64(ABSENT)
    for row in range(rows.shape[0]):
        offset = np.int64(rows[row, offset_word])
        if offset == ABSENT:
            continue
        size = np.int64(length) if length_word == ABSENT else np.int64(rows[row, length_word])
        if offset != before or size != before_length:
            start = position
            position = copy(out, position, data, offset, size)
            before = offset
            before_length = size
        rows[row, offset_word] = start
    return position
