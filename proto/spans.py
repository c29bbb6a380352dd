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

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numba import config
from numpy.typing import NDArray

if TYPE_CHECKING:
    from proto.arena import Arena

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

DTYPES: Final = {
    "resources": RESOURCE,
    "scopes": SCOPE,
    "spans": SPAN,
    "events": EVENT,
    "links": LINK,
    "attributes": ATTRIBUTE,
}
"""The tables of a batch, in the order in which they are numbered."""
SPANS: Final = list(DTYPES).index("spans")

_RECORDS = {dtype: np.dtype((np.void, dtype.itemsize)) for dtype in DTYPES.values()}


class Origin(NamedTuple):
    """Where a request that was decoded stands, or several that were decoded one behind the other.

    Attributes:
        arena: the memory that it shares with requests in front of it and behind it; None for a request in memory of its own.
        before: how many rows of each table, in the order of DTYPES, and how many bytes of data stand in front of it. Of the
            table of the spans a batch has its own rows only.
        nbytes_before: bytes of memory that those take which its tables and its data begin with.
        request_size: how many bytes of data are the request; behind them stand texts that were repaired. 0 for several.
    """

    arena: Arena | None
    before: tuple[int, ...]
    nbytes_before: int
    request_size: int


@dataclass(frozen=True, slots=True)
class SpanBatch:
    """Spans with their resources, scopes, events, links and attributes. Immutable: a consumer that changes makes a new one.

    Attributes:
        data: uint8, shape (bytes,); what all offsets point into.
        resources, scopes, spans, events, links, attributes: structured arrays of the dtypes above.
        workspaces: names of the workspaces that `resources["workspace"]` counts.
        longest_nested: no array or key-value list among the attributes' values takes more bytes of `data`; 0 when there is none.
        origin: of a batch that was decoded and is as it came, where it stands in its tables; None for any other batch.
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
    origin: Origin | None = None
    adjusted_count: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the batch holds on to, without what requests in front of it take in the same arena."""
        parts = (self.data, self.resources, self.scopes, self.spans, self.events, self.links, self.attributes)
        nbytes = sum(part.nbytes for part in parts)
        if self.origin is not None:
            nbytes -= self.origin.nbytes_before
        return nbytes if self.adjusted_count is None else nbytes + self.adjusted_count.nbytes

    @property
    def request(self) -> NDArray[np.uint8]:
        """Of a batch that is one request, the bytes that it was decoded from; uint8. No bytes for any other batch."""
        if self.origin is None:
            return self.data[:0]
        start = self.origin.before[-1]
        return self.data[start : start + self.origin.request_size]

    @property
    def own_resources(self) -> range:
        """Rows of `resources` that the batch came with; those in front of them belong to requests in front of it."""
        return range(0 if self.origin is None else self.origin.before[0], len(self.resources))

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
