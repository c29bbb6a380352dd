"""JSON of the query API.

Nanoseconds and other integers that may exceed 2^53 are strings, as in OTLP/JSON; counts are numbers; a number that JSON cannot
write is one of the strings NaN, Infinity, -Infinity.
"""

from __future__ import annotations

import math
from typing import Any

import orjson
from aiohttp import web

from collector.query.analysis.critical_path import CriticalPath
from collector.query.attributes import to_json, utf8
from collector.query.percentiles import PERCENTILES, Latencies
from collector.query.red import Measures, Series
from collector.query.search import Hit
from collector.query.services import Service
from collector.query.spans import Resource, Scope, Spans
from collector.query.store import KINDS, STATUS_CODES
from collector.query.tree import Tree
from collector.query.waterfall import Waterfall


def json_response(document: dict[str, Any]) -> web.Response:
    """A 200 with the document."""
    return web.Response(body=json_bytes(document), content_type="application/json")


def json_bytes(document: dict[str, Any]) -> bytes:
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


def latencies(found: Latencies) -> dict[str, Any]:
    return {
        "service": found.service,
        "count": found.count,
        "errorCount": found.error_count,
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


def trace(spans: Spans) -> dict[str, Any]:
    """A trace with all its spans; `resource` and `scope` of a span are positions in the lists of those."""
    resources = {resource: index for index, resource in enumerate(dict.fromkeys(spans.resources))}
    scopes = {scope: index for index, scope in enumerate(dict.fromkeys(spans.scopes))}
    return {
        **_header(spans),
        "resources": [_resource(resource) for resource in resources],
        "scopes": [_scope(scope) for scope in scopes],
        "spans": [
            {
                **_span_identity(spans, row),
                "parentSpanId": spans.parent_span_ids[row],
                "traceState": spans.trace_states[row],
                "flags": spans.flags[row],
                "endTimeUnixNano": str(spans.ends[row]),
                "statusMessage": spans.status_messages[row],
                "resource": resources[spans.resources[row]],
                "scope": scopes[spans.scopes[row]],
                "attributes": to_json(spans.attributes[row]),
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


def waterfall(spans: Spans, tree: Tree, found: Waterfall) -> dict[str, Any]:
    """Header and bars in drawing order; `index` and `parentIndex` are positions in the list of spans of the trace."""
    return {
        **_header(spans),
        "rootService": spans.services[found.root],
        "rootName": spans.names[found.root],
        "depth": found.depth,
        "spansByService": found.services,
        "missingParents": len(tree.missing_parents),
        "bars": [
            {
                "index": bar.row,
                "parentIndex": tree.parents[bar.row] if tree.parents[bar.row] >= 0 else None,
                "depth": bar.depth,
                **_span_identity(spans, bar.row),
                "offsetNanos": str(bar.offset),
                "selfNanos": str(bar.self_time),
                "children": len(tree.children[bar.row]),
                "descendants": bar.descendants,
                "errorsBelow": bar.errors_below,
                "missingParent": bar.row in tree.missing_parents,
            }
            for bar in found.bars
        ],
        "warnings": _warnings(spans, tree),
    }


def critical_path(spans: Spans, tree: Tree, found: CriticalPath, *, tolerance: float, overflow: str) -> dict[str, Any]:
    """Segments and shares of every root; a span is named by its id and by its position in the list of spans."""

    def named(row: int) -> dict[str, Any]:
        return {"index": row, "spanId": spans.span_ids[row]}

    return {
        "traceId": spans.trace_id,
        "complete": spans.complete,
        "mode": "default",
        "tolerance": tolerance,
        "overflow": overflow,
        "roots": [
            {
                **named(path.root),
                "missingParent": path.root in tree.missing_parents,
                "durationNanos": str(spans.durations[path.root]),
                "segments": [
                    {
                        **named(segment.row),
                        "startUnixNano": str(segment.start),
                        "endUnixNano": str(segment.end),
                        "uncertain": segment.uncertain,
                    }
                    for segment in path.segments
                ],
                "spans": [
                    {
                        **named(share.row),
                        "onPathNanos": str(share.on_path),
                        "selfNanos": str(share.self_time),
                        "dragNanos": str(share.drag),
                        "slackNanos": str(share.slack),
                    }
                    for share in path.shares
                ],
            }
            for path in found.roots
        ],
        "excluded": [{**named(row), "reason": reason} for row, reason in found.excluded.items()],
        "warnings": _warnings(spans, tree),
    }


def _header(spans: Spans) -> dict[str, Any]:
    return {
        "traceId": spans.trace_id,
        "startTimeUnixNano": str(spans.start),
        "durationNanos": str(max(spans.end - spans.start, 0)),
        "spanCount": len(spans),
        "errorCount": spans.error_count,
        "services": sorted(set(spans.services)),
        "complete": spans.complete,
    }


def _span_identity(spans: Spans, row: int) -> dict[str, Any]:
    return {
        "spanId": spans.span_ids[row],
        "service": spans.services[row],
        "name": spans.names[row],
        "kind": _name(spans.kinds[row], KINDS),
        "status": _name(spans.status_codes[row], STATUS_CODES),
        "startTimeUnixNano": str(spans.starts[row]),
        "durationNanos": str(spans.durations[row]),
    }


def _name(code: int, names: tuple[str, ...]) -> str:
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


def _warnings(spans: Spans, tree: Tree) -> list[dict[str, Any]]:
    return [
        {"index": warning.row, "spanId": spans.span_ids[warning.row], "kind": warning.kind, "text": warning.text}
        for warning in tree.warnings
    ]
