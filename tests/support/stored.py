"""Stored spans without a store: what the queries would answer, made from rows or from the notation of worked examples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.query.attributes import NO_ATTRIBUTES, Attributes
from collector.query.skeleton_rows import columns_of, skeleton_of, texts_of
from collector.query.span_rows import SpanRows
from collector.query.spans import Resource, Scope, Spans
from collector.query.store import ERROR
from exporters.clickhouse.client import QueryResult
from proto.native_decode import Column, Lists, Maps
from tests.support.rows import Pairs, Row, rows_of
from tests.support.traces import all_traces

TRACE_ID = "0123456789abcdef0123456789abcdef"
KIND_NUMBERS = {"": 1, "INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
_CONTENT = ("ResourceAttributes", "ResourceAttributesTypes", "SpanAttributes", "SpanAttributesTypes")
_NOTATION = re.compile(r"(\w+)\s*\[(\d+),(\d+)\](?:\s*<\s*(\w+))?(?:\s+([A-Z]+))?(?:\s+@(\w+))?")


def answer_of(rows: Sequence[Row]) -> dict[str, Column]:
    """What selecting the columns of a trace from a table of these rows answers."""
    columns = {name: _column(name, [row[name] for row in rows]) for name in rows[0]}
    contents = [
        _hash(*(part if isinstance(part, str) else tuple(part) for part in (row[name] for name in _CONTENT))) for row in rows
    ]
    return {**columns, "Content": np.array(contents, np.uint64)}


def spans_by_trace(rows: Iterable[Row]) -> dict[str, Spans]:
    """The rows as spans, trace by trace."""
    traces: dict[str, list[Row]] = {}
    for row in rows:
        traces.setdefault(row["TraceId"], []).append(row)
    return {trace_id: SpanRows(answer_of(members)).spans(trace_id, range(len(members))) for trace_id, members in traces.items()}


@cache
def real_traces(most: int = 10) -> tuple[Spans, ...]:
    """So many of the largest traces of every file of `all_traces`, as they would be stored; made once for all tests."""
    traces: list[Spans] = []
    for message in (file.message for file in all_traces()):
        scopes = [scope_spans for resource_spans in message.resource_spans for scope_spans in resource_spans.scope_spans]
        sizes = Counter(span.trace_id for scope_spans in scopes for span in scope_spans.spans)
        chosen = {trace_id for trace_id, _ in sizes.most_common(most)}
        for scope_spans in scopes:
            kept = [span for span in scope_spans.spans if span.trace_id in chosen]
            del scope_spans.spans[:]
            scope_spans.spans.extend(kept)
        traces.extend(spans_by_trace(rows_of(message)).values())
    return tuple(traces)


def _column(name: str, values: list[Any]) -> Column:
    if name in ("ResourceAttributes", "ScopeAttributes", "SpanAttributes"):
        return _maps(values)
    if name == "EventTimesUnixNano" or name.startswith(("Events.", "Links.")):
        items = list(chain.from_iterable(values))
        return Lists(_bounds(values), _maps(items) if name.endswith(".Attributes") else _plain(items))
    return _plain(values)


def _plain(values: list[Any]) -> Column:
    if values and isinstance(values[0], str):
        return texts_of(values)
    return np.array(values, np.int64 if min(values, default=0) < 0 else np.uint64)


def _maps(rows: list[Pairs]) -> Maps:
    pairs = list(chain.from_iterable(rows))
    return Maps(_bounds(rows), texts_of([key for key, _ in pairs]), texts_of([value for _, value in pairs]))


def _bounds(rows: list[Any]) -> NDArray[np.int64]:
    return np.cumsum([0, *map(len, rows)], dtype=np.int64)


def _hash(*parts: Hashable) -> int:
    """64 bits without a sign."""
    return hash(parts) % 2**64


@dataclass(frozen=True, slots=True)
class Drawn:
    """One span of a drawn trace; names double as span ids, written in hexadecimal."""

    name: str
    start: int
    end: int
    parent: str = ""
    kind: str = ""
    service: str = "shop"
    failed: bool = False
    host: str = ""


def span_id(name: str) -> str:
    """The 16 digits that stand for a name of up to eight characters."""
    return name.encode().hex().rjust(16, "0")


def drawn(text: str) -> list[Drawn]:
    """Spans of the notation `A[0,100], B[10,60]<A CLIENT @service`."""
    return [
        Drawn(name, int(start), int(end), parent, kind, service or "shop")
        for name, start, end, parent, kind, service in _NOTATION.findall(text)
    ]


def draw(spans: str | Sequence[Drawn]) -> Spans:
    """The columns of a drawn trace, in the order in which a stored one comes back."""
    items = drawn(spans) if isinstance(spans, str) else spans
    items = sorted(items, key=lambda item: (item.start, item.end, span_id(item.name), KIND_NUMBERS[item.kind], item.service))
    count = len(items)
    columns = {
        "SpanId": [span_id(item.name) for item in items],
        "ParentSpanId": [span_id(item.parent) if item.parent else "" for item in items],
        "SpanName": [item.name for item in items],
        "SpanKind": [""] * count,
        "SpanKindNumber": [KIND_NUMBERS[item.kind] for item in items],
        "ServiceName": [item.service for item in items],
        "Start": [item.start for item in items],
        "End": [item.end for item in items],
        "StatusCode": [""] * count,
        "StatusCodeNumber": [ERROR if item.failed else 0 for item in items],
        "Process": [_hash(item.service) for item in items],
        "Host": [item.host for item in items],
        "Content": [0] * count,
        "StrayEvents": [False] * count,
    }
    skeleton = skeleton_of(TRACE_ID, columns_of(QueryResult(columns, count)), complete=True)
    resources = {name: Resource(Attributes(("service.name",), (name,), ""), 0, "") for name in {item.service for item in items}}
    return Spans(
        **{each.name: getattr(skeleton, each.name) for each in fields(skeleton)},
        trace_states=[""] * count,
        status_messages=[""] * count,
        flags=[0] * count,
        resources=[resources[item.service] for item in items],
        scopes=[Scope("", "", NO_ATTRIBUTES, 0, "")] * count,
        attributes=[NO_ATTRIBUTES] * count,
        dropped_attributes_counts=[0] * count,
        events=[[] for _ in items],
        dropped_events_counts=[0] * count,
        links=[[] for _ in items],
        dropped_links_counts=[0] * count,
    )


def renamed(spans: Spans, names: Sequence[str]) -> Spans:
    """The same spans with other names, one for each."""
    texts = sorted(set(names))
    table = spans.table.copy()
    table["name"] = [texts.index(name) for name in names]
    return replace(spans, table=table, name_texts=texts)


def sharing_ids(spans: Spans, shared: Mapping[str, str]) -> Spans:
    """The same spans, of which some, given by their names, have the ids of others."""
    table = spans.table.copy()
    for name, other in shared.items():
        table["span_id"][spans.names.index(name)] = table["span_id"][spans.names.index(other)]
    return replace(spans, table=table)
