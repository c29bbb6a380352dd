"""What conditions and statements look at: the fields of a batch as columns, each made once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

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
    TIME,
    Column,
    Rows,
    Values,
    apply,
    of_one_type,
)
from collector.processors.ottl.nested import inside, read_list, read_map
from config.ottl_nodes import Level, Path
from proto import spans as wire
from proto.attribute_search import find_attributes
from proto.spans import ABSENT, SpanBatch, Table, take
from proto.texts import Texts, distinct_texts

_KINDS: Final = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_NESTED: Final = {wire.ARRAY: LIST, wire.KVLIST: MAP}
_TYPE_CODES: Final = np.zeros(8, np.uint8)
for _wire_type, _code in (
    (wire.EMPTY, NIL),
    (wire.STRING, STRING),
    (wire.BOOL, BOOL),
    (wire.INT, INT),
    (wire.DOUBLE, FLOAT),
    (wire.ARRAY, LIST),
    (wire.KVLIST, MAP),
    (wire.BYTES, BYTES),
):
    _TYPE_CODES[_wire_type] = _code
_TIMES: Final = {"start_time", "end_time", "time"}
_NO_PARENT: Final = bytes(8)
_READERS: Final[Mapping[int, Callable[[bytes], Any]]] = {
    int(STRING): bytes.decode,
    int(BYTES): bytes,
    int(LIST): read_list,
    int(MAP): read_map,
}


class Fields:
    """The fields of a batch.

    Args:
        batch: whose spans, and their events, are looked at.
        keys: by what has them, the keys of all attributes that will be asked for: they are found in one pass.
    """

    def __init__(self, batch: SpanBatch, keys: Mapping[Level, Sequence[str]]) -> None:
        self._batch = batch
        self._keys = keys
        self._columns: dict[tuple[Level, str, str, tuple[str | int, ...]], Column] = {}
        self._found: dict[Level, NDArray[np.int32]] = {}
        self._places: dict[tuple[Level, Level], Rows] = {}

    @property
    def data(self) -> NDArray[np.uint8]:
        """What texts lie in."""
        return self._batch.data

    def column(self, path: Path) -> Column:
        """The values of a field, one for each row of its level."""
        name = (path.level, path.name, path.key, path.inside)
        if name not in self._columns:
            column = self._column(path)
            self._columns[name] = apply(lambda value: inside(value, path.inside), [column]) if path.inside else column
        return self._columns[name]

    def place(self, low: Level, high: Level) -> Rows:
        """For each row of the higher level the row of the lower one that it belongs to."""
        if (low, high) not in self._places:
            rows = self._owners(high)
            self._places[low, high] = rows if high - 1 == low else self.place(low, Level(high - 1))[rows]
        return self._places[low, high]

    def table(self, level: Level) -> Table:
        """The rows of a level."""
        match level:
            case Level.RESOURCE:
                return self._batch.resources
            case Level.SCOPE:
                return self._batch.scopes
            case Level.SPAN:
                return self._batch.spans
        return self.events

    @cached_property
    def event_rows(self) -> Rows:
        """Where the events of the spans lie in the batch's table, in the order of the spans; int64."""
        counts = self._batch.spans["events_count"].astype(np.int64)
        before = np.cumsum(counts) - counts
        return np.repeat(self._batch.spans["events_start"] - before, counts) + np.arange(counts.sum())

    @cached_property
    def events(self) -> Table:
        """The events of the spans."""
        return take(self._batch.events, self.event_rows)

    @cached_property
    def span_of_event(self) -> Rows:
        """For each event the row of its span."""
        return np.repeat(np.arange(len(self._batch)), self._batch.spans["events_count"])

    @cached_property
    def is_root(self) -> NDArray[np.bool_]:
        """Spans that name no parent."""
        offsets: NDArray[np.int32] = self.table(Level.SPAN)["parent_span_id_offset"]
        result: NDArray[np.bool_] = offsets == ABSENT
        # Ids are random: one that begins with zero is rare, and zeros alone are none.
        zeros = np.flatnonzero(self.data[np.maximum(offsets, 0)] == 0)
        ids = self.data[np.maximum(offsets[zeros], 0)[:, None] + np.arange(8)]
        result[zeros] |= ~ids.any(axis=1)
        return result

    def _owners(self, level: Level) -> Rows:
        """For each row of a level the row of the level below that it belongs to."""
        match level:
            case Level.EVENT:
                return self.span_of_event
            case Level.SPAN:
                return self._batch.spans["scope"]
        return self._batch.scopes["resource"]

    def _column(self, path: Path) -> Column:
        table = self.table(path.level)
        match path.name:
            case "attributes" if path.key:
                return self._attribute(path)
            case "attributes" | "events" | "links":
                return of_one_type(INT, table[f"{path.name}_count"])
            case "event_index":
                counts = self._batch.spans["events_count"].astype(np.int64)
                return of_one_type(INT, np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))
            case "kind.string" | "kind.deprecated_string":
                kinds = of_one_type(INT, table["kind"])
                return apply(_kind_name if path.name == "kind.string" else _old_kind_name, [kinds])
            case "trace_id":
                return self._texts(table["trace_id_offset"], np.full(len(table), 16, np.int32), BYTES)
            case "span_id":
                return self._texts(table["span_id_offset"], np.full(len(table), 8, np.int32), BYTES)
            case "parent_span_id":
                return self._parents()
            case "trace_id.string" | "span_id.string" | "parent_span_id.string":
                ids = self.column(_beside(path, path.name.removesuffix(".string")))
                return apply(lambda value: value.hex() if any(value) else "", [ids])
            case "trace_state" if path.key:
                states = self.column(_beside(path, "trace_state"))
                return apply(lambda value: _trace_state(value, path.key), [states])
        if path.name in _TIMES:
            return of_one_type(TIME, table[f"{path.name}_unix_nano"])
        field = path.name.replace(".", "_")
        names: Mapping[str, Any] = table.dtype.fields or {}
        if field in names:
            return of_one_type(INT, table[field])
        return self._texts(table[f"{field}_offset"], table[f"{field}_length"], STRING)

    def _texts(self, offsets: Rows, lengths: Rows, code: np.uint8) -> Column:
        texts = Texts(self.data, np.ascontiguousarray(offsets), np.ascontiguousarray(lengths))
        codes, distinct = distinct_texts(texts)
        return of_one_type(code, codes, self._values([(code, distinct)]))

    def _parents(self) -> Column:
        is_root = self.is_root
        offsets = self.table(Level.SPAN)["parent_span_id_offset"][~is_root]
        codes, distinct = distinct_texts(Texts(self.data, offsets, np.full(len(offsets), 8, np.int32)))
        numbers = np.zeros(len(is_root), np.int64)
        # Roots come first: their zeros need not stand anywhere in the data.
        numbers[~is_root] = codes + 1
        others = self._values([(BYTES, distinct)])
        values = Values(
            lambda place: others[place - 1] if place else _NO_PARENT,
            len(others) + 1,
            lambda value: np.array([others.place(value) + 1]) if value != _NO_PARENT else np.zeros(1, np.int64),
        )
        return of_one_type(BYTES, numbers, values)

    def cells(self, level: Level, key: str) -> tuple[Table, NDArray[np.bool_]]:
        """For each row of a level the attribute with a key, dtype ATTRIBUTE, arbitrary where there is none; and where one is."""
        keys = self._keys[level]
        if level not in self._found:
            self._found[level] = find_attributes(self._batch, self.table(level), [key.encode() for key in keys])
        rows = self._found[level][keys.index(key)]
        if not len(self._batch.attributes):
            return np.zeros(len(rows), wire.ATTRIBUTE), np.zeros(len(rows), np.bool_)
        return take(self._batch.attributes, np.maximum(rows, 0)), rows != ABSENT

    def _attribute(self, path: Path) -> Column:
        attributes, present = self.cells(path.level, path.key)
        types = _TYPE_CODES[attributes["type"]]
        types[~present] = NIL
        numbers = attributes["number"].copy()
        kinds: list[tuple[np.uint8, Texts]] = []
        before = 0
        for code in (STRING, BYTES, LIST, MAP):
            mask = types == code
            if mask.any():
                texts = Texts(self.data, attributes["value_offset"][mask], attributes["value_length"][mask])
                codes, distinct = distinct_texts(texts)
                numbers[mask] = codes + before
                before += len(distinct.offsets)
                kinds.append((code, distinct))
        return Column(types, numbers, self._values(kinds))

    def _values(self, kinds: Sequence[tuple[np.uint8, Texts]]) -> Values:
        """The values that differ, by their types one behind the other."""
        data = self.data
        offsets = np.concatenate([texts.offsets for _, texts in kinds]) if kinds else np.zeros(0, np.int64)
        lengths = np.concatenate([texts.lengths for _, texts in kinds]) if kinds else np.zeros(0, np.int64)
        codes = np.repeat([int(code) for code, _ in kinds], [len(texts.offsets) for _, texts in kinds])

        def make(place: int) -> Any:
            start = int(offsets[place])
            return _READERS[int(codes[place])](data[start : start + int(lengths[place])].tobytes())

        def find(value: str | bytes) -> Rows:
            encoded = value.encode() if isinstance(value, str) else value
            places = np.flatnonzero((lengths == len(encoded)) & (codes == (STRING if isinstance(value, str) else BYTES)))
            # Most of what is as long differs in the first byte or in the last.
            for index in (0, -1) if encoded else ():
                ends = offsets[places] + (len(encoded) - 1 if index else 0)
                places = places[data[ends] == encoded[index]]
            return places

        return Values(make, len(offsets), find, Texts(data, offsets, lengths))


def _beside(path: Path, name: str) -> Path:
    return Path(path.types, path.level, path.at, name, "", ())


def _kind_name(kind: int) -> str:
    return _KINDS[kind] if 0 <= kind < len(_KINDS) else ""


def _old_kind_name(kind: int) -> str:
    return f"SPAN_KIND_{_kind_name(kind).upper()}" if _kind_name(kind) else ""


def _trace_state(state: str, key: str) -> str:
    """The value of one member of a W3C tracestate; empty where there is none."""
    for member in state.split(","):
        name, _, value = member.strip().partition("=")
        if name == key:
            return value
    return ""
