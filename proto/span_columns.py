"""The columns of `otel_traces`, in the order of its definition: COLUMNS names each with its type, and says how it is written and
when a block needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from proto.native_rows import Columns, Rows
from proto.native_writer import NativeWriter
from proto.texts import Integers, Texts, known_texts

INT64_MAX: Final = np.uint64(2**63 - 1)
_INT32_MAX: Final = 2**31 - 1
KINDS: Final = ("", "Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUS_CODES: Final = ("", "Unset", "Ok", "Error")
DEFAULT_WORKSPACE: Final = "default"

Write = Callable[[Rows, NativeWriter], None]


class Column(NamedTuple):
    """One column of the table: its name, its type, how its data is written, and whether a block needs it."""

    name: str
    type: str
    write: Write
    needed: Callable[[Rows], bool] = lambda rows: True


# What single columns hold.


def _time(columns: Columns, field: str, out: NativeWriter) -> None:
    times = columns[field]
    out.numbers(np.minimum(times, INT64_MAX) if _is_late(columns, field) else times, np.int64)


def _is_late(columns: Columns, field: str) -> bool:
    """Whether any of these times does not fit a DateTime64."""
    return columns.highest(field) > _INT32_MAX


def _duration(rows: Rows) -> Integers:
    if rows.ends_early:
        return np.where(rows.end > rows.start, rows.end - rows.start, np.uint64(0))
    return rows.end - rows.start


def _enumerated(rows: Rows, out: NativeWriter, names: Sequence[str], field: str) -> None:
    """Numbers as the names that follow the first of `names`, which stands for numbers without a name."""
    numbers = rows.spans[field]
    if _has_unnamed(rows, names, field):
        out.dictionary(known_texts(names), np.where(_is_named(names, numbers), numbers + 1, 0))
    else:
        out.dictionary(known_texts(names[1:]), numbers)


def _unnamed(names: Sequence[str], numbers: Integers) -> Integers:
    return np.where(_is_named(names, numbers), 0, numbers)


def _has_unnamed(rows: Rows, names: Sequence[str], field: str) -> bool:
    return rows.spans.highest(field) >= len(names) - 1


def _is_named(names: Sequence[str], numbers: Integers) -> Integers:
    named: Integers = (numbers >= 0) & (numbers < len(names) - 1)
    return named


def _span_ids(rows: Rows, out: NativeWriter, field: str, length: int) -> None:
    out.span_ids(rows.data, rows.spans[f"{field}_offset"], length)


def _of_scopes(rows: Rows, field: str) -> Texts:
    data, offsets, lengths = rows.texts(rows.scopes, field)
    return Texts(data, offsets[rows.scope_of_span], lengths[rows.scope_of_span])


def _odd_event_times(rows: Rows, out: NativeWriter) -> None:
    """The times of a span's events, for the spans that have one which does not fit its column."""
    times = rows.events["time_unix_nano"]
    owners = np.repeat(np.arange(len(rows.events_count)), rows.events_count)
    odd = np.bincount(owners[times > INT64_MAX], minlength=len(rows.events_count)) > 0
    out.sizes(np.where(odd, rows.events_count, 0))
    out.numbers(times[odd[owners]], np.uint64)


def _has_events(rows: Rows) -> bool:
    return rows.spans.highest("events_count") > 0


def _has_links(rows: Rows) -> bool:
    return rows.spans.highest("links_count") > 0


_STRING = "String"
_SYMBOL = "LowCardinality(String)"
_MAP = "Map(LowCardinality(String), String)"
_TIME = "DateTime64(9)"


def _of_events(name: str, kind: str, write: Write, needed: Callable[[Rows], bool] = _has_events) -> Column:
    def write_arrays(rows: Rows, out: NativeWriter) -> None:
        out.sizes(rows.events_count)
        write(rows, out)

    return Column(f"Events.{name}", f"Array({kind})", write_arrays, needed)


def _of_links(name: str, kind: str, write: Write, needed: Callable[[Rows], bool] = _has_links) -> Column:
    def write_arrays(rows: Rows, out: NativeWriter) -> None:
        out.sizes(rows.links_count)
        write(rows, out)

    return Column(f"Links.{name}", f"Array({kind})", write_arrays, needed)


