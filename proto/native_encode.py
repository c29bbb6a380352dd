"""SpanBatch to a block of ClickHouse's Native format: the columns of `otel_traces`, in the order of its definition.

The mapping is COLUMNS at the end of this file: each names a column and its type, and says how it is written and when a block
needs it. A block is the number of columns and rows, then for each column its name, its type and its data (`proto.native_data`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from proto.native_data import (
    Pieces,
    arrays,
    dictionary,
    ids,
    known_texts,
    low_cardinality,
    maps,
    numbers,
    shared_maps,
    strings,
    version_of,
)
from proto.native_rows import Bytes, Integers, Rows, Texts
from proto.spans import ABSENT, SpanBatch

INT64_MAX: Final = np.uint64(2**63 - 1)
KINDS: Final = ("", "Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUS_CODES: Final = ("", "Unset", "Ok", "Error")
DEFAULT_WORKSPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class NativeBlock:
    """A block ready to be sent.

    Attributes:
        columns: names of the columns in their order, which the INSERT must list; those that are all default are left out.
        pieces: buffers of bytes whose concatenation is the block.
        rows: number of spans.
    """

    columns: tuple[str, ...]
    pieces: list[Bytes | bytes]
    rows: int

    @property
    def nbytes(self) -> int:
        return sum(len(piece) for piece in self.pieces)


class Column(NamedTuple):
    """One column of the table: its name, its type, how its data is written, and whether a block needs it."""

    name: str
    type: str
    write: Callable[[Rows], Pieces]
    needed: Callable[[Rows], bool] = lambda rows: True


def encode(batch: SpanBatch, columns: Sequence[Column] | None = None) -> NativeBlock:
    """Write all spans of a batch as one block, with those of `columns` (default: COLUMNS) that are not all default."""
    rows = Rows(batch)
    chosen = [column for column in columns or COLUMNS if column.needed(rows)]
    pieces: list[Bytes | bytes] = [_varint(len(chosen)) + _varint(len(batch))]
    for column in chosen:
        pieces.append(_header(column))
        pieces.extend(column.write(rows))
    return NativeBlock(tuple(column.name for column in chosen), pieces, len(batch))


def _header(column: Column) -> bytes:
    name = column.name.encode()
    kind = column.type.encode()
    return _varint(len(name)) + name + _varint(len(kind)) + kind + version_of(column.type)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


# What single columns hold.


def _clamped(times: Integers) -> Integers:
    return np.minimum(times, INT64_MAX)


def _duration(rows: Rows) -> Integers:
    return np.where(rows.end > rows.start, rows.end - rows.start, np.uint64(0))


def _enumerated(names: Sequence[str], numbers: Integers) -> Pieces:
    """Numbers as the names that follow the first of `names`, which stands for numbers without a name."""
    yield from dictionary(known_texts(names), np.where(_is_named(names, numbers), numbers + 1, 0))


def _unnamed(names: Sequence[str], numbers: Integers) -> Integers:
    return np.where(_is_named(names, numbers), 0, numbers)


def _is_named(names: Sequence[str], numbers: Integers) -> Integers:
    named: Integers = (numbers >= 0) & (numbers < len(names) - 1)
    return named


def _span_ids(rows: Rows, field: str, length: int) -> Pieces:
    offsets = rows.spans[f"{field}_offset"]
    return ids(Texts(rows.data, offsets, np.where(offsets == ABSENT, 0, length).astype(np.int32)))


def _scope_strings(rows: Rows, field: str) -> Pieces:
    data, offsets, lengths = rows.texts(rows.scopes, field)
    return strings(Texts(data, offsets[rows.scope_of_span], lengths[rows.scope_of_span]))


def _odd_event_times(rows: Rows) -> Pieces:
    """The times of a span's events, for the spans that have one which does not fit its column."""
    times = rows.events["time_unix_nano"]
    owners = np.repeat(np.arange(len(rows.events_count)), rows.events_count)
    odd = np.bincount(owners[times > INT64_MAX], minlength=len(rows.events_count)) > 0
    return arrays(np.where(odd, rows.events_count, 0), numbers(times[odd[owners]], np.uint64))


def _has_events(rows: Rows) -> bool:
    return bool(rows.events_count.any())


def _has_links(rows: Rows) -> bool:
    return bool(rows.links_count.any())


