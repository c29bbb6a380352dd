"""Tempo's search: TraceQL, or the tags of before."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from aiohttp import web
from multidict import MultiMapping

from collector.api.asked import HOUR, MILLISECOND, SECOND, asked, epoch, ordered, parsed, span_durations, whole
from collector.api.problems import BadParameter
from collector.api.rendering import json_response
from collector.api.routing import CALLER, NOW, SETTINGS, STORE
from collector.api.tempo.span_attributes import is_read_alone, told_attributes
from collector.api.tempo.traces import PREFIX
from collector.query.hits import Hit, Matched, MatchedSpan, SpanKey, find_grouped
from collector.query.nested_sets import NestedSet, find_nested_sets
from collector.query.predicates import (
    EVERY_SPAN,
    FAILED,
    AllOf,
    Attribute,
    Comparison,
    Field,
    Measured,
    Not,
    Operator,
    Predicate,
)
from collector.query.search import TraceSearch, find_traces
from collector.query.shown import find_shown
from collector.query.traceql.reading import TraceQuery, read_traceql
from collector.query.whole_traces import first_that_fit
from config.ottl_grammar import OttlError

MOST_TRACES: Final = 1500
_LIMIT: Final = whole(1, MOST_TRACES)
_SPANS_OF_SET: Final = whole(1, 100)
_DEFAULT_RANGE: Final = HOUR
_LONGEST_MS: Final = 2**32 - 1
"""The largest number that Tempo's answers have room for: Grafana's data source shows no trace at all where one is longer."""
_NO_VALUE: Final = "nil"
_NO_ROOT: Final = "<root span not yet received>"
_TAG: Final = re.compile(r'\s*([^\s="]+)=("(?:\\.|[^"\\])*"|[^\s"]*)(?:\s+|$)')
_UNESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def time_range_of(query: MultiMapping[str], now: int) -> tuple[int, int]:
    """`start` and `end`, which come both or not at all, in nanoseconds; the last hour without them.

    Raises:
        BadParameter: one is missing, no number of seconds, or not after the other.
    """
    start, end = (asked(query, epoch(SECOND), None, name) for name in ("start", "end"))
    if start is None and end is None:
        return max(now + 1 - _DEFAULT_RANGE, 0), now + 1
    if start is None or end is None:
        missing = "start" if start is None else "end"
        raise BadParameter(missing, "", "start and end are needed, or neither")
    return ordered(start, end, "end", query.get("end", ""))


def read_traceql_parameter(text: str) -> TraceQuery:
    """Reads TraceQL. Raises ValueError that says what is wrong where."""
    try:
        return read_traceql(text)
    except OttlError as error:
        raise ValueError(str(error)) from None


def _tags(text: str) -> Predicate:
    """Reads `key=value` pairs, a value being a part of what is there, in either case."""
    terms: list[Predicate] = []
    position = 0
    while position < len(text.rstrip()):
        pair = _TAG.match(text, position)
        if pair is None:
            raise ValueError(f"must be key=value pairs with spaces between them; {text[position : position + 20]!r} is none")
        position = pair.end()
        key, value = pair[1], pair[2]
        if value.startswith('"'):
            value = _UNESCAPED.sub(r"\1", value[1:-1])
        if key == "error" and value in ("true", "false"):
            terms.append(FAILED if value == "true" else Not(FAILED))
        else:
            field: Field = "name" if key == "name" else Attribute("span or resource", key)
            terms.append(Comparison(field, "contains ignoring case", value))
    return AllOf(tuple(terms))


def _read(request: web.Request) -> tuple[TraceSearch, TraceQuery]:
    query = request.query
    if query.get("q") and query.get("tags"):
        raise BadParameter("tags", query["tags"], "must not come with q")
    found = asked(query, read_traceql_parameter, TraceQuery(EVERY_SPAN), "q")
    terms = [found.where, asked(query, _tags, EVERY_SPAN, "tags")]
    shortest, longest = span_durations(query, "minDuration", "maxDuration")
    bounds: tuple[tuple[Operator, int | None], ...] = ((">=", shortest), ("<=", longest))
    terms += [Measured(EVERY_SPAN, "extent", None, operator, value) for operator, value in bounds if value is not None]
    start, end = time_range_of(query, request.app[NOW]())
    # Not `asked`: an empty or zero limit is a mistake.
    limit = parsed("limit", query["limit"], _LIMIT) if "limit" in query else 20
    search = TraceSearch(
        start=start,
        end=end,
        workspace=request[CALLER].workspace,
        where=AllOf(tuple(term for term in terms if term != EVERY_SPAN)),
        limit=limit,
        matched_spans=asked(query, _SPANS_OF_SET, 3, "spss"),
    )
    return search, found


async def search_traces(request: web.Request) -> web.Response:
    """Traces with a span that fits, the newest first, each with some of the spans that do."""
    search, asked_for = _read(request)
    store, max_spans = request.app[STORE], request.app[SETTINGS].max_spans
    # Spans in groups are looked for by themselves.
    page = await find_traces(store, replace(search, matched_spans=0) if asked_for.by else search)
    # Of traces whose spans are told where they stand, all spans are read.
    hits = page.hits[: first_that_fit(page.hits, max_spans)] if asked_for.places else page.hits
    trace_ids = [hit.trace_id for hit in hits]
    sets: dict[str, list[tuple[tuple[str, ...], Matched]]] = {
        hit.trace_id: [((), hit.matched)] for hit in hits if hit.matched is not None
    }
    if asked_for.by and trace_ids:
        sets = await find_grouped(store, search, trace_ids, tuple(asked_for.by.values()))
    spans = [span.key(trace_id) for trace_id, found in sets.items() for _, matched in found for span in matched.spans]
    others = [field for field in dict.fromkeys(asked_for.shown.values()) if is_read_alone(field)]
    shown, places = await asyncio.gather(
        find_shown(store, search, spans if asked_for.shown else [], others),
        find_nested_sets(store, trace_ids if asked_for.places else [], workspace=search.workspace, max_spans=max_spans),
    )
    told = Told(asked_for, told_attributes(shown, asked_for.shown), places)
    return json_response(
        {
            "traces": [_hit(hit, sets.get(hit.trace_id, []), told) for hit in hits],
            "metrics": {"inspectedTraces": page.total, "completedJobs": 1, "totalJobs": 1},
        }
    )


class Told(NamedTuple):
    """What is told of spans besides their names and times."""

    asked_for: TraceQuery
    attributes: Mapping[SpanKey, list[dict[str, Any]]]
    places: Mapping[SpanKey, NestedSet]


def _hit(hit: Hit, sets: Sequence[tuple[tuple[str, ...], Matched]], told: Told) -> dict[str, Any]:
    span_sets = []
    for group, matched in sets:
        texts = zip(told.asked_for.by, group, strict=True)
        attributes = [{"key": f"by({word})", "value": {"stringValue": text or _NO_VALUE}} for word, text in texts]
        spans = [_span(hit.trace_id, span, told) for span in matched.spans]
        span_sets.append({"spans": spans, "matched": matched.count, **({"attributes": attributes} if attributes else {})})
    return {
        "traceID": hit.trace_id,
        "rootServiceName": hit.root_service if hit.root_service is not None else _NO_ROOT,
        "rootTraceName": hit.root_name if hit.root_name is not None else _NO_ROOT,
        "startTimeUnixNano": str(hit.start),
        "durationMs": min(hit.duration // MILLISECOND, _LONGEST_MS),
        # The first of them once more, for those who know of one only.
        "spanSet": span_sets[0] if span_sets else {"spans": [], "matched": 0},
        "spanSets": span_sets,
        "serviceStats": {
            service.name: {
                "spanCount": service.span_count,
                **({"errorCount": service.error_count} if service.error_count else {}),
            }
            for service in hit.services
        },
    }


def _span(trace_id: str, span: MatchedSpan, told: Told) -> dict[str, Any]:
    key = span.key(trace_id)
    attributes = [*told.attributes.get(key, ())]
    if (place := told.places.get(key)) is not None:
        numbers = {"nestedSetParent": place.parent, "nestedSetLeft": place.left, "nestedSetRight": place.right}
        attributes += [{"key": each, "value": {"intValue": str(numbers[each])}} for each in told.asked_for.places]
    return {
        "spanID": span.span_id,
        "name": span.name,
        "startTimeUnixNano": str(span.start),
        "durationNanos": str(span.duration),
        **({"attributes": attributes} if attributes else {}),
    }


ROUTES: Final = (web.get(f"{PREFIX}/search", search_traces),)