COLUMNS: Final = (
    Column("Timestamp", _TIME, lambda rows, out: _time(rows.spans, "start_time_unix_nano", out)),
    Column("TraceId", _STRING, lambda rows, out: _span_ids(rows, out, "trace_id", 16)),
    Column("SpanId", _STRING, lambda rows, out: _span_ids(rows, out, "span_id", 8)),
    Column("ParentSpanId", _STRING, lambda rows, out: _span_ids(rows, out, "parent_span_id", 8)),
    Column("TraceState", _STRING, lambda rows, out: out.strings(rows.texts(rows.spans, "trace_state"))),
    Column("SpanName", _SYMBOL, lambda rows, out: out.low_cardinality(rows.texts(rows.spans, "name"))),
    Column("SpanKind", _SYMBOL, lambda rows, out: _enumerated(rows, out, KINDS, "kind")),
    Column("ServiceName", _SYMBOL, lambda rows, out: out.low_cardinality(rows.service_names, rows.resource_of_span)),
    Column("ResourceAttributes", _MAP, lambda rows, out: out.maps(rows.resource_maps)),
    Column("ScopeName", _STRING, lambda rows, out: out.strings(_of_scopes(rows, "name"))),
    Column("ScopeVersion", _STRING, lambda rows, out: out.strings(_of_scopes(rows, "version"))),
    Column("SpanAttributes", _MAP, lambda rows, out: out.maps(rows.span_maps)),
    Column("Duration", "UInt64", lambda rows, out: out.numbers(_duration(rows), np.uint64)),
    Column("StatusCode", _SYMBOL, lambda rows, out: _enumerated(rows, out, STATUS_CODES, "status_code")),
    Column("StatusMessage", _STRING, lambda rows, out: out.strings(rows.texts(rows.spans, "status_message"))),
    _of_events("Timestamp", _TIME, lambda rows, out: _time(rows.events, "time_unix_nano", out)),
    _of_events("Name", _SYMBOL, lambda rows, out: out.low_cardinality(rows.texts(rows.events, "name"))),
    _of_events("Attributes", _MAP, lambda rows, out: out.maps(rows.event_maps)),
    _of_links("TraceId", _STRING, lambda rows, out: out.ids(rows.texts(rows.links, "trace_id"))),
    _of_links("SpanId", _STRING, lambda rows, out: out.ids(rows.texts(rows.links, "span_id"))),
    _of_links("TraceState", _STRING, lambda rows, out: out.strings(rows.texts(rows.links, "trace_state"))),
    _of_links("Attributes", _MAP, lambda rows, out: out.maps(rows.link_maps)),
    # From here on, what the standard shape loses.
    Column(
        "Workspace",
        _SYMBOL,
        lambda rows, out: out.low_cardinality(known_texts(rows.workspaces), rows.resources["workspace"][rows.resource_of_span]),
        lambda rows: rows.workspaces != (DEFAULT_WORKSPACE,),
    ),
    Column(
        "StartTimeUnixNano",
        "UInt64",
        lambda rows, out: out.numbers(np.where(rows.start > INT64_MAX, rows.start, np.uint64(0)), np.uint64),
        lambda rows: _is_late(rows.spans, "start_time_unix_nano"),
    ),
    Column(
        "EndTimeUnixNano",
        "UInt64",
        lambda rows, out: out.numbers(np.where(rows.end < rows.start, rows.end, np.uint64(0)), np.uint64),
        lambda rows: rows.ends_early,
    ),
    Column(
        "EventTimesUnixNano",
        "Array(UInt64)",
        _odd_event_times,
        lambda rows: _has_events(rows) and _is_late(rows.events, "time_unix_nano"),
    ),
    Column(
        "SpanKindNumber",
        "Int32",
        lambda rows, out: out.numbers(_unnamed(KINDS, rows.spans["kind"]), np.int32),
        lambda rows: _has_unnamed(rows, KINDS, "kind"),
    ),
    Column(
        "StatusCodeNumber",
        "Int32",
        lambda rows, out: out.numbers(_unnamed(STATUS_CODES, rows.spans["status_code"]), np.int32),
        lambda rows: _has_unnamed(rows, STATUS_CODES, "status_code"),
    ),
    Column(
        "Flags",
        "UInt32",
        lambda rows, out: out.numbers(rows.spans["flags"], np.uint32),
        lambda rows: rows.spans.highest("flags") > 0,
    ),
    Column(
        "ResourceAttributesTypes",
        _SYMBOL,
        lambda rows, out: out.map_types(rows.resource_maps),
        lambda rows: bool(rows.resource_maps.types.lengths.any()),
    ),
    Column(
        "ResourceDroppedAttributesCount",
        "UInt32",
        lambda rows, out: out.numbers(rows.resources["dropped_attributes_count"][rows.resource_of_span], np.uint32),
        lambda rows: rows.resources.highest("dropped_attributes_count") > 0,
    ),
    Column(
        "ResourceSchemaUrl",
        _SYMBOL,
        lambda rows, out: out.low_cardinality(rows.texts(rows.resources, "schema_url"), rows.resource_of_span),
        lambda rows: rows.resources.highest("schema_url_length") > 0,
    ),
    Column(
        "ResourceEntityRefs",
        _SYMBOL,
        lambda rows, out: out.low_cardinality(rows.texts(rows.resources, "entity_refs"), rows.resource_of_span),
        lambda rows: rows.resources.highest("entity_refs_length") > 0,
    ),
    Column(
        "ScopeAttributes",
        _MAP,
        lambda rows, out: out.maps(rows.scope_maps),
        lambda rows: rows.scopes.highest("attributes_count") > 0,
    ),
    Column(
        "ScopeAttributesTypes",
        _SYMBOL,
        lambda rows, out: out.map_types(rows.scope_maps),
        lambda rows: bool(rows.scope_maps.types.lengths.any()),
    ),
    Column(
        "ScopeDroppedAttributesCount",
        "UInt32",
        lambda rows, out: out.numbers(rows.scopes["dropped_attributes_count"][rows.scope_of_span], np.uint32),
        lambda rows: rows.scopes.highest("dropped_attributes_count") > 0,
    ),
    Column(
        "ScopeSchemaUrl",
        _SYMBOL,
        lambda rows, out: out.low_cardinality(rows.texts(rows.scopes, "schema_url"), rows.scope_of_span),
        lambda rows: rows.scopes.highest("schema_url_length") > 0,
    ),
    Column(
        "SpanAttributesTypes",
        _SYMBOL,
        lambda rows, out: out.map_types(rows.span_maps),
        lambda rows: bool(rows.span_maps.types.lengths.any()),
    ),
    *(
        Column(
            column,
            "UInt32",
            lambda rows, out, field=field: out.numbers(rows.spans[field], np.uint32),  # type: ignore[misc] # bound early on purpose
            lambda rows, field=field: rows.spans.highest(field) > 0,  # type: ignore[misc] # as above
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
        lambda rows, out: out.map_types(rows.event_maps),
        lambda rows: _has_events(rows) and bool(rows.event_maps.types.lengths.any()),
    ),
    _of_events(
        "DroppedAttributesCount",
        "UInt32",
        lambda rows, out: out.numbers(rows.events["dropped_attributes_count"], np.uint32),
        lambda rows: _has_events(rows) and rows.events.highest("dropped_attributes_count") > 0,
    ),
    _of_links(
        "AttributesTypes",
        _SYMBOL,
        lambda rows, out: out.map_types(rows.link_maps),
        lambda rows: _has_links(rows) and bool(rows.link_maps.types.lengths.any()),
    ),
    _of_links(
        "DroppedAttributesCount",
        "UInt32",
        lambda rows, out: out.numbers(rows.links["dropped_attributes_count"], np.uint32),
        lambda rows: _has_links(rows) and rows.links.highest("dropped_attributes_count") > 0,
    ),
    _of_links(
        "Flags",
        "UInt32",
        lambda rows, out: out.numbers(rows.links["flags"], np.uint32),
        lambda rows: _has_links(rows) and rows.links.highest("flags") > 0,
    ),
    # The table makes it of the trace state where a block does not have it.
    Column(
        "AdjustedCount",
        "Float64",
        lambda rows, out: out.numbers(rows.adjusted_counts, np.float64),
        lambda rows: rows.weighs,
    ),
)
"""The columns of the table, in the order of its definition (`exporters/clickhouse/schema/otel_traces.sql`)."""
