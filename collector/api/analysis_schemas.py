"""JSON schemas of what is made of a trace: waterfalls, paths, tables, comparisons. As in `schemas.py`, they are exact."""

from __future__ import annotations

from typing import Final

from collector.api.schemas import (
    COUNT,
    FLAG,
    INDEX,
    NANOSECONDS,
    NUMBER,
    SPAN_IDENTITY,
    TEXT,
    TRACE_HEADER,
    Schema,
    listing,
    record,
    reference,
)
from collector.query.analysis.comparison import STATES

SIGNED_NANOSECONDS: Final[Schema] = {"type": "string", "pattern": "^-?[0-9]+$", "description": "Whole nanoseconds."}
INDEX_OR_NULL: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}
POSITION_OR_NULL: Final[Schema] = {**INDEX_OR_NULL, "description": "Position in this list; null for a root."}
_WARNINGS: Final = listing(reference("Warning"))
_REPEAT: Final[dict[str, Schema]] = {
    "spanCount": COUNT,
    "minNanos": NANOSECONDS,
    "maxNanos": NANOSECONDS,
    "totalNanos": NANOSECONDS,
}
_WATERFALL: Final[dict[str, Schema]] = {
    **TRACE_HEADER,
    "rootService": TEXT,
    "rootName": TEXT,
    "depth": COUNT,
    "spansByService": {"type": "object", "additionalProperties": COUNT},
    "missingParents": COUNT,
    "missing": {
        **listing(record(parentSpanId=TEXT, children=listing(INDEX))),
        "description": "Spans whose parent is not in the trace, by that parent.",
    },
    "barCount": {**COUNT, "description": "Bars that are left after the reduction, in all windows."},
    "offset": {**COUNT, "description": "How many of them come before the first of this answer."},
    "warnings": _WARNINGS,
}
_NAMED: Final[dict[str, Schema]] = {"index": INDEX, "spanId": TEXT}
_ROOT: Final[dict[str, Schema]] = {**_NAMED, "missingParent": FLAG, "durationNanos": NANOSECONDS}
_SEGMENT: Final[dict[str, Schema]] = {**_NAMED, "startUnixNano": NANOSECONDS, "endUnixNano": NANOSECONDS}
_SHARE: Final[dict[str, Schema]] = {**_NAMED, "onPathNanos": NANOSECONDS, "selfNanos": NANOSECONDS}
_GROUP: Final[dict[str, Schema]] = {
    "spanCount": COUNT,
    "errorCount": COUNT,
    "totalNanos": NANOSECONDS,
    "minNanos": NANOSECONDS,
    "maxNanos": NANOSECONDS,
    "meanNanos": NUMBER,
    "selfNanos": NANOSECONDS,
    "selfMinNanos": NANOSECONDS,
    "selfMaxNanos": NANOSECONDS,
    "selfMeanNanos": NUMBER,
    "selfShare": {**NUMBER, "description": "Of the self time of all spans, from 0 to 1."},
    "selfOfTotal": {**NUMBER, "description": "Self time of the durations, from 0 to 1."},
    "onPathNanos": {**NANOSECONDS, "description": "How long roots waited for these spans themselves."},
}
_SIDE: Final = record(spanCount=COUNT, errorCount=COUNT, totalNanos=NANOSECONDS, selfNanos=NANOSECONDS, firstIndex=INDEX_OR_NULL)


def _mode(name: str) -> dict[str, Schema]:
    return {"traceId": TEXT, "complete": FLAG, "mode": {"type": "string", "const": name}}


_CRITICAL_PATH: Final[dict[str, Schema]] = {
    **_mode("default"),
    "tolerance": {"type": "number"},
    "overflow": {"type": "string", "enum": ["clip", "ignore"]},
    "excluded": listing(record(**_NAMED, reason=TEXT)),
    "warnings": _WARNINGS,
}


def _coded(values: Schema) -> Schema:
    description = "Each value once, and for each item the position of its own among those."
    return {**record(values=listing(values), codes=listing(COUNT)), "description": description}


