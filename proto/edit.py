"""Changes to attributes: key by key, a column at a time, and written as a new batch in the end.

What is written are whole lists of attributes: those of rows in which something has changed. Texts are appended to the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from proto.attribute_kernels import rewrite_lists
from proto.attribute_search import find_attributes
from proto.room import Room
from proto.spans import ABSENT, ATTRIBUTE, STRING, SpanBatch, Table, records, take
from proto.texts import Texts

Mask = NDArray[np.bool_]
Owners = Literal["resources", "scopes", "spans", "events", "links"]

_MOST_BYTES: Final = np.iinfo(np.int32).max
_SERVICE_NAME: Final = b"service.name"
_RECORD: Final = np.dtype((np.void, ATTRIBUTE.itemsize))
"""An attribute as a whole: NumPy would copy it field by field."""


class Data:
    """The data of a batch, to which texts are appended. The batch's own stay where they are.

    Attributes:
        view: all of it, uint8, read-only.
    """

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self.view = data
        self._room: Room | None = None

    def append(self, more: NDArray[np.uint8]) -> int:
        """Put bytes at the end, and say where they begin.

        Raises:
            ValueError: with them there are 2 GiB or more, which offsets cannot reach.
        """
        start = len(self.view)
        if start + len(more) > _MOST_BYTES:
            raise ValueError(f"cannot append {len(more)} bytes to {start}: offsets reach {_MOST_BYTES}")
        if self._room is None:
            self._room = Room()
            # What is not touched costs nothing, and to move all of it a second time would.
            self._room.reserve(start + start // 4 + 2 * len(more))[:start] = self.view
            self._room.size = start
        self._room.reserve(len(more))[start : start + len(more)] = more
        self._room.size += len(more)
        self.view = self._room.bytes[: self._room.size]
        self.view.flags.writeable = False
        return start

    def append_texts(self, texts: Sequence[bytes]) -> Texts:
        """Put texts at the end, one behind the other; their places are int32."""
        lengths = np.array([len(text) for text in texts], np.int32)
        start = self.append(np.frombuffer(b"".join(texts), np.uint8))
        offsets = (start + np.cumsum(lengths, dtype=np.int64) - lengths).astype(np.int32)
        return Texts(self.view, offsets, lengths)


class Edit:
    """The attributes of all rows of a table: those with certain keys as columns, all others by their places.

    Attributes:
        keys: of the columns.
        data: what texts point into.
        cells: the attribute with each of the keys in each row, of dtype ATTRIBUTE, shape (keys, rows); arbitrary where none is.
        present: whether there is one, bool, shape (keys, rows).
        attributes: all attributes of the batch, of which those with other keys are as they are now.

    Args:
        batch: stays as it is.
        owners: the table.
        keys: of the columns; each once.
        data: of the batch, where several edits of it append to the same; without, the edit has data of its own.
    """

    def __init__(self, batch: SpanBatch, owners: Owners, keys: Sequence[bytes], data: Data | None = None) -> None:
        self._batch = batch
        self._owners: Owners = owners
        self._table: Table = getattr(batch, owners)
        self.keys = frozenset(keys)
        self._keys = np.frombuffer(b"".join(keys), np.uint8)
        self._key_ends = np.cumsum([len(key) for key in keys], dtype=np.int64)
        self._key_texts: int | None = None
        self._starts = np.ascontiguousarray(self._table["attributes_start"])
        self._counts = np.ascontiguousarray(self._table["attributes_count"])
        self._found = find_attributes(batch, self._table, keys)
        self._changed = np.zeros(len(self._table), np.bool_)
        self._removed = np.zeros(len(batch.attributes), np.bool_)
        self.data = Data(batch.data) if data is None else data
        self.attributes = batch.attributes
        self.present: Mask = self._found != ABSENT
        self.cells: Table = np.zeros(self._found.shape, ATTRIBUTE)
        self.cells.view(_RECORD)[self.present] = batch.attributes.view(_RECORD)[self._found[self.present]]

    # The columns.

    def values(self, key: int, rows: Mask) -> Table:
        """A copy of a column's attributes in these rows."""
        return take(self.cells[key], rows)

    def put_texts(self, key: int, rows: Mask, codes: NDArray[Any], texts: Sequence[bytes]) -> None:
        """Give each of these rows a string: of those in `texts` the one that `codes`, shape (rows that are chosen,), says."""
        appended = self.data.append_texts(texts)
        self.put(key, rows, STRING, 0, appended.offsets[codes], appended.lengths[codes])

    def put_numbers(self, key: int, rows: Mask, value_type: int, numbers: Any) -> None:
        """Give these rows values of a type without text; of a double, `numbers` are the bits, int64."""
        self.put(key, rows, value_type, numbers, 0, 0)

    def copy(self, key: int, source: int, rows: Mask) -> None:
        """Give these rows under `key` the value that they have under `source`."""
        values = self.values(source, rows)
        self.put(key, rows, values["type"], values["number"], values["value_offset"], values["value_length"])

    def remove(self, key: int, rows: Mask) -> None:
        """Take the attribute, and others with the same key, from these rows."""
        self._changed |= rows & self.present[key]
        self.present[key] &= ~rows

    def put(self, key: int, rows: Mask, value_type: Any, numbers: Any, offsets: Any, lengths: Any) -> None:
        """Give each of these rows a value: one for all, or arrays with one for each row that is chosen.

        Args:
            offsets, lengths: where its text lies in the data, or its message if it is an array or a key-value list.
        """
        if self._key_texts is None:
            self._key_texts = self.data.append(self._keys)
        start = int(self._key_ends[key - 1]) if key else 0
        cells = self.cells[key]
        cells["key_offset"][rows] = self._key_texts + start
        cells["key_length"][rows] = self._key_ends[key] - start
        cells["type"][rows] = value_type
        cells["number"][rows] = numbers
        cells["value_offset"][rows] = offsets
        cells["value_length"][rows] = lengths
        self.present[key] |= rows
        self._changed |= rows

    # Attributes with other keys.

    def places(self, rows: Mask) -> NDArray[np.int64]:
        """Where in `attributes` those of these rows are, one row behind the other, without those that were removed."""
        starts, counts = self._starts[rows], self._counts[rows].astype(np.int64)
        places: NDArray[np.int64] = np.arange(int(counts.sum())) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
        return places[~self._removed[places]]

    def rows_of(self, places: NDArray[np.int64]) -> Mask:
        """Which rows have any of these attributes."""
        among = np.zeros(len(self.attributes) + 1, np.int64)
        among[places + 1] = 1
        np.cumsum(among, out=among)
        rows: Mask = among[self._starts + self._counts] > among[self._starts]
        return rows

    def remove_places(self, rows: Mask, places: NDArray[np.int64]) -> None:
        """Take these attributes away, which are some of those that the rows have, and have none of the columns' keys."""
        self._removed[places] = True
        self._changed |= rows

    def put_texts_at(self, rows: Mask, places: NDArray[np.int64], codes: NDArray[Any], texts: Sequence[bytes]) -> None:
        """Give each of these attributes, which are as for `remove_places`, a string: that of `texts` that `codes` says."""
        appended = self.data.append_texts(texts)
        if self.attributes is self._batch.attributes:
            self.attributes = self.attributes.view(np.uint8).copy().view(ATTRIBUTE)
        self.attributes["type"][places] = STRING
        self.attributes["number"][places] = 0
        self.attributes["value_offset"][places] = appended.offsets[codes]
        self.attributes["value_length"][places] = appended.lengths[codes]
        self._changed |= rows

    def finish(self) -> SpanBatch:
        """The batch as it is now: the one that was given where nothing has changed."""
        return finish_all(self._batch, [self])

    @property
    def changes(self) -> bool:
        """Whether anything has changed."""
        return bool(self._changed.any())

    @property
    def room(self) -> int:
        """How many attributes lists may take that grow, and so are written elsewhere."""
        added = np.count_nonzero(self.present & (self._found == ABSENT), axis=0)
        return int((self._counts + added)[(added > 0) & self._changed].sum())

    def write(self, before: Table, attributes: Table, tail: int) -> tuple[int, dict[str, Any]]:
        """Write the lists that have changed; says where what is written ends, and gives the table as it is then.

        Args:
            before: all attributes as they were.
            attributes: begins with them; lists that grow go behind `tail`.
        """
        starts, counts = self._starts.copy(), self._counts.copy()
        out = records(attributes), tail, starts, counts
        old = self.data.view, records(before), self._removed, self._starts, self._counts, np.flatnonzero(self._changed)
        changes = self._keys, self._key_ends, self._found, records(self.cells), self.present
        end = rewrite_lists(*out, *old, *changes)
        table: Table = self._table.view(np.uint8).copy().view(self._table.dtype)
        table["attributes_start"] = starts
        table["attributes_count"] = counts
        return end, {self._owners: table}


def finish_all(batch: SpanBatch, edits: Sequence[Edit]) -> SpanBatch:
    """The batch as edits of it have made it, each of another table: the one that was given where nothing has changed.

    Args:
        edits: share their data, and have changed columns only, unless there is but one.
    """
    changed = [edit for edit in edits if edit.changes]
    if not changed:
        return batch
    before = changed[0].attributes if len(edits) == 1 else batch.attributes
    attributes = np.empty(len(before) + sum(edit.room for edit in changed), ATTRIBUTE)
    attributes.view(np.uint8)[: before.nbytes] = before.view(np.uint8)
    end = len(before)
    made: dict[str, Any] = {}
    for edit in changed:
        end, tables = edit.write(before, attributes, end)
        made |= tables
    edited = replace(batch, data=changed[0].data.view, attributes=attributes[:end], origin=None, **made)
    return with_service_names(edited) if "resources" in made else edited


def with_service_names(batch: SpanBatch) -> SpanBatch:
    """The batch whose resources, a table of its own, say again where their names of services are."""
    batch.resources["service_name"] = find_attributes(batch, batch.resources, [_SERVICE_NAME])[0]
    return batch
