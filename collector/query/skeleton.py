"""What the shape of a trace needs: ids, times, names and status of its spans, without attributes, events and links.

Trees, waterfalls and critical paths are made of this alone, which of a large trace is a small part of its bytes. `Spans` has all
of it and the rest; a span has the same row in both.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import islice
from operator import lt
from typing import Any, Final, Self

from collector.query.store import ERROR, EVENT_TIMES, KINDS, START, STATUS_CODES, UNSIGNED_DURATION
from exporters.clickhouse.client import QueryResult

UINT64: Final = 2**64

Identity = tuple[int, int, str, int, str, str, int]
"""(start, end, span id, kind, service, name, content): equal for one span that was sent twice; the order of rows."""


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Spans of one trace, one list per column, all of equal length, in the order of their identities.

    Attributes:
        trace_id: 32 hex digits.
        span_ids, parent_span_ids: 16 hex digits; an absent parent is ''.
        kinds, status_codes: OTLP's numbers.
        services: text of `service.name`, '' without one.
        starts, ends: nanoseconds since 1970, unsigned 64 bits; an end may lie before its start.
        processes: equal for spans of one resource.
        hosts: `host.id`, else `host.ip`, else `host.name` of the resource, '' where it has none.
        contents: hash of resource and attributes.
        stray_events: whether a span has an event outside of its own time.
        complete: whether these are all the spans of the trace.
    """

    trace_id: str
    span_ids: list[str]
    parent_span_ids: list[str]
    names: list[str]
    kinds: list[int]
    services: list[str]
    starts: list[int]
    ends: list[int]
    status_codes: list[int]
    processes: Sequence[Hashable]
    hosts: list[str]
    contents: list[int]
    stray_events: list[bool]
    complete: bool = True

    def __len__(self) -> int:
        return len(self.span_ids)

    def identity(self, row: int) -> Identity:
        """What tells the span of a row from all others, whichever columns were read."""
        return (
            self.starts[row],
            self.ends[row],
            self.span_ids[row],
            self.kinds[row],
            self.services[row],
            self.names[row],
            self.contents[row],
        )

    def take(self, rows: Sequence[int]) -> Self:
        """The spans of these rows, in this order."""
        columns = [each.name for each in fields(self) if each.name not in ("trace_id", "complete")]
        taken: dict[str, Any] = {name: [getattr(self, name)[row] for row in rows] for name in columns}
        return replace(self, **taken)

    @cached_property
    def durations(self) -> list[int]:
        """Nanoseconds; 0 for a span that ends before it starts."""
        return [max(end - start, 0) for start, end in zip(self.starts, self.ends, strict=True)]

    @cached_property
    def start(self) -> int:
        """Start of the trace: of its earliest span that has a time at all."""
        return min((start for start in self.starts if start), default=0)

    @cached_property
    def end(self) -> int:
        """End of the trace: the latest end of a span."""
        return max(max(start, end) for start, end in zip(self.starts, self.ends, strict=True))

    @cached_property
    def error_count(self) -> int:
        """Number of spans whose status is Error."""
        return self.status_codes.count(ERROR)


END: Final = f"if(EndTimeUnixNano != 0, EndTimeUnixNano, Start + {UNSIGNED_DURATION})"
_PREFIXES: Final = ("SPAN_KIND", "STATUS_CODE")
SELECTED_SKELETON: Final = f"""
    SpanId, ParentSpanId, SpanName, SpanKind, SpanKindNumber, ServiceName, {START} AS Start, {END} AS End,
    StatusCode, StatusCodeNumber,
    sipHash64(ResourceAttributes, ResourceAttributesTypes) AS Process,
    multiIf(ResourceAttributes['host.id'] != '', ResourceAttributes['host.id'],
            ResourceAttributes['host.ip'] != '', ResourceAttributes['host.ip'], ResourceAttributes['host.name']) AS Host,
    sipHash64(ResourceAttributes, ResourceAttributesTypes, SpanAttributes, SpanAttributesTypes) AS Content,
    arrayExists(t -> t != 0 AND (t < Start OR t > greatest(Start, End)), {EVENT_TIMES}) AS StrayEvents"""
"""What to select so that `skeleton_from_result` can read it."""


def skeleton_from_result(trace_id: str, result: QueryResult, *, complete: bool = True) -> Skeleton:
    """Spans of an answer to a query of `SELECTED_SKELETON`: in order, and without those that a client sent twice."""
    rows = rows_in_order(result)
    columns = {name: list(map(values.__getitem__, rows)) for name, values in result.columns.items()}
    return Skeleton(trace_id=trace_id, complete=complete, **skeleton_columns(columns))


def rows_in_order(result: QueryResult) -> list[int]:
    """Rows of an answer by their identities, each identity once."""
    columns = result.columns
    starts = columns["Start"]
    if all(map(lt, starts, islice(starts, 1, None))):
        # The store gives them by their starts.
        return list(range(result.row_count))
    if len(set(columns["SpanId"])) == result.row_count:
        # As usual. The start, the end and the id then tell all spans apart; sorts of what is nearly sorted cost next to nothing.
        rows = sorted(range(result.row_count), key=columns["SpanId"].__getitem__)
        rows.sort(key=columns["End"].__getitem__)
        rows.sort(key=starts.__getitem__)
        return rows
    identities = zip(
        columns["Start"],
        columns["End"],
        columns["SpanId"],
        numbers(columns["SpanKind"], columns["SpanKindNumber"], KINDS),
        columns["ServiceName"],
        columns["SpanName"],
        columns["Content"],
        strict=True,
    )
    # Receiver contract DATA-24 and DATA-25: an id alone does not tell a resent span from a shared span id.
    first_rows: dict[Identity, int] = {}
    for row, identity in enumerate(identities):
        first_rows.setdefault(identity, row)
    return [first_rows[identity] for identity in sorted(first_rows)]


def skeleton_columns(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """The lists of a `Skeleton` from the columns of an answer."""
    return {
        "span_ids": columns["SpanId"],
        "parent_span_ids": columns["ParentSpanId"],
        "names": columns["SpanName"],
        "kinds": numbers(columns["SpanKind"], columns["SpanKindNumber"], KINDS),
        "services": columns["ServiceName"],
        "starts": columns["Start"],
        "ends": [end % UINT64 for end in columns["End"]],
        "status_codes": numbers(columns["StatusCode"], columns["StatusCodeNumber"], STATUS_CODES),
        "processes": columns["Process"],
        "hosts": columns["Host"],
        "contents": columns["Content"],
        "stray_events": [bool(stray) for stray in columns["StrayEvents"]],
    }


def numbers(texts: Sequence[str], codes: Sequence[int], names: tuple[str, ...]) -> list[int]:
    """OTLP's numbers of kinds or statuses; the number column counts only where the text column could not say it.

    Rows from before 2024 may have the names of the protocol, such as SPAN_KIND_SERVER and STATUS_CODE_ERROR.
    """
    number_of = {name: number for number, name in enumerate(names)}
    number_of |= {f"{prefix}_{name.upper()}": number for name, number in number_of.items() for prefix in _PREFIXES}
    return [code or number_of.get(text, 0) for text, code in zip(texts, codes, strict=True)]
