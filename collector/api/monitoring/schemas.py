"""JSON schemas of what dashboards show. As in `collector.api.schemas`, they are exact."""

from __future__ import annotations

from typing import Final

from collector.api.schemas import (
    CALLS,
    DURATIONS,
    FLAG,
    NANOSECONDS,
    NODE,
    NUMBER,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    listing,
    record,
    reference,
)
from collector.calls import CONNECTIONS
from collector.query.health import RULE, STATES
from collector.query.percentiles import PERCENTILES
from collector.query.topology_difference import STATES as DIFFERENCES

_WEIGHED: Final[Schema] = {**NUMBER, "description": "Those that sampling has dropped included: need not be a whole number."}
_RANGES: Final[dict[str, Schema]] = {
    "startUnixNano": NANOSECONDS,
    "endUnixNano": NANOSECONDS,
    "previousStartUnixNano": {**NANOSECONDS, "description": "Where the range before begins, which ends at `startUnixNano`."},
    "apdexThresholdNanos": NANOSECONDS,
}
_REQUESTS_OR_NULL: Final[Schema] = {
    "oneOf": [{"type": "null"}, reference("Requests")],
    "description": "Null where there were none.",
}
_COMPARED: Final[dict[str, Schema]] = {"current": _REQUESTS_OR_NULL, "previous": _REQUESTS_OR_NULL}
_OPERATIONS: Final = listing(record(service=TEXT, operation=TEXT, **_COMPARED))
_CHANGE: Final[Schema] = {
    "oneOf": [{"type": "null"}, record(callsPerSecond=NUMBER, errorRate=NUMBER)],
    "description": "So much more now than in the other range; null for what is not in both.",
}


def _sides(**facts: Schema) -> dict[str, Schema]:
    side: Schema = {"oneOf": [{"type": "null"}, record(**CALLS, **facts)]}
    return {"state": {"type": "string", "enum": list(DIFFERENCES)}, "current": side, "other": side, "change": _CHANGE}


COMPONENTS: Final[dict[str, Schema]] = {
    "Requests": record(
        count=_WEIGHED,
        succeeded=_WEIGHED,
        failed={**_WEIGHED, "description": "Those with the status Error."},
        errorRate={**NUMBER, "description": "Those that failed of all, from 0 to 1."},
        perSecond=NUMBER,
        totalNanos={**NUMBER, "description": "Of all of them together."},
        minNanos=NANOSECONDS,
        maxNanos=NANOSECONDS,
        meanNanos=NUMBER,
        **{f"p{percent}Nanos": NUMBER for percent in PERCENTILES},
        apdex={**NUMBER, "description": "From 0 to 1; those that failed are frustrated."},
    ),
    "Dashboard": record(
        **_RANGES,
        complete={**FLAG, "description": "Whether there were no more services or operations than could be looked at."},
        requests=record(**_COMPARED),
        services={
            **listing(
                record(
                    service=TEXT,
                    health={"type": "string", "enum": list(STATES), "description": RULE},
                    reasons=listing(TEXT),
                    **_COMPARED,
                )
            ),
            "description": "Those that do worst first.",
        },
        operations=record(mostRequests=_OPERATIONS, mostTime=_OPERATIONS, mostErrors=_OPERATIONS, slowest=_OPERATIONS),
    ),
    "DashboardSeries": record(
        **_RANGES,
        stepNanos=NANOSECONDS,
        points={
            **listing(record(startUnixNano=NANOSECONDS, **_COMPARED)),
            "description": "Steps without requests in both ranges are left out.",
        },
    ),
    "SpanLatencies": record(
        startUnixNano=NANOSECONDS,
        endUnixNano=NANOSECONDS,
        by=TEXT,
        boundsNanos={**listing(NANOSECONDS), "description": "Upper bounds of the histograms."},
        latencies=listing(
            record(
                name=TEXT,
                spans=reference("Requests"),
                histogram={
                    **listing(_WEIGHED),
                    "description": "Spans up to each bound and above the one before, and behind them those above all.",
                },
            )
        ),
        nextCursor=TEXT_OR_NULL,
    ),
    "TopologyDifference": record(
        startUnixNano=NANOSECONDS,
        endUnixNano=NANOSECONDS,
        otherStartUnixNano=NANOSECONDS,
        otherEndUnixNano=NANOSECONDS,
        complete={**FLAG, "description": "Whether neither topology had more edges than `limit`."},
        nodes=listing(record(**NODE, **_sides(durations=DURATIONS))),
        edges=listing(
            record(
                client=record(**NODE),
                server=record(**NODE),
                connectionType={"type": "string", "enum": list(CONNECTIONS)},
                **_sides(clientDurations=DURATIONS, serverDurations=DURATIONS),
            )
        ),
    ),
}
