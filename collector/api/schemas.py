"""JSON schemas: what all answers are described with, and the answers about the collector and its figures.

They name every member and allow no other, so that a test can hold `rendering.py` to them.
"""

from __future__ import annotations

from typing import Any, Final

from collector.calls import CONNECTIONS, NODES
from collector.query.percentiles import PERCENTILES
from collector.query.topology import SERVICE

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
FLAG: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NANOSECONDS: Final[Schema] = {"type": "string", "pattern": "^[0-9]+$", "description": "Whole nanoseconds."}
NUMBER: Final[Schema] = {
    "oneOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}],
    "description": "A number, or the name of one that JSON cannot write.",
}
VERSION: Final[Schema] = {"type": "integer", "minimum": 1, "description": "From 1; one more with each change."}
INDEX: Final[Schema] = {**COUNT, "description": "Position in the list of spans of the trace."}


def record(**members: Schema) -> Schema:
    """An object with exactly these members."""
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def listing(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def stored(settings: Schema) -> Schema:
    """The members of an object that people edit.

    Args:
        settings: the members that say what it says.
    """
    return {
        "id": TEXT,
        "workspace": TEXT,
        **settings,
        "version": VERSION,
        "createdAtUnixNano": NANOSECONDS,
        "createdBy": TEXT,
        "updatedAtUnixNano": NANOSECONDS,
        "updatedBy": TEXT,
    }


def versions(settings: Schema) -> Schema:
    """What such an object has said."""
    return record(versions=listing(record(**stored(settings), deleted=FLAG)))


SPAN_IDENTITY: Final[dict[str, Schema]] = {
    "spanId": TEXT,
    "service": TEXT,
    "name": TEXT,
    "kind": TEXT,
    "status": TEXT,
    "startTimeUnixNano": NANOSECONDS,
    "durationNanos": NANOSECONDS,
}
TRACE_HEADER: Final[dict[str, Schema]] = {
    "traceId": TEXT,
    "startTimeUnixNano": NANOSECONDS,
    "durationNanos": NANOSECONDS,
    "spanCount": COUNT,
    "errorCount": COUNT,
    "services": listing(TEXT),
    "complete": {**FLAG, "description": "Whether all spans of the trace are in the answer."},
}
NEXT_CURSOR: Final[Schema] = {**TEXT_OR_NULL, "description": "What `cursor` asks for the next page; null on the last."}

_BY_REASON: Final[Schema] = {"type": "object", "additionalProperties": COUNT, "description": "Spans by reason."}
_WORKSPACE: Final[Schema] = {**TEXT, "description": "Empty for spans of which nothing can be read, and beyond 1000 workspaces."}
_SERVICE: Final[Schema] = {
    **TEXT,
    "description": "Empty for spans without a name of a service, beyond 1000 services, and where it is not known.",
}
WEIGHED: Final[Schema] = {**NUMBER, "description": "Those that sampling has dropped included: need not be a whole number."}
_RED: Final[dict[str, Schema]] = {
    "spans": WEIGHED,
    "spansPerSecond": NUMBER,
    "errors": WEIGHED,
    "errorRate": {**NUMBER, "description": "Errors of all spans, from 0 to 1."},
    "minNanos": NANOSECONDS,
    "maxNanos": NANOSECONDS,
    "meanNanos": NUMBER,
    **{f"p{percent}Nanos": NUMBER for percent in PERCENTILES},
}

_ACCOUNT: Final[dict[str, Schema]] = {
    "accepted": COUNT,
    "renamed": {
        "type": "integer",
        "description": "Spans that processors gave this name of a service, less those that they gave another one.",
    },
    "stored": COUNT,
    "deadLetters": COUNT,
    "dropped": _BY_REASON,
    "waiting": COUNT,
}

NODE: Final[dict[str, Schema]] = {
    "name": TEXT,
    "kind": {
        "type": "string",
        "enum": [SERVICE, *NODES[1:]],
        "description": "A service has spans; others are known from what their clients or servers say.",
    },
}
CALLS: Final[dict[str, Schema]] = {
    "calls": {**NUMBER, "description": "Those that sampling has dropped included, so it need not be a whole number."},
    "failedCalls": {**NUMBER, "description": "Those of which one side failed."},
    "callsPerSecond": NUMBER,
    "errorRate": {**NUMBER, "description": "Failed calls of all, from 0 to 1."},
}
DURATIONS: Final[Schema] = {
    "oneOf": [{"type": "null"}, reference("CallDurations")],
    "description": "Null for a side that has no spans.",
}

COMPONENTS: Final[dict[str, Schema]] = {
    "Ledger": {
        **record(
            lasting={**FLAG, "description": "Whether it goes on over restarts, as it does with a journal."},
            refused={
                **listing(
                    record(
                        workspace=_WORKSPACE,
                        reasons=_BY_REASON,
                        services=listing(record(service=_SERVICE, reasons=_BY_REASON)),
                    )
                ),
                "description": "What was not accepted. Requests that were refused unread are not among it.",
            },
            exporters=listing(
                record(
                    exporter=TEXT,
                    workspaces=listing(
                        record(workspace=_WORKSPACE, **_ACCOUNT, services=listing(record(service=_SERVICE, **_ACCOUNT)))
                    ),
                )
            ),
        ),
        "description": "In spans: received = refused + accepted, accepted + renamed = stored + deadLetters + dropped + waiting.",
    },
    "Problem": {
        "type": "object",
        "description": "RFC 9457 problem document.",
        "properties": {
            "type": TEXT,
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "parameter": TEXT,
            "value": TEXT,
            "errors": {
                **listing(record(field=TEXT, value={}, detail=TEXT)),
                "description": "What is wrong with the body, field by field.",
            },
            "expectedVersion": COUNT,
            "currentVersion": COUNT,
            "current": {"type": ["object", "null"], "description": "What the object says now; null where it was deleted."},
        },
        "required": ["type", "title", "status", "detail"],
    },
    "SamplingDecisions": record(
        traceId=TEXT,
        exporters=listing(
            record(
                exporter=TEXT,
                state={"type": "string", "enum": ["pending", "kept", "dropped", "unknown"]},
                decisions={
                    **listing(
                        record(
                            timeUnixNano=NANOSECONDS,
                            kept=FLAG,
                            decidedBy={**TEXT, "description": "The policy, or the rule."},
                            late={**FLAG, "description": "The spans came after a decision, and followed it."},
                            probability={"type": ["number", "null"], "description": "The share of such traces that is kept."},
                            votes={
                                "oneOf": [listing(record(policy=TEXT, keeps=FLAG)), {"type": "null"}],
                                "description": "Null for late spans, and for decisions from before a restart.",
                            },
                        )
                    ),
                    "description": "The newest first.",
                },
            )
        ),
    ),
    "RunningConfiguration": record(
        configuration={"type": "object", "description": "As in the file, with all defaults; secrets are masked."}
    ),
    "Reloaded": record(
        applied={**listing(TEXT), "description": "Keys that have changed and are in force."},
        atRestart={**listing(TEXT), "description": "Keys that have changed and take effect at the next start."},
    ),
    "Latencies": record(
        startUnixNano=NANOSECONDS,
        endUnixNano=NANOSECONDS,
        weighted={**FLAG, "description": "Whether spans count for those that sampling has dropped."},
        method={"type": "string", "enum": ["exact", "sketch"], "description": "How percentiles were found."},
        relativeError={**NUMBER, "description": "How far a percentile may be off at most, as a share of itself."},
        services=listing(reference("ServiceLatencies")),
        nextCursor=NEXT_CURSOR,
    ),
    "Red": record(
        startUnixNano=NANOSECONDS,
        endUnixNano=NANOSECONDS,
        stepNanos=NANOSECONDS,
        by=TEXT,
        series=listing(reference("RedSeries")),
        nextCursor=NEXT_CURSOR,
    ),
    "RedSeries": record(name=TEXT, **_RED, points=listing(reference("RedPoint"))),
    "RedPoint": record(startUnixNano=NANOSECONDS, **_RED),
    "ServiceLatencies": record(
        service=TEXT,
        count=WEIGHED,
        errorCount=WEIGHED,
        minNanos=NANOSECONDS,
        maxNanos=NANOSECONDS,
        meanNanos=NUMBER,
        **{f"p{percent}Nanos": NUMBER for percent in PERCENTILES},
    ),
    "Topology": record(
        startUnixNano=NANOSECONDS,
        endUnixNano=NANOSECONDS,
        complete={**FLAG, "description": "Whether there were no more edges than `limit`."},
        nodes=listing(reference("TopologyNode")),
        edges=listing(reference("TopologyEdge")),
    ),
    "TopologyNode": {
        **record(**NODE, **CALLS, durations=DURATIONS),
        "description": "A node, and the calls to it as it saw them, or its clients where it has no spans.",
    },
    "TopologyEdge": record(
        client=record(**NODE),
        server=record(**NODE),
        connectionType={"type": "string", "enum": list(CONNECTIONS)},
        **CALLS,
        clientDurations=DURATIONS,
        serverDurations=DURATIONS,
    ),
    "CallDurations": record(meanNanos=NUMBER, **{f"p{percent}Nanos": NUMBER for percent in PERCENTILES}),
}
