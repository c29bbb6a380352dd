"""SpanBatch: the one type that travels through the program.

A batch is the bytes of one or more OTLP requests and six tables of numbers that say where everything lies in them. Strings,
ids and nested values are (offset, length) views into `data`; nothing is copied out until it is written to where it goes.
The tables are NumPy structured arrays, so a column is `batch.spans["kind"]`, a selection `batch.spans[mask]`, and a kernel
reads `spans[row].kind`.

Rows refer to each other by index: a span has a `scope`, a scope a `resource`, and spans, scopes, resources, events and links
each own a consecutive run of another table (`attributes_start`, `attributes_count`, ...). A consumer that drops spans
need only drop rows of `spans`; what nothing refers to is never written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import config
from numpy.typing import NDArray

from proto.kernel import unchecked_kernel

Table = NDArray[Any]

ABSENT: Final = -1
"""Offset of a parent id that is not there, and index of an attribute that is not there."""

# Types of attribute values, numbered like the members of OTLP's AnyValue.
EMPTY: Final = 0
STRING: Final = 1
BOOL: Final = 2
INT: Final = 3
DOUBLE: Final = 4
ARRAY: Final = 5
KVLIST: Final = 6
BYTES: Final = 7


def _text(name: str) -> list[tuple[str, str]]:
    return [(f"{name}_offset", "<i4"), (f"{name}_length", "<i4")]


def _run(name: str) -> list[tuple[str, str]]:
    return [(f"{name}_start", "<i4"), (f"{name}_count", "<i4")]


RESOURCE = np.dtype(
    [
        ("workspace", "<i4"),  # index into SpanBatch.workspaces
        ("service_name", "<i4"),  # index into attributes, ABSENT when the resource has none
        *_text("schema_url"),
        *_run("attributes"),
        ("dropped_attributes_count", "<u4"),
        *_text("entity_refs"),  # fields of the Resource message, with their keys and lengths
    ]
)
SCOPE = np.dtype(
    [
        ("resource", "<i4"),
        *_text("name"),
        *_text("version"),
        *_text("schema_url"),
        *_run("attributes"),
        ("dropped_attributes_count", "<u4"),
    ]
)
SPAN = np.dtype(
    [
        ("start_time_unix_nano", "<u8"),
        ("end_time_unix_nano", "<u8"),
        ("scope", "<i4"),
        ("trace_id_offset", "<i4"),  # always 16 bytes
        ("span_id_offset", "<i4"),  # always 8 bytes
        ("parent_span_id_offset", "<i4"),  # 8 bytes, or ABSENT for a root
        *_text("trace_state"),
        *_text("name"),
        ("kind", "<i4"),
        ("status_code", "<i4"),
        *_text("status_message"),
        ("flags", "<u4"),
        *_run("attributes"),
        ("dropped_attributes_count", "<u4"),
        *_run("events"),
        ("dropped_events_count", "<u4"),
        *_run("links"),
        ("dropped_links_count", "<u4"),
        ("wire_length", "<i4"),  # bytes of this span's own message: what it weighs
    ]
)
EVENT = np.dtype(
    [
        ("time_unix_nano", "<u8"),
        *_text("name"),
        *_run("attributes"),
        ("dropped_attributes_count", "<u4"),
    ]
)
LINK = np.dtype(
    [
        *_text("trace_id"),
        *_text("span_id"),
        *_text("trace_state"),
        *_run("attributes"),
        ("dropped_attributes_count", "<u4"),
        ("flags", "<u4"),
    ]
)
ATTRIBUTE = np.dtype(
    [
        # BOOL, INT: the value; DOUBLE: the bits of the value
        ("number", "<i8"),
        *_text("key"),
        # STRING, BYTES: the value; ARRAY, KVLIST: its ArrayValue or KeyValueList message
        *_text("value"),
        ("type", "<i4"),  # EMPTY ... BYTES
    ]
)

_RECORDS = {dtype: np.dtype((np.void, dtype.itemsize)) for dtype in (RESOURCE, SCOPE, SPAN, EVENT, LINK, ATTRIBUTE)}


@dataclass(frozen=True, slots=True)
class SpanBatch:
    """Spans with their resources, scopes, events, links and attributes. Immutable: a consumer that changes makes a new one.

    Attributes:
        data: uint8, shape (bytes,); what all offsets point into.
        resources, scopes, spans, events, links, attributes: structured arrays of the dtypes above.
        workspaces: names of the workspaces that `resources["workspace"]` counts.
        longest_nested: no array or key-value list among the attributes' values takes more bytes of `data`; 0 when there is none.
        request_size: of a batch that is one request, how many bytes at the start of `data` are the request; behind them stand
            texts that were repaired. 0 for any other batch.
        adjusted_count: how many spans each span stands for, float64, shape (spans,); NaN for one whose trace state says it, None
            where that is so for all. To be read through `proto.adjusted_count`.
    """

    data: NDArray[np.uint8]
    resources: Table
    scopes: Table
    spans: Table
    events: Table
    links: Table
    attributes: Table
    workspaces: tuple[str, ...] = ("default",)
    longest_nested: int = 0
    request_size: int = 0
    adjusted_count: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the batch holds on to."""
        return sum(
            part.nbytes
            for part in (
                self.data,
                self.resources,
                self.scopes,
                self.spans,
                self.events,
                self.links,
                self.attributes,
                self.adjusted_count,
            )
            if part is not None
        )

    def select(self, rows: NDArray[Any] | slice) -> SpanBatch:
        """The batch with only these rows of `spans` (a boolean mask, indices in the wanted order, or a slice)."""
        return SpanBatch(
            self.data,
            self.resources,
            self.scopes,
            self.spans[rows] if isinstance(rows, slice) else take(self.spans, rows),
            self.events,
            self.links,
            self.attributes,
            self.workspaces,
            self.longest_nested,
            adjusted_count=None if self.adjusted_count is None else self.adjusted_count[rows],
        )


