"""JSON schemas of what is made of many spans and traces. As in `collector/api/schemas.py`, they are exact."""

from __future__ import annotations

from typing import Final, get_args

from collector.api.schemas import (
    COUNT,
    FLAG,
    NANOSECONDS,
    NUMBER,
    TEXT,
    TEXT_OR_NULL,
    WEIGHED,
    Schema,
    listing,
    record,
    reference,
)
from collector.query.many.critical_paths import By
from collector.query.many.failures import ASPECTS

_SHARE: Final[Schema] = {**NUMBER, "description": "From 0 to 1."}
_SEARCH: Final[Schema] = {
    "type": "object",
    "description": "What finds the traces of all this: the body of `POST /api/v1/traces`.",
}
_PART_SEARCH: Final[Schema] = {
    "type": ["object", "null"],
    "description": "What on top of the answer's `search` finds the traces of this part; null where words cannot say it.",
}
_CELL_SEARCH: Final[Schema] = {**_SEARCH, "description": "What on top of the answer's `search` finds the traces of this cell."}
_RANGE: Final[dict[str, Schema]] = {"startUnixNano": NANOSECONDS, "endUnixNano": NANOSECONDS}
_WEIGHTED: Final[dict[str, Schema]] = {
    "weighted": {**FLAG, "description": "Whether spans count for those that sampling has dropped."}
}
_COMPLETE: Final[dict[str, Schema]] = {
    "complete": FLAG,
    "incompleteBecause": {**TEXT_OR_NULL, "description": "Which limit was reached, and what helps; null where none was."},
}
_ONCE: Final[Schema] = {**FLAG, "description": "Whether a span that its client sent twice counts once."}
_SPANS: Final[Schema] = {**COUNT, "description": "Those that are stored."}
_KEY: Final[Schema] = {**listing(TEXT), "description": "In the order of `by`; empty texts where spans say nothing there."}
_COUNTS: Final[dict[str, Schema]] = {"spans": _SPANS, "count": WEIGHED, "errors": WEIGHED}
_SIDE: Final = record(
    **_RANGE,
    spans={**COUNT, "description": "Those that fit; one that its client sent twice counts twice."},
    sampled={**COUNT, "description": "Of those, how many were looked at."},
    count=WEIGHED,
)
_HAVING: Final = record(spans={**COUNT, "description": "Of the sample, those that have the value."}, share=_SHARE)
_OCCURRENCES: Final[dict[str, Schema]] = {
    "spans": _SPANS,
    "count": WEIGHED,
    "firstUnixNano": NANOSECONDS,
    "lastUnixNano": NANOSECONDS,
}
_NEW: Final[dict[str, Schema]] = {
    **_OCCURRENCES,
    "firstTraceId": TEXT,
    "firstSpanId": TEXT,
    "search": _PART_SEARCH,
}
_LATENCIES: Final[dict[str, Schema]] = {
    **_RANGE,
    "by": listing(TEXT),
    **_WEIGHTED,
    "method": {
        "type": "string",
        "enum": ["exact", "sketch"],
        "description": "How percentiles were found. With `sketch` a span that its client sent twice counts twice.",
    },
    "relativeError": {**NUMBER, "description": "How far a percentile may be off at most, as a share of itself."},
    "search": _SEARCH,
}
_GROUPS: Final = listing(reference("LatencyGroup"))