_IDS: Final[Schema] = {
    "oneOf": [TEXT, _coded(TEXT)],
    "description": "All in one text, 16 digits each, of which all are 0 where there is none. Coded where an id has another form.",
}
_INTEGERS: Final[Schema] = {
    "oneOf": [record(base=SIGNED_NANOSECONDS, values=listing({"type": "integer"})), listing(SIGNED_NANOSECONDS)],
    "description": "Whole nanoseconds, to each of which the base is to be added. As texts where they lie 2^53 and more apart.",
}
_REPEAT_OR_NULL: Final[Schema] = {
    "oneOf": [{"type": "null"}, record(**_REPEAT)],
    "description": "The spans that this bar stands for; null when it is one.",
}
COMPONENTS: Final[dict[str, Schema]] = {
    "Waterfall": record(
        **_WATERFALL,
        bars=listing(
            record(
                index=INDEX,
                parentIndex=INDEX_OR_NULL,
                depth=COUNT,
                **SPAN_IDENTITY,
                offsetNanos=NANOSECONDS,
                selfNanos=NANOSECONDS,
                skewNanos={**SIGNED_NANOSECONDS, "description": "How far its clock seems to be ahead of its root's."},
                children=COUNT,
                descendants=COUNT,
                errorsBelow=COUNT,
                missingParent=FLAG,
                precedesParent={**FLAG, "description": "Whether it starts before its parent."},
                outlivesParent={**FLAG, "description": "Whether it ends after its parent."},
                omitted={**COUNT, "description": "Spans below it that the reduction left out."},
                repeat=_REPEAT_OR_NULL,
            )
        ),
    ),
    "WaterfallColumns": record(
        **_WATERFALL,
        bars={
            **record(
                index=listing(INDEX),
                parentIndex=listing(INDEX_OR_NULL),
                depth=listing(COUNT),
                spanId=_IDS,
                **dict.fromkeys(("service", "name", "kind", "status"), _coded(TEXT)),
                **dict.fromkeys(
                    ("startTimeUnixNano", "durationNanos", "offsetNanos", "selfNanos", "skewNanos"),
                    _INTEGERS,
                ),
                **dict.fromkeys(("children", "descendants", "errorsBelow", "omitted"), listing(COUNT)),
                **dict.fromkeys(("missingParent", "precedesParent", "outlivesParent"), _coded(FLAG)),
                repeat=_coded(_REPEAT_OR_NULL),
            ),
            "description": "The members of bars in the other form, each as a list in the order of the bars.",
        },
    ),
    "CriticalPath": record(
        **_CRITICAL_PATH,
        roots=listing(
            record(
                **_ROOT,
                segments=listing(record(**_SEGMENT, uncertain=FLAG)),
                spans=listing(
                    record(**_SHARE, dragNanos=NANOSECONDS, slackNanos=NANOSECONDS, savedNanos=NANOSECONDS),
                ),
            )
        ),
    ),
    "CriticalPathColumns": record(
        **_CRITICAL_PATH,
        roots=listing(record(**_ROOT, segmentCount=COUNT, spanCount=COUNT)),
        segments={
            **record(index=listing(INDEX), spanId=_IDS, startUnixNano=_INTEGERS, endUnixNano=_INTEGERS, uncertain=_coded(FLAG)),
            "description": "The segments of the roots, root after root: each member as a list.",
        },
        spans={
            **record(
                index=listing(INDEX),
                spanId=_IDS,
                **dict.fromkeys(("onPathNanos", "selfNanos", "dragNanos", "slackNanos", "savedNanos"), _INTEGERS),
            ),
            "description": "The spans of the roots, likewise.",
        },
    ),
    "JaegerCriticalPath": record(
        **_mode("jaeger"),
        roots=listing(record(**_ROOT, segments=listing(record(**_SEGMENT)), spans=listing(record(**_SHARE)))),
        warnings=_WARNINGS,
    ),
    "CrispCriticalPath": record(
        **_mode("crisp"),
        roots=listing(
            record(
                **_ROOT,
                spans={
                    **listing(record(**_NAMED, inclusiveNanos=NANOSECONDS, exclusiveNanos=NANOSECONDS)),
                    "description": "Those on the path.",
                },
                callPaths=listing(
                    record(
                        parent=POSITION_OR_NULL,
                        service=TEXT,
                        operation=TEXT,
                        inclusiveNanos=NANOSECONDS,
                        exclusiveNanos=NANOSECONDS,
                        frequency=COUNT,
                        worstIndex=INDEX,
                    )
                ),
            )
        ),
        warnings=_WARNINGS,
    ),
    "CompletionPath": record(
        **_mode("completion"),
        root=record(**_ROOT),
        last={**record(**_NAMED), "description": "The span that ends last."},
        durationNanos={**NANOSECONDS, "description": "Of all steps."},
        waitNanos={**NANOSECONDS, "description": "Of those that are waits."},
        steps=listing(
            record(
                **_SEGMENT,
                causeIndex={
                    **INDEX_OR_NULL,
                    "description": "Where the step is a wait for the span to start: what caused it. Null: the span's own time.",
                },
            )
        ),
        warnings=_WARNINGS,
    ),
    "LongestChain": record(
        **_mode("longest-chain"),
        roots=listing(
            record(**_ROOT, totalNanos=NANOSECONDS, spans=listing(record(**_NAMED, durationNanos=NANOSECONDS))),
        ),
        warnings=_WARNINGS,
    ),
    "WhatIf": record(
        traceId=TEXT,
        complete=FLAG,
        **_NAMED,
        durationNanos=NANOSECONDS,
        root=record(**_ROOT),
        savedNanos={**NANOSECONDS, "description": "How much sooner the root would end if the span took no time."},
        projectedNanos={**NANOSECONDS, "description": "The duration of the root then."},
        excluded={**TEXT, "description": "Why nobody waited for the span, empty when that is not so."},
        levels={
            **listing(record(**_NAMED, dragNanos=NANOSECONDS, savedNanos=NANOSECONDS, rivalIndex=INDEX_OR_NULL)),
            "description": "From the span up to the one below the root: what limits the gain.",
        },
    ),
    "SelfTimes": record(
        traceId=TEXT,
        complete=FLAG,
        selfNanos=NANOSECONDS,
        groups=listing(record(service=TEXT, operation=TEXT, **_GROUP)),
    ),
    "TraceStatistics": record(
        **TRACE_HEADER,
        depth=COUNT,
        roots=COUNT,
        missingParents=COUNT,
        leaves=COUNT,
        widest={**COUNT, "description": "Most children of one span."},
        selfNanos=NANOSECONDS,
        by=listing(TEXT),
        groups=listing(record(key={**listing(TEXT), "description": "One value for each of `by`."}, **_GROUP)),
    ),
    "TraceComparison": record(
        left=record(**TRACE_HEADER),
        right=record(**TRACE_HEADER),
        nodes=listing(
            record(
                parent=POSITION_OR_NULL,
                depth=COUNT,
                service=TEXT,
                name=TEXT,
                leaf={**FLAG, "description": "Whether its spans call nothing."},
                state={
                    "type": "string",
                    "enum": list(STATES),
                    "description": "Which traces have it; `more` and `fewer` are said of the right one.",
                },
                left=_SIDE,
                right=_SIDE,
                differenceNanos={**SIGNED_NANOSECONDS, "description": "Total of the right less that of the left."},
            )
        ),
    ),
}
