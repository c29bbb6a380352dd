"""JSON of the query API.

Nanoseconds and other integers that may exceed 2^53 are strings, as in OTLP/JSON; counts are numbers; a number that JSON cannot
write is one of the strings NaN, Infinity, -Infinity.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import orjson
from aiohttp import web
from numpy.typing import NDArray

from collector.api import json_rows
from collector.api.json_rows import Member
from collector.query.attributes import to_json, utf8
from collector.query.links import LinkedSpans
from collector.query.many.latencies import GroupLatencies
from collector.query.percentiles import PERCENTILES
from collector.query.red import Measures, Series
from collector.query.search import Hit
from collector.query.services import Service
from collector.query.skeleton import Skeleton
from collector.query.spans import Resource, Scope, Spans
from collector.query.store import KINDS, STATUS_CODES
from collector.query.tree import Tree

UNKNOWN_SERVICE: Final = "unknown_service"
"""In other systems' APIs, the service of spans that name none."""
MAX_VALUE_LENGTH: Final = 65_536
"""Characters of an attribute's text in a list of spans; one span alone has it whole."""


def json_response(document: dict[str, Any]) -> web.Response:
    """A 200 with the document."""
    return web.Response(body=json_bytes(document), content_type="application/json")


def json_bytes(document: dict[str, Any] | list[Any]) -> bytes:
    """UTF-8 JSON; bytes in stored strings that are not UTF-8 become U+FFFD."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        return orjson.dumps(_clean(document))


def _clean(value: Any) -> Any:
    match value:
        case str():
            return utf8(value)
        case dict():
            return {utf8(key): _clean(item) for key, item in value.items()}
        case list() | tuple():
            return [_clean(item) for item in value]
    return value


def number(value: float) -> float | str:
    """A number, or the name of one that JSON has no form for."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def count(value: float) -> float | str:
    """A number that is whole, unless spans stand for parts of others; then it is written like one."""
    return int(value) if math.isfinite(value) and value == int(value) else number(value)


def service(found: Service) -> dict[str, Any]:
    return {"name": found.name, "spanCount": found.span_count, "lastSeenUnixNano": str(found.last_seen)}


def hit(found: Hit) -> dict[str, Any]:
    return {
        "traceId": found.trace_id,
        "rootService": found.root_service,
        "rootName": found.root_name,
        "startTimeUnixNano": str(found.start),
        "durationNanos": str(found.duration),
        "spanCount": found.span_count,
        "errorCount": found.error_count,
        "services": [service.name for service in found.services],
    }


def link(found: LinkedSpans) -> dict[str, Any]:
    return {
        "traceId": found.trace_id,
        "spanId": found.span_id,
        "service": found.service,
        "name": found.name,
        "startTimeUnixNano": str(found.start),
        "toTraceId": found.to_trace_id,
        "toSpanId": found.to_span_id,
    }


def service_latencies(found: GroupLatencies) -> dict[str, Any]:
    """Latencies by service, with PERCENTILES."""
    return {
        "service": found.texts[0],
        "count": number(found.count),
        "errorCount": number(found.errors),
        "minNanos": str(found.minimum),
        "maxNanos": str(found.maximum),
        "meanNanos": number(found.mean),
        **{f"p{percent}Nanos": number(value) for percent, value in zip(PERCENTILES, found.percentiles, strict=True)},
    }


def red_series(series: Series, length: int, step: int) -> dict[str, Any]:
    """A series over so many nanoseconds, in steps of so many."""
    return {
        "name": series.name,
        **_red(series.total, length),
        "points": [{"startUnixNano": str(start), **_red(measures, step)} for start, measures in series.points.items()],
    }


def _red(measures: Measures, length: int) -> dict[str, Any]:
    return {
        "spans": number(measures.spans),
        "spansPerSecond": number(measures.spans * 1e9 / length),
        "errors": number(measures.errors),
        "errorRate": number(measures.errors / measures.spans),
        "minNanos": str(measures.minimum),
        "maxNanos": str(measures.maximum),
        "meanNanos": number(measures.mean),
        **{f"p{percent}Nanos": number(value) for percent, value in zip(PERCENTILES, measures.percentiles, strict=True)},
    }


def trace(whole: Skeleton, spans: Spans, offset: int) -> dict[str, Any]:
    """A trace with all that is known of the spans in a window; long values are cut.

    Args:
        whole: the trace; the same as `spans` where the window is all of it.
        offset: of the first of `spans` in the trace.
    """
    return {**trace_header(whole), "offset": offset, **details(spans, MAX_VALUE_LENGTH)}


