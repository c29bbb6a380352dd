"""What is made of a trace: waterfall, critical path, what-if, self times and statistics; and two traces compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

import numpy as np
from aiohttp import web

from collector.api import analysis_rendering, params, parsing, rendering, schemas
from collector.api.params import Parameter
from collector.api.polling import answer
from collector.api.problems import BadParameter
from collector.api.routing import JSON, Route
from collector.api.trace_parts import (
    ADJUST,
    OFFSET,
    UNKNOWN,
    WINDOW,
    WITHIN,
    parse_span_id,
    read_skeleton,
    read_spans,
    unknown_span,
    window,
)
from collector.query.analysis.comparison import compare
from collector.query.analysis.completion_path import find_completion_path
from collector.query.analysis.crisp_path import find_crisp_paths
from collector.query.analysis.critical_path import Overflow, find_critical_path
from collector.query.analysis.jaeger_path import find_jaeger_path
from collector.query.analysis.longest_chain import find_longest_chains
from collector.query.analysis.statistics import group_spans, shape_of
from collector.query.analysis.what_if import without_span
from collector.query.reduction import Reduction, reduce_bars
from collector.query.skeleton import Skeleton
from collector.query.spans import Spans
from collector.query.store import KINDS, STATUS_CODES
from collector.query.trace import parse_trace_id
from collector.query.view import View, view_of
from collector.query.waterfall import build_waterfall, self_times_of

SPAN_ID: Final[Parameter[str | None]] = Parameter(
    "spanId", "A span of the trace.", {"type": "string"}, parse_span_id, None, example=params.SPAN_ID_EXAMPLE
)
DEPTH: Final = params.optional_whole_number("depth", "At most so many levels below the top.", 0, 999_999_999)
REPEATS: Final = params.optional_whole_number(
    "repeats",
    "So many or more spans that follow each other below one parent, call nothing, and agree in service, name, kind and status are"
    " one bar.",
    2,
    100_000,
)
ERRORS: Final = params.flag("errors", "`true`: only spans that have failed, and their ancestors.")
MODES: Final = ("default", "completion", "jaeger", "crisp", "longest-chain")
MODE: Final[Parameter[str]] = Parameter(
    "mode",
    "Whose definition: our own (`default`), that of Jaeger's page (`jaeger`), that of CRISP (`crisp`), or the chain from a root"
    " to a leaf with the largest sum of durations (`longest-chain`). `completion` is the path to the last end of the trace, work"
    " that nobody waited for included.",
    {"type": "string", "enum": list(MODES), "default": "default"},
    parsing.choice(MODES),
    "default",
)
FORM: Final[Parameter[str]] = Parameter(
    "form",
    "`columns`: a list for each member, in place of a record for each span, which says the same in a quarter of the bytes.",
    {"type": "string", "enum": ["records", "columns"], "default": "records"},
    parsing.choice(("records", "columns")),
    "records",
)

WITHOUT: Final[Parameter[str]] = Parameter(
    SPAN_ID.name,
    "The span that is thought away.",
    {"type": "string"},
    parse_span_id,
    "",
    required=True,
    example=params.SPAN_ID_EXAMPLE,
)
LEFT: Final[Parameter[str]] = Parameter(
    "left", "Id of a trace.", {"type": "string"}, parse_trace_id, "", required=True, example=params.TRACE_ID_EXAMPLE
)
RIGHT: Final[Parameter[str]] = Parameter(
    "right", "Id of a trace.", {"type": "string"}, parse_trace_id, "", required=True, example=params.TRACE_ID_EXAMPLE
)
_FIELDS: Final[dict[str, Callable[[Skeleton, int], str]]] = {
    "service": lambda spans, row: spans.services[row],
    "operation": lambda spans, row: spans.names[row],
    "kind": lambda spans, row: rendering.name(spans.kinds[row], KINDS),
    "status": lambda spans, row: rendering.name(spans.status_codes[row], STATUS_CODES),
}
_ATTRIBUTE: Final = "attribute."


def parse_grouping(text: str) -> str:
    """A field's name, or `attribute.` and a key.

    Raises:
        ValueError: neither.
    """
    if text not in _FIELDS and not (text.startswith(_ATTRIBUTE) and len(text) > len(_ATTRIBUTE)):
        raise ValueError(f"must be one of {', '.join(_FIELDS)}, or attribute. and a key, such as attribute.db.system")
    return text


BY: Final[Parameter[str]] = Parameter(
    "by",
    "What spans of one group agree in: `service`, `operation`, `kind`, `status`, or `attribute.` and the key of an attribute of"
    " the span or of its resource. May be repeated; `service` without it.",
    {"type": "string"},
    parse_grouping,
    "service",
    repeatable=True,
    example="attribute.db.system",
)


async def get_waterfall(request: web.Request) -> web.Response:
    """The spans of a trace in drawing order."""
    query = request.query
    span_id = SPAN_ID.read(query)
    adjusters = ADJUST.read_all(query)
    reduction = Reduction(
        depth=DEPTH.read(query),
        minimum_duration=params.MINIMUM_DURATION.read(query) or 0,
        only_errors=ERRORS.read(query) is True,
        repeats=REPEATS.read(query),
    )
    in_columns = FORM.read(query) == "columns"
    # The window is read before the trace is, for a mistake to be told at once.
    window(request, 0)
    skeleton = await read_skeleton(request)
    if span_id is not None:
        reduction = replace(reduction, below=_row_of(skeleton, span_id))

    def render() -> dict[str, Any]:
        view = view_of(skeleton, adjusters)
        found = build_waterfall(view.spans, view.tree)
        shown = reduce_bars(view.spans, view.tree, found.table, reduction)
        return analysis_rendering.waterfall(view, found, shown, window(request, len(shown)), in_columns=in_columns)

    return await answer(request, lambda: rendering.json_bytes(render()), JSON)


async def get_critical_path(request: web.Request) -> web.Response:
    """What each root of a trace was waiting for."""
    query = request.query
    mode = MODE.read(query)
    tolerance = params.TOLERANCE.read(query)
    # The parameter's own choice of values is that of the type.
    overflow = cast("Overflow", params.OVERFLOW.read(query))
    in_columns = FORM.read(query) == "columns"
    for parameter in (params.TOLERANCE, params.OVERFLOW, FORM):
        if mode != "default" and parameter.name in query:
            raise BadParameter(parameter.name, query[parameter.name], "has a meaning with mode=default only")
    adjusters = ADJUST.read_all(query)
    skeleton = await read_skeleton(request)

    def render() -> dict[str, Any]:
        view = view_of(skeleton, adjusters)
        spans, tree = view.spans, view.tree
        match mode:
            case "jaeger":
                return analysis_rendering.jaeger_path(view, find_jaeger_path(spans, tree), self_times_of(spans, tree).tolist())
            case "completion":
                return analysis_rendering.completion_path(view, find_completion_path(spans, tree))
            case "crisp":
                return analysis_rendering.crisp_path(view, find_crisp_paths(spans, tree))
            case "longest-chain":
                return analysis_rendering.longest_chains(view, find_longest_chains(spans, tree))
        path = find_critical_path(spans, tree, tolerance=tolerance, overflow=overflow)
        return analysis_rendering.critical_path(view, path, tolerance=float(tolerance), overflow=overflow, in_columns=in_columns)

    return await answer(request, lambda: rendering.json_bytes(render()), JSON)


async def get_what_if(request: web.Request) -> web.Response:
    """How much sooner the root of a span would have ended if the span took no time."""
    query = request.query
    span_id = WITHOUT.read(query)
    tolerance = params.TOLERANCE.read(query)
    overflow = cast("Overflow", params.OVERFLOW.read(query))
    adjusters = ADJUST.read_all(query)
    skeleton = await read_skeleton(request)
    row = _row_of(skeleton, span_id)

    def render() -> dict[str, Any]:
        view = view_of(skeleton, adjusters)
        path = find_critical_path(view.spans, view.tree, tolerance=tolerance, overflow=overflow)
        return analysis_rendering.what_if(view, without_span(path, view.tree, row))

    return await answer(request, lambda: rendering.json_bytes(render()), JSON)


async def get_self_times(request: web.Request) -> web.Response:
    """Self times of a trace by service and operation."""
    adjusters = ADJUST.read_all(request.query)
    skeleton = await read_skeleton(request)

    def render() -> dict[str, Any]:
        view = view_of(skeleton, adjusters)
        keys = list(zip(view.spans.services, view.spans.names, strict=True))
        return analysis_rendering.self_times(view, group_spans(view.spans, keys, *_times(view)))

    return await answer(request, lambda: rendering.json_bytes(render()), JSON)


async def get_statistics(request: web.Request) -> web.Response:
    """The shape of a trace, and its spans in groups."""
    by = BY.read_all(request.query) or [BY.default]
    adjusters = ADJUST.read_all(request.query)
    spans: Skeleton
    if any(each.startswith(_ATTRIBUTE) for each in by):
        spans = await read_spans(request)
    else:
        spans = await read_skeleton(request)

    def render() -> dict[str, Any]:
        view = view_of(spans, adjusters)
        keys = list(zip(*(_column(spans, each) for each in by), strict=True))
        return analysis_rendering.statistics(view, shape_of(view.tree), by, group_spans(view.spans, keys, *_times(view)))

    return await answer(request, lambda: rendering.json_bytes(render()), JSON)


async def compare_traces(request: web.Request) -> web.Response:
    """Two traces compared by structure."""
    ids = [parameter.read(request.query) for parameter in (LEFT, RIGHT)]
    left, right = [await read_skeleton(request, trace_id) for trace_id in ids]

    def render() -> dict[str, Any]:
        views = [view_of(skeleton) for skeleton in (left, right)]
        nodes = compare(*((view.spans, view.tree) for view in views))
        return analysis_rendering.comparison(views[0].spans, views[1].spans, nodes)

    return await answer(request, lambda: rendering.json_bytes(render()), JSON)


def _row_of(skeleton: Skeleton, span_id: str) -> int:
    """Row of the earliest span with this id.

    Raises:
        Problem: there is none.
    """
    number = int(span_id, 16)
    rows = np.flatnonzero(skeleton.table["span_id"] == np.uint64(number))
    if not len(rows) or number in skeleton.odd_ids:
        raise unknown_span(skeleton.trace_id, span_id)
    return int(rows[0])


def _times(view: View) -> tuple[list[int], list[int]]:
    """Self times, and times on the critical path of any root, by row; nanoseconds."""
    on_path = np.zeros(len(view.spans), np.uint64)
    shares = find_critical_path(view.spans, view.tree).share_table
    on_path[shares["row"]] = shares["on_path"]
    return self_times_of(view.spans, view.tree).tolist(), on_path.tolist()


def _column(spans: Skeleton, grouping: str) -> list[str]:
    """The value of each span in one of the ways to group; empty without the attribute."""
    if isinstance(spans, Spans) and grouping.startswith(_ATTRIBUTE):
        key = grouping.removeprefix(_ATTRIBUTE)
        return [
            (attributes if key in attributes.keys else resource.attributes).get(key)
            for attributes, resource in zip(spans.attributes, spans.resources, strict=True)
        ]
    return [_FIELDS[grouping](spans, row) for row in range(len(spans))]


ROUTES: Final = (
    Route(
        "/api/v1/traces/compare",
        compare_traces,
        "Two traces compared by structure",
        {JSON: schemas.reference("TraceComparison")},
        (LEFT, RIGHT),
        unknown="The workspace has no span of one of the traces.",
        has_tag=True,
    ),
    Route(
        "/api/v1/traces/{trace_id}/waterfall",
        get_waterfall,
        "The spans of a trace in drawing order",
        {JSON: {"oneOf": [schemas.reference(name) for name in ("Waterfall", "WaterfallColumns")]}},
        (FORM, SPAN_ID, DEPTH, params.MINIMUM_DURATION, ERRORS, REPEATS, OFFSET, WINDOW, ADJUST, *WITHIN),
        unknown=UNKNOWN,
        has_tag=True,
    ),
    Route(
        "/api/v1/traces/{trace_id}/critical-path",
        get_critical_path,
        "What each root of a trace was waiting for",
        {
            JSON: {
                "oneOf": [
                    schemas.reference(name)
                    for name in (
                        "CriticalPath",
                        "CriticalPathColumns",
                        "CompletionPath",
                        "JaegerCriticalPath",
                        "CrispCriticalPath",
                        "LongestChain",
                    )
                ]
            }
        },
        (MODE, FORM, params.TOLERANCE, params.OVERFLOW, ADJUST, *WITHIN),
        unknown=UNKNOWN,
        has_tag=True,
    ),
    Route(
        "/api/v1/traces/{trace_id}/what-if",
        get_what_if,
        "How much sooner a root would have ended if one span took no time",
        {JSON: schemas.reference("WhatIf")},
        (WITHOUT, params.TOLERANCE, params.OVERFLOW, ADJUST, *WITHIN),
        unknown="The workspace has no such span of this trace.",
        has_tag=True,
    ),
    Route(
        "/api/v1/traces/{trace_id}/self-times",
        get_self_times,
        "Self times of a trace by service and operation, the longest first",
        {JSON: schemas.reference("SelfTimes")},
        (ADJUST, *WITHIN),
        unknown=UNKNOWN,
        has_tag=True,
    ),
    Route(
        "/api/v1/traces/{trace_id}/statistics",
        get_statistics,
        "The shape of a trace, and its spans in groups",
        {JSON: schemas.reference("TraceStatistics")},
        (BY, ADJUST, *WITHIN),
        unknown=UNKNOWN,
        has_tag=True,
    ),
)
