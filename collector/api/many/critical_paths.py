"""/api/v1/analysis/critical-path."""

from __future__ import annotations

import asyncio
import re
from fractions import Fraction
from typing import Any, Final, cast, get_args

from aiohttp import web
from multidict import MultiMapping

from collector.api import params, parsing, rendering, schemas
from collector.api.by_body import asked_either_way
from collector.api.many.asked import whole_search
from collector.api.params import Parameter
from collector.api.problems import BadParameter
from collector.api.routing import CALLER, NOW, STORE
from collector.api.search import SPAN_FILTERS, TRACE_FILTERS, filter_of
from collector.query.analysis.critical_path import Overflow
from collector.query.many.critical_paths import Band, By, Contribution, add_up, find_trace_path
from collector.query.many.trace_sample import MOST_SPANS, MOST_SPANS_OF_TRACE, TraceSample, sample_traces

MOST_BANDS: Final = 20
_BAND: Final = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)-(\d{1,3}(?:\.\d{1,6})?)", re.ASCII)


def parse_band(text: str) -> tuple[Fraction, Fraction]:
    """Two percentiles.

    Raises:
        ValueError: not two numbers from 0 to 100 of which the first is less.
    """
    found = _BAND.fullmatch(text)
    low, high = (Fraction(part) for part in found.groups()) if found else (Fraction(0), Fraction(0))
    if not low < high <= 100:
        raise ValueError("must be two percentiles from 0 to 100, the lower one first, such as 90-99")
    return low, high


USUAL_BANDS: Final = tuple(map(parse_band, ("0-50", "50-90", "90-99", "99-100")))
BAND: Final[Parameter[tuple[Fraction, Fraction]]] = Parameter(
    "band",
    "Between which percentiles of the roots' durations traces are added up. May be repeated; without it 0-50, 50-90, 90-99 and"
    " 99-100.",
    {"type": "string", "pattern": f"^{_BAND.pattern}$"},
    parse_band,
    USUAL_BANDS[0],
    repeatable=True,
    example="90-99",
)
BY: Final[Parameter[str]] = Parameter(
    "by",
    "What time is added up by: `operation` (with its service), `service`, or `callPath`, which is all operations from the root"
    " down.",
    {"type": "string", "enum": list(get_args(By)), "default": "operation"},
    parsing.choice(get_args(By)),
    "operation",
)
SAMPLE: Final = params.whole_number("sample", "At most so many traces are looked at, drawn by their ids.", 1000, 1, 5000)
LIMIT: Final = params.limit(50, 1000, "contributions in each band")


async def analyse_critical_paths(request: web.Request, query: MultiMapping[str]) -> web.Response:
    """What many traces were waiting for, in bands of how long they took."""
    search = filter_of(query, request[CALLER].workspace, request.app[NOW]())
    bands = list(dict.fromkeys(BAND.read_all(query))) or USUAL_BANDS
    if len(bands) > MOST_BANDS:
        raise BadParameter(BAND.name, query.getall(BAND.name)[MOST_BANDS], f"may be given {MOST_BANDS} times at most")
    weighted, limit = params.WEIGHTED.read(query), LIMIT.read(query)
    tolerance = params.TOLERANCE.read(query)
    # The parameters' own choices of values are those of the types.
    by, overflow = cast("By", BY.read(query)), cast("Overflow", params.OVERFLOW.read(query))
    sample = await sample_traces(request.app[STORE], search, SAMPLE.read(query))

    def add() -> list[Band]:
        return add_up(
            (
                find_trace_path(
                    trace.spans,
                    trace.weights if weighted else [1.0] * len(trace.spans),
                    by,
                    tolerance=tolerance,
                    overflow=overflow,
                )
                for trace in sample.traces
            ),
            bands,
        )

    # Many spans take a while: not on the event loop.
    found = await asyncio.to_thread(add)
    because = _incomplete_because(sample)
    return rendering.json_response(
        {
            "startUnixNano": str(search.start),
            "endUnixNano": str(search.end),
            "by": by,
            "tolerance": float(tolerance),
            "overflow": overflow,
            "weighted": weighted,
            "total": sample.total,
            "totalIsExact": sample.total_is_exact,
            "sampledTraces": len(sample.traces),
            "sampledSpans": sum(len(trace.spans) for trace in sample.traces),
            "bands": [_band(band, limit) for band in found],
            "complete": not because,
            "incompleteBecause": because or None,
            "search": whole_search(query, search),
        }
    )


def _incomplete_because(sample: TraceSample) -> str:
    """Why not all traces that fit were looked at, and what helps; empty where they were."""
    reasons = []
    if sample.too_large:
        reasons.append(
            f"{len(sample.too_large)} traces have more than {MOST_SPANS_OF_TRACE} spans and were left out, such as"
            f" {sample.too_large[0]}."
        )
    looked_at = len(sample.traces) + len(sample.too_large)
    if looked_at < sample.total or not sample.total_is_exact:
        total = f"{'' if sample.total_is_exact else 'at least '}{sample.total}"
        reasons.append(
            f"Of {total} traces a sample of {looked_at} was looked at, which may have {MOST_SPANS} spans together; narrow the"
            f" conditions or raise {SAMPLE.name}."
        )
    return " ".join(reasons)


def _band(band: Band, limit: int) -> dict[str, Any]:
    return {
        "low": float(band.low),
        "high": float(band.high),
        "traces": band.traces,
        "count": rendering.number(band.count),
        "minNanos": str(band.minimum),
        "maxNanos": str(band.maximum),
        "meanNanos": rendering.number(band.mean),
        "contributions": [_contribution(each) for each in band.contributions[:limit]],
        "contributionCount": len(band.contributions),
    }


def _contribution(each: Contribution) -> dict[str, Any]:
    return {
        "path": [{"service": service, "operation": operation} for service, operation in each.frames],
        "share": rendering.number(each.share),
        "meanNanos": rendering.number(each.mean),
        "frequency": rendering.number(each.frequency),
        "spans": each.spans,
        "exemplars": [
            {"traceId": exemplar.trace_id, "spanId": exemplar.span_id, "nanos": str(exemplar.time)} for exemplar in each.exemplars
        ],
    }


ROUTES: Final = asked_either_way(
    "/api/v1/analysis/critical-path",
    analyse_critical_paths,
    "What many traces were waiting for, in bands of how long they took",
    schemas.reference("AggregateCriticalPath"),
    (
        *SPAN_FILTERS,
        *TRACE_FILTERS,
        BY,
        BAND,
        SAMPLE,
        params.TOLERANCE,
        params.OVERFLOW,
        params.WEIGHTED,
        LIMIT,
    ),
)