def details(spans: Spans, max_length: int | None) -> dict[str, Any]:
    """All that is known of spans; `resource` and `scope` of a span are positions in the lists of those.

    Args:
        max_length: of texts of the spans' own attributes, in characters; None for texts of any length.
    """
    resources = {resource: index for index, resource in enumerate(dict.fromkeys(spans.resources))}
    scopes = {scope: index for index, scope in enumerate(dict.fromkeys(spans.scopes))}
    return {
        "resources": [_resource(resource) for resource in resources],
        "scopes": [_scope(scope) for scope in scopes],
        "spans": [
            {
                **span_identity(spans, row),
                "parentSpanId": spans.parent_span_ids[row],
                "traceState": spans.trace_states[row],
                "flags": spans.flags[row],
                "endTimeUnixNano": str(spans.ends[row]),
                "statusMessage": spans.status_messages[row],
                "resource": resources[spans.resources[row]],
                "scope": scopes[spans.scopes[row]],
                "attributes": to_json(spans.attributes[row], max_length),
                "droppedAttributesCount": spans.dropped_attributes_counts[row],
                "events": [
                    {
                        "timeUnixNano": str(event.time),
                        "name": event.name,
                        "attributes": to_json(event.attributes),
                        "droppedAttributesCount": event.dropped_attributes_count,
                    }
                    for event in spans.events[row]
                ],
                "droppedEventsCount": spans.dropped_events_counts[row],
                "links": [
                    {
                        "traceId": link.trace_id,
                        "spanId": link.span_id,
                        "traceState": link.trace_state,
                        "flags": link.flags,
                        "attributes": to_json(link.attributes),
                        "droppedAttributesCount": link.dropped_attributes_count,
                    }
                    for link in spans.links[row]
                ],
                "droppedLinksCount": spans.dropped_links_counts[row],
            }
            for row in range(len(spans))
        ],
    }


def skeleton(spans: Skeleton, tree: Tree, window: range) -> dict[str, Any]:
    """The spans of a window of a trace without what was said about them, each with its place in the tree."""
    rows = np.arange(window.start, window.stop)
    nodes = tree.nodes[rows]
    members = {
        "index": json_rows.counts(rows),
        "parentIndex": json_rows.positions(nodes["parent"]),
        "depth": json_rows.counts(nodes["depth"]),
        **identity_members(spans, rows),
        "parentSpanId": json_rows.ids(spans.table["parent_span_id"][rows], spans.odd_ids),
        "children": json_rows.counts(nodes["children_count"]),
    }
    return {**trace_header(spans), "offset": window.start, "spans": json_rows.records(members)}


def trace_header(spans: Skeleton) -> dict[str, Any]:
    return {
        "traceId": spans.trace_id,
        "startTimeUnixNano": str(spans.start),
        "durationNanos": str(max(spans.end - spans.start, 0)),
        "spanCount": len(spans),
        "errorCount": spans.error_count,
        "services": sorted(spans.service_texts[code] for code in np.unique(spans.table["service"]).tolist()),
        "complete": spans.complete,
    }


def span_identity(spans: Skeleton, row: int) -> dict[str, Any]:
    return {
        "spanId": spans.span_ids[row],
        "service": spans.services[row],
        "name": spans.names[row],
        "kind": name(spans.kinds[row], KINDS),
        "status": name(spans.status_codes[row], STATUS_CODES),
        "startTimeUnixNano": str(spans.starts[row]),
        "durationNanos": str(spans.durations[row]),
    }


def identity_members(spans: Skeleton, rows: NDArray[np.integer[Any]]) -> dict[str, Member]:
    """The same of many spans, as members of a list."""
    table = spans.table
    return {
        "spanId": json_rows.ids(table["span_id"][rows], spans.odd_ids),
        "service": json_rows.coded(table["service"][rows], spans.service_texts),
        "name": json_rows.coded(table["name"][rows], spans.name_texts),
        "kind": json_rows.named(table["kind"][rows], lambda code: name(code, KINDS)),
        "status": json_rows.named(table["status_code"][rows], lambda code: name(code, STATUS_CODES)),
        "startTimeUnixNano": json_rows.nanoseconds(table["start"][rows]),
        "durationNanos": json_rows.nanoseconds(table["duration"][rows]),
    }


def name(code: int, names: tuple[str, ...]) -> str:
    """Lower-case name of a kind or status; the number of one that has no name."""
    return names[code].lower() if 0 <= code < len(names) else str(code)


def _resource(resource: Resource) -> dict[str, Any]:
    return {
        "attributes": to_json(resource.attributes),
        "droppedAttributesCount": resource.dropped_attributes_count,
        "schemaUrl": resource.schema_url,
    }


def _scope(scope: Scope) -> dict[str, Any]:
    return {
        "name": scope.name,
        "version": scope.version,
        "attributes": to_json(scope.attributes),
        "droppedAttributesCount": scope.dropped_attributes_count,
        "schemaUrl": scope.schema_url,
    }