def members(starts: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.int64]:
    """The rows in all runs, one run behind the other, each of which has its start and its count; shapes (runs,)."""
    ends = np.cumsum(counts, dtype=np.int64)
    rows: NDArray[np.int64] = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    return rows


def records(table: Table) -> Table:
    """The table as a kernel takes it: where kernels run as plain Python, its rows need to be told that fields are attributes."""
    return table.view(np.recarray) if config.DISABLE_JIT else table  # type: ignore[attr-defined]  # numba makes it at run time


def take(table: Table, rows: NDArray[Any]) -> Table:
    """Rows of a table by mask or index, copied as whole records: NumPy would copy a structured array field by field."""
    selected: Table = table.view(_RECORDS[table.dtype])[rows].view(table.dtype)
    return selected


_DATA: Final = "data"
_DTYPES: Final = {
    "resources": RESOURCE,
    "scopes": SCOPE,
    "spans": SPAN,
    "events": EVENT,
    "links": LINK,
    "attributes": ATTRIBUTE,
}


def _references(dtype: np.dtype[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The fields of a table that point elsewhere: their places in a row, in 32-bit words, and by number what they point into."""
    targets = {"service_name": "attributes", "scope": "scopes", "resource": "resources"}
    fields: Mapping[str, Any] = dtype.fields or {}
    for field in fields:
        if field.endswith("_offset"):
            targets[field] = _DATA
        elif field.endswith("_start"):
            targets[field] = field.removesuffix("_start")
    found = {fields[field][1] // 4: target for field, target in targets.items() if field in fields}
    numbers = [(*_DTYPES, _DATA).index(target) for target in found.values()]
    return np.array(list(found), np.int64), np.array(numbers, np.int64)


_REFERENCES: Final = {table: _references(dtype) for table, dtype in _DTYPES.items()}


@unchecked_kernel
def _shift_references(rows: Table, ends: Table, words: Table, targets: Table, bases: Table) -> None:
    """Rows of joined tables: add to each of their `words` where what it points into begins for the batch that they come from.

    Shapes: rows (rows, words of a row) int32, ends (batches,) int64: the row behind each batch, words and targets (references,)
    int64, bases (targets, batches) int32.
    """
    if bases.shape[1] != ends.size or words.size != targets.size or (ends.size and ends[-1] > rows.shape[0]):
        raise IndexError("more rows than there are")
    start = 0
    for batch in range(ends.size):
        for reference in range(words.size):
            word = words[reference]
            target = targets[reference]
            if word < 0 or word >= rows.shape[1] or target < 0 or target >= bases.shape[0]:
                raise IndexError("a word behind the end of a row, or a target that there is not")
            shift = bases[target, batch]
            for row in range(start, ends[batch]):
                if rows[row, word] != ABSENT:
                    rows[row, word] += shift
        start = ends[batch]


def concatenate(batches: Sequence[SpanBatch]) -> SpanBatch:
    """One batch of all spans in the given order. Cost is per batch and per byte, not per span.

    Raises:
        ValueError: no batches, or together they hold 2 GiB or more, which offsets cannot reach.
    """
    if len(batches) == 1:
        return batches[0]
    size = sum(len(batch.data) for batch in batches)
    if not batches or size > np.iinfo(np.int32).max:
        raise ValueError(f"cannot join {len(batches)} batches of {size} bytes: 1 to 2147483647 bytes are possible")
    workspaces = tuple(dict.fromkeys(name for batch in batches for name in batch.workspaces))
    parts = {table: [getattr(batch, table) for batch in batches] for table in (*_DTYPES, _DATA)}
    counts = np.array([[len(part) for part in of_table] for of_table in parts.values()], np.int64)
    ends = np.cumsum(counts, axis=1)
    bases = (ends - counts).astype(np.int32)
    joined: dict[str, Any] = {}
    for number, (table, dtype) in enumerate(_DTYPES.items()):
        # Joined as bytes, into bytes that can be written to: NumPy would copy structured rows field by field.
        rows: Table = np.ndarray(int(ends[number, -1]), dtype, bytearray().join(parts[table]))
        _shift_references(rows.view(np.int32).reshape(-1, dtype.itemsize // 4), ends[number], *_REFERENCES[table], bases)
        joined[table] = rows
    if len(workspaces) > 1:
        position = {name: index for index, name in enumerate(workspaces)}
        renumber = [np.array([position[name] for name in batch.workspaces], np.int32) for batch in batches]
        joined["resources"]["workspace"] = np.concatenate(
            [new[batch.resources["workspace"]] for new, batch in zip(renumber, batches, strict=True)]
        )
    data = np.frombuffer(b"".join(parts[_DATA]), np.uint8)
    longest_nested = max(batch.longest_nested for batch in batches)
    if any(batch.adjusted_count is not None for batch in batches):
        joined["adjusted_count"] = np.concatenate(
            [np.full(len(batch), np.nan) if batch.adjusted_count is None else batch.adjusted_count for batch in batches]
        )
    return SpanBatch(data, workspaces=workspaces, longest_nested=longest_nested, **joined)