_STRING = "String"
_SYMBOL = "LowCardinality(String)"
_MAP = "Map(LowCardinality(String), String)"
_TIME = "DateTime64(9)"


def _of_events(name: str, kind: str, write: Callable[[Rows], Pieces], needed: Callable[[Rows], bool] = _has_events) -> Column:
    return Column(f"Events.{name}", f"Array({kind})", lambda rows: arrays(rows.events_count, write(rows)), needed)


def _of_links(name: str, kind: str, write: Callable[[Rows], Pieces], needed: Callable[[Rows], bool] = _has_links) -> Column:
    return Column(f"Links.{name}", f"Array({kind})", lambda rows: arrays(rows.links_count, write(rows)), needed)


COLUMNS: Final = (
    Column("Timestamp", _TIME, lambda rows: numbers(_clamped(rows.start), np.int64)),
    Column("TraceId", _STRING, lambda rows: _span_ids(rows, "trace_id", 16)),
    Column("SpanId", _STRING, lambda rows: _span_ids(rows, "span_id", 8)),
    Column("ParentSpanId", _STRING, lambda rows: _span_ids(rows, "parent_span_id", 8)),
    Column("TraceState", _STRING, lambda rows: strings(rows.texts(rows.spans, "trace_state"))),
    Column("SpanName", _SYMBOL, lambda rows: low_cardinality(rows.texts(rows.spans, "name"))),
    Column("SpanKind", _SYMBOL, lambda rows: _enumerated(KINDS, rows.spans["kind"])),
    Column("ServiceName", _SYMBOL, lambda rows: low_cardinality(rows.service_names, rows.resource_of_span)),
    Column("ResourceAttributes", _MAP, lambda rows: shared_maps(rows, rows.resources, rows.resource_of_span)),
    Column("ScopeName", _STRING, lambda rows: _scope_strings(rows, "name")),
    Column("ScopeVersion", _STRING, lambda rows: _scope_strings(rows, "version")),
    Column("SpanAttributes", _MAP, lambda rows: maps(rows, rows.spans.lists())),
    Column("Duration", "UInt64", lambda rows: numbers(_duration(rows), np.uint64)),
    Column("StatusCode", _SYMBOL, lambda rows: _enumerated(STATUS_CODES, rows.spans["status_code"])),
    Column("StatusMessage", _STRING, lambda rows: strings(rows.texts(rows.spans, "status_message"))),
    _of_events("Timestamp", _TIME, lambda rows: numbers(_clamped(rows.events["time_unix_nano"]), np.int64)),
    _of_events("Name", _SYMBOL, lambda rows: low_cardinality(rows.texts(rows.events, "name"))),
    _of_events("Attributes", _MAP, lambda rows: maps(rows, rows.events.lists())),
    _of_links("TraceId", _STRING, lambda rows: ids(rows.texts(rows.links, "trace_id"))),
    _of_links("SpanId", _STRING, lambda rows: ids(rows.texts(rows.links, "span_id"))),
    _of_links("TraceState", _STRING, lambda rows: strings(rows.texts(rows.links, "trace_state"))),
    _of_links("Attributes", _MAP, lambda rows: maps(rows, rows.links.lists())),
    # From here on, what the standard shape loses.
    Column(
        "Workspace",
        _SYMBOL,
        lambda rows: low_cardinality(known_texts(rows.workspaces), rows.resources["workspace"][rows.resource_of_span]),
        lambda rows: rows.workspaces != (DEFAULT_WORKSPACE,),
    ),
    Column(
        "StartTimeUnixNano",
        "UInt64",
        lambda rows: numbers(np.where(rows.start > INT64_MAX, rows.start, np.uint64(0)), np.uint64),
        lambda rows: bool((rows.start > INT64_MAX).any()),
    ),
    Column(
        "EndTimeUnixNano",
        "UInt64",
        lambda rows: numbers(np.where(rows.end < rows.start, rows.end, np.uint64(0)), np.uint64),
        lambda rows: bool((rows.end < rows.start).any()),
    ),
    Column(
        "EventTimesUnixNano",
        "Array(UInt64)",
        _odd_event_times,
        lambda rows: _has_events(rows) and bool((rows.events["time_unix_nano"] > INT64_MAX).any()),
    ),
    Column(
        "SpanKindNumber",
        "Int32",
        lambda rows: numbers(_unnamed(KINDS, rows.spans["kind"]), np.int32),
        lambda rows: bool(_unnamed(KINDS, rows.spans["kind"]).any()),
    ),
    Column(
        "StatusCodeNumber",
        "Int32",
        lambda rows: numbers(_unnamed(STATUS_CODES, rows.spans["status_code"]), np.int32),
        lambda rows: bool(_unnamed(STATUS_CODES, rows.spans["status_code"]).any()),
    ),
    Column("Flags", "UInt32", lambda rows: numbers(rows.spans["flags"], np.uint32), lambda rows: bool(rows.spans["flags"].any())),
    Column(
        "ResourceAttributesTypes",
        _SYMBOL,
        lambda rows: low_cardinality(rows.resource_types, rows.resource_of_span),
        lambda rows: bool(rows.resource_types.lengths.any()),
    ),
    Column(
        "ResourceDroppedAttributesCount",
        "UInt32",
        lambda rows: numbers(rows.resources["dropped_attributes_count"][rows.resource_of_span], np.uint32),
        lambda rows: bool(rows.resources["dropped_attributes_count"].any()),
    ),
    Column(
        "ResourceSchemaUrl",
        _SYMBOL,
        lambda rows: low_cardinality(rows.texts(rows.resources, "schema_url"), rows.resource_of_span),
        lambda rows: bool(rows.resources["schema_url_length"].any()),
    ),
    Column(
        "ScopeAttributes",
        _MAP,
        lambda rows: shared_maps(rows, rows.scopes, rows.scope_of_span),
        lambda rows: bool(rows.scopes["attributes_count"].any()),
    ),
    Column(
        "ScopeAttributesTypes",
        _SYMBOL,
        lambda rows: low_cardinality(rows.scope_types, rows.scope_of_span),
        lambda rows: bool(rows.scope_types.lengths.any()),
    ),
    Column(
        "ScopeDroppedAttributesCount",
        "UInt32",
        lambda rows: numbers(rows.scopes["dropped_attributes_count"][rows.scope_of_span], np.uint32),
        lambda rows: bool(rows.scopes["dropped_attributes_count"].any()),
    ),
    Column(
        "ScopeSchemaUrl",
        _SYMBOL,
        lambda rows: low_cardinality(rows.texts(rows.scopes, "schema_url"), rows.scope_of_span),
        lambda rows: bool(rows.scopes["schema_url_length"].any()),
    ),
    Column(
        "SpanAttributesTypes",
        _SYMBOL,
        lambda rows: low_cardinality(rows.span_types),
        lambda rows: bool(rows.span_types.lengths.any()),
    ),
    *(
        Column(
            column,
            "UInt32",
            lambda rows, field=field: numbers(rows.spans[field], np.uint32),  # type: ignore[misc] # bound early on purpose
            lambda rows, field=field: bool(rows.spans[field].any()),  # type: ignore[misc] # as above
        )
        for column, field in (
            ("DroppedAttributesCount", "dropped_attributes_count"),
            ("DroppedEventsCount", "dropped_events_count"),
            ("DroppedLinksCount", "dropped_links_count"),
        )
    ),
    _of_events(
        "AttributesTypes",
        _SYMBOL,
        lambda rows: low_cardinality(rows.event_types),
        lambda rows: _has_events(rows) and bool(rows.event_types.lengths.any()),
    ),
    _of_events(
        "DroppedAttributesCount",
        "UInt32",
        lambda rows: numbers(rows.events["dropped_attributes_count"], np.uint32),
        lambda rows: _has_events(rows) and bool(rows.events["dropped_attributes_count"].any()),
    ),
    _of_links(
        "AttributesTypes",
        _SYMBOL,
        lambda rows: low_cardinality(rows.link_types),
        lambda rows: _has_links(rows) and bool(rows.link_types.lengths.any()),
    ),
    _of_links(
        "DroppedAttributesCount",
        "UInt32",
        lambda rows: numbers(rows.links["dropped_attributes_count"], np.uint32),
        lambda rows: _has_links(rows) and bool(rows.links["dropped_attributes_count"].any()),
    ),
    _of_links(
        "Flags",
        "UInt32",
        lambda rows: numbers(rows.links["flags"], np.uint32),
        lambda rows: _has_links(rows) and bool(rows.links["flags"].any()),
    ),
)
"""The columns of the table, in the order of its definition (`exporters/clickhouse/schema/otel_traces.sql`)."""
