"""JSON schemas of the answers about traces, their spans, and what can be searched for."""

from __future__ import annotations

from typing import Final, get_args

from collector.api.schemas import (
    COUNT,
    FLAG,
    INDEX,
    NANOSECONDS,
    NEXT_CURSOR,
    NUMBER,
    SPAN_IDENTITY,
    TEXT,
    TEXT_OR_NULL,
    TRACE_HEADER,
    Schema,
    listing,
    record,
    reference,
)
from collector.query.tags import TagLevel

_ATTRIBUTES: Final = listing(reference("Attribute"))
_DETAILS: Final[dict[str, Schema]] = {
    "resources": listing(record(attributes=_ATTRIBUTES, droppedAttributesCount=COUNT, schemaUrl=TEXT)),
    "scopes": listing(record(name=TEXT, version=TEXT, attributes=_ATTRIBUTES, droppedAttributesCount=COUNT, schemaUrl=TEXT)),
    "spans": listing(reference("Span")),
}

COMPONENTS: Final[dict[str, Schema]] = {
    "AnyValue": {
        "type": "object",
        "description": "A typed value in the form of OTLP/JSON; without a member it is empty. 64-bit integers are strings.",
        "properties": {
            "stringValue": TEXT,
            "boolValue": FLAG,
            "intValue": {"type": "string", "pattern": "^-?[0-9]+$"},
            "doubleValue": NUMBER,
            "bytesValue": {"type": "string", "contentEncoding": "base64"},
            "arrayValue": record(values=listing(reference("AnyValue"))),
            "kvlistValue": record(values=_ATTRIBUTES),
        },
        "maxProperties": 1,
        "additionalProperties": False,
    },
    "Attribute": {
        **record(key=TEXT, value=reference("AnyValue")),
        "properties": {
            "key": TEXT,
            "value": reference("AnyValue"),
            "fullLength": {**COUNT, "description": "Characters of a text of which only the beginning is in the list."},
        },
    },
    "Tags": record(
        tags=listing(record(key=TEXT, levels=listing({"type": "string", "enum": list(get_args(TagLevel))}))),
        nextCursor=NEXT_CURSOR,
    ),
    "TagValues": record(values=listing(TEXT), complete={**FLAG, "description": "Whether there were no more than `limit`."}),
    "Operations": record(
        operations=listing(record(name=TEXT, kinds=listing(TEXT))),
        complete={**FLAG, "description": "Whether there were no more than `limit`."},
    ),
    "Services": record(services=listing(reference("Service")), nextCursor=NEXT_CURSOR),
    "Service": record(name=TEXT, spanCount=COUNT, lastSeenUnixNano=NANOSECONDS),
    "Traces": record(
        traces=listing(reference("TraceSummary")),
        total={**COUNT, "description": "Traces that fit, on all pages, when the first one was asked for."},
        totalIsExact={**FLAG, "description": "Otherwise there are at least so many."},
        weightedTotal={
            "oneOf": [{"type": "number"}, {"type": "null"}],
            "description": "With `weighted`: how many traces those stand for, which need not be a whole number.",
        },
        complete={**FLAG, "description": "Whether all traces that have a span that fits were looked at."},
        incompleteBecause={**TEXT_OR_NULL, "description": "Which limit was reached, and what helps; null where none was."},
        nextCursor=NEXT_CURSOR,
    ),
    "TraceSummary": record(
        traceId=TEXT,
        rootService=TEXT_OR_NULL,
        rootName=TEXT_OR_NULL,
        startTimeUnixNano=NANOSECONDS,
        durationNanos=NANOSECONDS,
        spanCount=COUNT,
        errorCount=COUNT,
        services=listing(TEXT),
        matchedSpanCount={**COUNT, "description": "How many of its spans fit."},
        matchedSpans={
            **listing(
                record(
                    spanId=TEXT,
                    service=TEXT,
                    name=TEXT,
                    status=TEXT,
                    startTimeUnixNano=NANOSECONDS,
                    durationNanos=NANOSECONDS,
                )
            ),
            "description": "Those that fit, the earliest ones first.",
        },
    ),
    "Trace": record(
        **TRACE_HEADER,
        offset={**COUNT, "description": "How many spans of the trace come before the first of this answer."},
        **_DETAILS,
        annotations={
            **listing(reference("Annotation")),
            "description": "On the trace and its spans, the earliest first.",
        },
    ),
    "TraceSkeleton": record(
        **TRACE_HEADER,
        offset={**COUNT, "description": "How many spans of the trace come before the first of this answer."},
        spans=listing(
            record(
                index=INDEX,
                parentIndex={"type": ["integer", "null"], "minimum": 0},
                depth=COUNT,
                **SPAN_IDENTITY,
                parentSpanId=TEXT,
                children=COUNT,
            )
        ),
    ),
    "SpanDetails": record(traceId=TEXT, **_DETAILS),
    "Link": record(
        traceId=TEXT,
        spanId=TEXT,
        service=TEXT,
        name=TEXT,
        startTimeUnixNano=NANOSECONDS,
        toTraceId=TEXT,
        toSpanId=TEXT,
    ),
    "Links": record(
        traceId=TEXT,
        startUnixNano=NANOSECONDS,
        endUnixNano=NANOSECONDS,
        outgoing={**listing(reference("Link")), "description": "Links of the trace's own spans."},
        incoming={
            **listing(reference("Link")),
            "description": "Links of other traces' spans to this one, as far as those start in the time range.",
        },
        complete={**FLAG, "description": "Whether there are no more than `limit` of either."},
    ),
    "Span": record(
        **SPAN_IDENTITY,
        parentSpanId=TEXT,
        traceState=TEXT,
        flags=COUNT,
        endTimeUnixNano=NANOSECONDS,
        statusMessage=TEXT,
        resource={**COUNT, "description": "Position in `resources`."},
        scope={**COUNT, "description": "Position in `scopes`."},
        attributes=_ATTRIBUTES,
        droppedAttributesCount=COUNT,
        events=listing(record(timeUnixNano=NANOSECONDS, name=TEXT, attributes=_ATTRIBUTES, droppedAttributesCount=COUNT)),
        droppedEventsCount=COUNT,
        links=listing(
            record(
                traceId=TEXT,
                spanId=TEXT,
                traceState=TEXT,
                flags=COUNT,
                attributes=_ATTRIBUTES,
                droppedAttributesCount=COUNT,
            )
        ),
        droppedLinksCount=COUNT,
    ),
    "Warning": record(index=INDEX, spanId=TEXT, kind=TEXT, text=TEXT),
}
