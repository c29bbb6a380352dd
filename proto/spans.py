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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

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
    """

    data: NDArray[np.uint8]
    resources: Table
    scopes: Table
    spans: Table
    events: Table
    links: Table
    attributes: Table
    workspaces: tuple[str, ...] = ("default",)

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
            )
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
        )


def take(table: Table, rows: NDArray[Any]) -> Table:
    """Rows of a table by mask or index, copied as whole records: NumPy would copy a structured array field by field."""
    selected: Table = table.view(_RECORDS[table.dtype])[rows].view(table.dtype)
    return selected


# For each table: its fields that hold an offset into `data`, and its fields that hold a row of another table.
_OFFSETS = {
    name: tuple(field for field in dtype.names or () if field.endswith("_offset"))
    for name, dtype in {
        "resources": RESOURCE,
        "scopes": SCOPE,
        "spans": SPAN,
        "events": EVENT,
        "links": LINK,
        "attributes": ATTRIBUTE,
    }.items()
}
_ROWS = {
    "resources": (("attributes_start", "attributes"), ("service_name", "attributes")),
    "scopes": (("attributes_start", "attributes"), ("resource", "resources")),
    "spans": (
        ("attributes_start", "attributes"),
        ("events_start", "events"),
        ("links_start", "links"),
        ("scope", "scopes"),
    ),
    "events": (("attributes_start", "attributes"),),
    "links": (("attributes_start", "attributes"),),
    "attributes": (),
}


def concatenate(batches: Sequence[SpanBatch]) -> SpanBatch:
    """One batch of all spans in the given order. Cost is per batch and per byte, not per span.

    Raises:
        ValueError: no batches, or together they hold 2 GiB or more, which offsets cannot reach.
    """
    if len(batches) == 1:
        return batches[0]
    sizes = np.array([len(batch.data) for batch in batches], np.int64)
    if not len(sizes) or sizes.sum() > np.iinfo(np.int32).max:
        raise ValueError(f"cannot join {len(sizes)} batches of {sizes.sum()} bytes: 1 to 2147483647 bytes are possible")
    workspaces = tuple(dict.fromkeys(name for batch in batches for name in batch.workspaces))
    data_base = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    counts: dict[str, NDArray[np.int64]] = {}
    joined: dict[str, Table] = {}
    for table in _OFFSETS:
        parts = [getattr(batch, table) for batch in batches]
        counts[table] = np.array([len(part) for part in parts], np.int64)
        joined[table] = np.concatenate([part.view(np.uint8) for part in parts]).view(parts[0].dtype)
    for table, rows in joined.items():
        shift = np.repeat(data_base, counts[table]).astype(np.int32)
        for field in _OFFSETS[table]:
            _shift_present(rows[field], shift)
        for field, target in _ROWS[table]:
            base = np.concatenate(([0], np.cumsum(counts[target])[:-1]))
            _shift_present(rows[field], np.repeat(base, counts[table]).astype(np.int32))
    if len(workspaces) > 1:
        position = {name: index for index, name in enumerate(workspaces)}
        renumber = [np.array([position[name] for name in batch.workspaces], np.int32) for batch in batches]
        joined["resources"]["workspace"] = np.concatenate(
            [new[batch.resources["workspace"]] for new, batch in zip(renumber, batches, strict=True)]
        )
    data = np.concatenate([batch.data for batch in batches])
    data.flags.writeable = False
    return SpanBatch(data, workspaces=workspaces, **joined)


def _shift_present(column: NDArray[np.int32], shift: NDArray[np.int32]) -> None:
    np.add(column, shift, out=column, where=column != ABSENT)
