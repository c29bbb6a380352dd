"""A batch while statements change it: its fields say what is so far, and it is written as a new batch in the end.

Attributes with keys that statements name are columns of an edit, and other fields are columns of tables, copied before the first
change. What changes whole lists of attributes, or needs rows of its own, writes a batch in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.processors.ottl.columns import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    LIST,
    MAP,
    NIL,
    STRING,
    Column,
    Mask,
    apply,
    chosen,
    combinations,
    is_text,
    of_results,
)
from collector.processors.ottl.fields import Fields
from collector.processors.ottl.nested import encoded, inside
from config.ottl_nodes import Level, Path
from config.ottl_paths import CACHE
from proto import spans as wire
from proto.attribute_lists import Lists, put_lists, take_lists
from proto.edit import Data, Edit, Owners, finish_all
from proto.spans import ABSENT, SpanBatch, Table, take
from proto.split import split
from proto.texts import Texts

OWNERS: Final[Mapping[Level, Owners]] = {
    Level.RESOURCE: "resources",
    Level.SCOPE: "scopes",
    Level.SPAN: "spans",
    Level.EVENT: "events",
}
_WIRE_TYPES: Final = np.zeros(16, np.int32)
for _code, _wire_type in (
    (NIL, wire.EMPTY),
    (BOOL, wire.BOOL),
    (INT, wire.INT),
    (FLOAT, wire.DOUBLE),
    (STRING, wire.STRING),
    (BYTES, wire.BYTES),
    (LIST, wire.ARRAY),
    (MAP, wire.KVLIST),
):
    _WIRE_TYPES[_code] = _wire_type
_IDS: Final = ("trace_id", "span_id", "parent_span_id")
_TIMES: Final = ("start_time", "end_time", "time")
_OF_EDITS: Final = frozenset({"attributes_start", "attributes_count", "service_name"})
"""Fields of tables that change with attributes."""
_NOTHING_KEPT: Final = of_results([{}])


class Stored(NamedTuple):
    """Values as attributes hold them: int64 each, of shape (rows,) or, where they are the same for all, (1,)."""

    types: NDArray[Any]
    numbers: NDArray[Any]
    offsets: NDArray[Any]
    lengths: NDArray[Any]


class Draft(Fields):
    """The fields of a batch that is being changed.

    Args:
        batch: stays as it is.
        keys: by what has them, the keys of all attributes that are looked at or changed as columns.
        events: whether events are looked at or changed.
    """

    def __init__(self, batch: SpanBatch, keys: Mapping[Level, Sequence[str]], *, events: bool) -> None:
        super().__init__(_with_events_in_order(batch) if events else batch, keys)
        self._given = batch
        self._begun = self._batch
        self._longest = 0
        self._data = Data(batch.data)
        self._tables: dict[Level, Table] = {}
        self._edits: dict[Level, Edit] = {}
        self._caches: dict[Level, Column] = {}

    # What is so far.

    @property
    def data(self) -> NDArray[np.uint8]:
        """What texts lie in, those that were added too."""
        return self._data.view

    def table(self, level: Level) -> Table:
        """The rows of a level; of attributes only those say something that `lists` gives."""
        table: Table = self._tables.get(level, getattr(self._batch, OWNERS[level]))
        return table

    def column(self, path: Path) -> Column:
        """The values of a field as it is now, one for each row of its level."""
        if path.name != CACHE:
            if path.name == "attributes" and not path.key:
                self.commit()
            return super().column(path)
        kept = self._caches.get(path.level, _NOTHING_KEPT)
        return apply(lambda value: inside(value, path.inside), [kept]) if path.inside else kept

    def cells(self, level: Level, key: str) -> tuple[Table, Mask]:
        """The attributes with a key as they are now."""
        edit, number = self._edit(level), self._keys[level].index(key)
        return edit.cells[number], edit.present[number]

    def lists(self, level: Level, rows: Mask) -> Lists:
        """All attributes of these rows as they are now."""
        return take_lists(self.commit(), OWNERS[level], rows)

    # Changes.

    def put(self, path: Path, rows: Mask, values: Column) -> None:
        """Give a field, or an attribute as a whole, these values in the rows that are chosen; nil removes an attribute.

        Values of fields are of the field's type, and ids have the right length.

        Args:
            rows: bool, shape (rows of the path's level,).
            values: one for each row, or one for all.
        """
        if path.name == CACHE:
            self._caches[path.level] = chosen(rows, values, self._caches.get(path.level, _NOTHING_KEPT))
        elif path.name == "attributes":
            self._put_attribute(path, rows, values)
            self._forget(path.level, path.key)
        else:
            self._put_field(path, rows, values)
            self._forget(path.level)

    def forget_kept(self) -> None:
        """Empty the caches."""
        self._caches.clear()

    def put_lists(self, level: Level, rows: NDArray[np.int64], lists: Lists) -> None:
        """Give these rows, which are ascending, these attributes and no others."""
        batch = self.commit()
        batch = replace(batch, data=self._data.view, longest_nested=max(batch.longest_nested, self._longest), origin=None)
        self._batch = put_lists(batch, OWNERS[level], rows, lists)
        self._edits.clear()
        for name in [name for name in self._columns if name[:2] == (level, "attributes")]:
            del self._columns[name]

    def append_texts(self, texts: Sequence[bytes]) -> Texts:
        """Put texts into the data."""
        return self._data.append_texts(texts)

    def stored(self, values: Column, rows: Mask) -> Stored:
        """The values of these rows as attributes hold them, with their texts in the data."""
        types, numbers = (each if len(values) == 1 else each[rows] for each in (values.types, values.numbers))
        texts = is_text(values) if len(values) == 1 else is_text(values)[rows]
        if not texts.any():
            return Stored(_WIRE_TYPES[types], np.where(types == NIL, 0, numbers), np.zeros(1, int), np.zeros(1, int))
        views = values.values.views
        if views is None:
            views = self.append_texts([encoded(value) for value in values.values.all()])
        places = np.where(texts, numbers, 0)
        lengths = np.where(texts, views.lengths[places], 0)
        nested = lengths[(types == LIST) | (types == MAP)]
        if len(nested):
            # An empty one is one, too.
            self._longest = max(self._longest, int(nested.max()), 1)
        offsets = np.where(texts, views.offsets[places], 0)
        return Stored(_WIRE_TYPES[types], np.where(texts | (types == NIL), 0, numbers), offsets, lengths)

    def reach(self, rows: Mask, values: Column, level: Level, target: Level) -> tuple[Mask, Column]:
        """What rows of a level say, as the rows below say it to which they belong.

        Of the events of a span the last that is chosen counts. Where the spans of a resource or scope differ in what they say,
        it becomes several.
        """
        if level is Level.EVENT and target < level:
            rows, values = _last(rows, values, self.span_of_event, len(self._batch))
            level = Level.SPAN
        if level is target:
            return rows, values
        if level is Level.SCOPE:
            places = self.place(level, Level.SPAN)
            rows, values = rows[places], values.take(places)
        codes = np.zeros(len(rows), np.int64)
        codes[rows] = 1 if len(values) == 1 else 1 + combinations([values.take(rows)])[0]
        self._split("resources" if target is Level.RESOURCE else "scopes", codes)
        return _last(rows, values, self.place(target, Level.SPAN), len(self.table(target)))

    def lower(self, spans: Mask, level: Level) -> Mask:
        """Which rows of a level, which is not above spans, have any of these spans."""
        if level is Level.SPAN:
            return spans
        rows = np.zeros(len(self.table(level)), np.bool_)
        rows[self.place(level, Level.SPAN)[spans]] = True
        return rows

    def commit(self) -> SpanBatch:
        """The batch as it is now."""
        batch = finish_all(self._batch, list(self._edits.values()))
        for level, table in self._tables.items():
            edited: Table = getattr(batch, OWNERS[level])
            for field in _OF_EDITS.intersection(table.dtype.names or ()):
                table[field] = edited[field]
            made: dict[str, Any] = {OWNERS[level]: table}
            batch = replace(batch, data=self._data.view, origin=None, **made)
        if batch is not self._batch:
            self._batch = replace(batch, longest_nested=max(batch.longest_nested, self._longest))
            self._tables.clear()
            self._edits.clear()
        return self._batch

    def finish(self) -> SpanBatch:
        """The batch as it is in the end: the one that was given where nothing has changed."""
        batch = self.commit()
        return self._given if batch is self._begun else batch

    def _edit(self, level: Level) -> Edit:
        if level not in self._edits:
            keys = [key.encode() for key in self._keys[level]]
            self._edits[level] = Edit(self._batch, OWNERS[level], keys, self._data)
        return self._edits[level]

    def _forget(self, level: Level, key: str = "") -> None:
        """Columns are made anew: of the attribute with a key, and of how many there are, or of all that is no attribute."""
        for name in list(self._columns):
            is_attribute = name[1] == "attributes"
            if name[0] is level and (is_attribute and name[2] in (key, "") if key else not is_attribute):
                del self._columns[name]
        self.__dict__.pop("is_root", None)

    def _put_attribute(self, path: Path, rows: Mask, values: Column) -> None:
        edit, number = self._edit(path.level), self._keys[path.level].index(path.key)
        gone = rows & (values.types == NIL)
        if gone.any():
            edit.remove(number, gone)
            rows = rows & ~gone
        if rows.any():
            edit.put(number, rows, *self.stored(values, rows))

    def _put_field(self, path: Path, rows: Mask, values: Column) -> None:
        if path.level not in self._tables:
            given = self.table(path.level)
            self._tables[path.level] = given.view(np.uint8).copy().view(given.dtype)
        table = self._tables[path.level]
        stored = self.stored(values, rows)
        field = path.name.replace(".", "_")
        if field == "parent_span_id":
            ids = self.data[stored.offsets[:, None] + np.arange(8)]
            table[f"{field}_offset"][rows] = np.where(ids.any(axis=1), stored.offsets, ABSENT)
        elif field in _IDS:
            table[f"{field}_offset"][rows] = stored.offsets
        elif f"{field}_offset" in (table.dtype.names or ()):
            table[f"{field}_offset"][rows] = stored.offsets
            table[f"{field}_length"][rows] = stored.lengths
        else:
            table[f"{field}_unix_nano" if field in _TIMES else field][rows] = stored.numbers

    def _split(self, owners: Literal["resources", "scopes"], codes: NDArray[np.int64]) -> None:
        before = self.commit()
        self._batch = split(before, owners, codes)
        if self._batch is not before:
            self._edits.clear()
            self._places.clear()
            for name in [name for name in self._columns if name[0] < Level.SPAN]:
                del self._columns[name]


def _last(rows: Mask, values: Column, owners: NDArray[Any], count: int) -> tuple[Mask, Column]:
    """What the last row that is chosen says, for each of so many rows to which others belong."""
    last = np.full(count, -1, np.int64)
    places = np.flatnonzero(rows)
    np.maximum.at(last, owners[places], places)
    return last >= 0, values.take(np.maximum(last, 0))


def _with_events_in_order(batch: SpanBatch) -> SpanBatch:
    """The batch whose table of events has those of its spans alone, in the order of the spans."""
    fields = Fields(batch, {})
    rows = fields.event_rows
    if len(rows) == len(batch.events) and (rows == np.arange(len(rows))).all():
        return batch
    spans = batch.spans.copy()
    spans["events_start"] = np.cumsum(spans["events_count"]) - spans["events_count"]
    return replace(batch, spans=spans, events=take(batch.events, rows), origin=None)