COMPONENTS: Final[dict[str, Schema]] = {
    "LatencyGroup": record(
        key=_KEY,
        **_COUNTS,
        errorRate=_SHARE,
        minNanos=NANOSECONDS,
        maxNanos=NANOSECONDS,
        meanNanos=NUMBER,
        totalNanos=NUMBER,
        percentiles=listing(record(percentile=NUMBER, nanos=NUMBER)),
        search=_PART_SEARCH,
    ),
    "GroupLatencies": record(**_LATENCIES, groups=_GROUPS, groupCount=COUNT, **_COMPLETE),
    "OperationRanking": record(
        **_LATENCIES,
        slowest={**_GROUPS, "description": "By the last of the percentiles."},
        mostTime={**_GROUPS, "description": "By the time that their spans took together."},
        mostErrors=_GROUPS,
        highestErrorRate=_GROUPS,
        operationCount=COUNT,
        **_COMPLETE,
    ),
    "SpanThroughput": record(
        **_RANGE,
        stepNanos=NANOSECONDS,
        by=listing(TEXT),
        **_WEIGHTED,
        eachOnce=_ONCE,
        series={
            **listing(
                record(
                    key=_KEY,
                    count=WEIGHED,
                    errors=WEIGHED,
                    errorRate=_SHARE,
                    perSecond=NUMBER,
                    points={
                        **listing(record(**_RANGE, **_COUNTS, perSecond=NUMBER)),
                        "description": "Steps with spans; of the first and the last, what is in the time range.",
                    },
                    search=_PART_SEARCH,
                )
            ),
            "description": "Those with the most spans first.",
        },
        groupCount=COUNT,
        **_COMPLETE,
        search=_SEARCH,
    ),
    "HeatMap": record(
        **_RANGE,
        stepNanos=NANOSECONDS,
        **_WEIGHTED,
        eachOnce=_ONCE,
        cells={
            **listing(record(**_RANGE, minNanos=NANOSECONDS, maxNanos=NANOSECONDS, **_COUNTS, search=_CELL_SEARCH)),
            "description": "Those with spans, by time and duration; `minNanos` and `maxNanos` are both included.",
        },
        search=_SEARCH,
    ),
    "ErrorBreakdown": record(
        **_RANGE,
        **_WEIGHTED,
        eachOnce=_ONCE,
        spans=_SPANS,
        count=WEIGHED,
        errors=WEIGHED,
        errorRate=_SHARE,
        by=record(**dict.fromkeys(ASPECTS, reference("ErrorCauses"))),
        **_COMPLETE,
        search=_SEARCH,
    ),
    "ErrorCauses": record(
        causes={
            **listing(
                record(
                    key=_KEY,
                    **_OCCURRENCES,
                    share={**_SHARE, "description": "Of all errors, from 0 to 1."},
                    lastTraceId=TEXT,
                    lastSpanId=TEXT,
                    search=_PART_SEARCH,
                )
            ),
            "description": "Those with the most spans first. A span with several exceptions is among the causes of each.",
        },
        total={**COUNT, "description": "How many causes there are."},
    ),
    "SpanDifferences": record(
        selection=_SIDE,
        baseline=_SIDE,
        **_WEIGHTED,
        statistic={
            "type": "string",
            "const": "g-squared",
            "description": "The likelihood ratio of who has a value and who has not (Dunning 1993), which is in `gSquared`.",
        },
        significance={**NUMBER, "description": "Differences that chance makes with at least this probability are left out."},
        comparedValues={**COUNT, "description": "How many values were compared."},
        differences={
            **listing(
                record(
                    level={"type": "string", "enum": ["field", "span", "resource"]},
                    key=TEXT,
                    values=listing(
                        record(
                            value=TEXT,
                            selection=_HAVING,
                            baseline=_HAVING,
                            difference={**NUMBER, "description": "Of the shares, from -1 to 1."},
                            gSquared=NUMBER,
                            probability={**NUMBER, "description": "That chance makes so much of a difference in any value."},
                            search=_PART_SEARCH,
                        )
                    ),
                    total={**COUNT, "description": "How many of its values differ."},
                )
            ),
            "description": "What differs most first.",
        },
        total={**COUNT, "description": "How many fields and attributes differ."},
        **_COMPLETE,
        search={**_SEARCH, "description": "What finds the traces of the selection: the body of `POST /api/v1/traces`."},
    ),
    "AggregateCriticalPath": record(
        **_RANGE,
        by={"type": "string", "enum": list(get_args(By))},
        tolerance=NUMBER,
        overflow=TEXT,
        **_WEIGHTED,
        total={**COUNT, "description": "Traces that fit."},
        totalIsExact={**FLAG, "description": "Otherwise there are at least so many."},
        sampledTraces={**COUNT, "description": "Of those, how many were looked at."},
        sampledSpans=COUNT,
        bands={**listing(reference("CriticalPathBand")), "description": "Those in which there are traces."},
        **_COMPLETE,
        search=_SEARCH,
    ),
    "CriticalPathBand": record(
        low={**NUMBER, "description": "The percentile from which the roots' durations are."},
        high={**NUMBER, "description": "The percentile up to which they are."},
        traces={**COUNT, "description": "Those that are stored."},
        count=WEIGHED,
        minNanos=NANOSECONDS,
        maxNanos=NANOSECONDS,
        meanNanos=NUMBER,
        contributions={
            **listing(
                record(
                    path={
                        **listing(record(service=TEXT, operation=TEXT)),
                        "description": "One service, or one operation, or all calls from the root down.",
                    },
                    share={**NUMBER, "description": "Of the time of all roots of the band, from 0 to 1."},
                    meanNanos={**NUMBER, "description": "How long a root waited for it, on average of all."},
                    frequency={**NUMBER, "description": "In what share of the traces it is on the path, from 0 to 1."},
                    spans={**COUNT, "description": "How many spans of it are on the paths."},
                    exemplars={
                        **listing(record(traceId=TEXT, spanId=TEXT, nanos=NANOSECONDS)),
                        "description": "Traces that waited for it longest, each with the span that was waited for longest.",
                    },
                )
            ),
            "description": "Those with the most time first.",
        },
        contributionCount={**COUNT, "description": "How many there are."},
    ),
    "NewNames": record(
        beforeUnixNano={**NANOSECONDS, "description": "From when on a name must not have been seen."},
        **_RANGE,
        **_WEIGHTED,
        services={**listing(record(service=TEXT, **_NEW)), "description": "The first ones first."},
        serviceCount=COUNT,
        operations={**listing(record(service=TEXT, operation=TEXT, **_NEW)), "description": "The first ones first."},
        operationCount=COUNT,
        **_COMPLETE,
        search=_SEARCH,
    ),
}
