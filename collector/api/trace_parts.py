"""How the paths below /api/v1/traces/{trace_id} read a trace: which part of it, and what a missing one means."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from collector.api import params, parsing
from collector.api.params import Parameter
from collector.api.problems import BadParameter, Problem
from collector.api.routing import CALLER, SETTINGS, STORE
from collector.query.adjusters import ADJUSTERS
from collector.query.skeleton import Skeleton
from collector.query.spans import Spans
from collector.query.trace import Narrowing, find_skeleton, find_trace

UNKNOWN: Final = "The workspace has no span of this trace."

FIRST: Final[Parameter[int | None]] = Parameter(
    "start",
    "Only spans that start at this time or later, in the form of other times; a trace is found without it.",
    {"type": "string"},
    parsing.parse_time,
    None,
    example=params.START.example,
)
LAST: Final[Parameter[int | None]] = Parameter(
    "end",
    "Only spans that start before this time; a trace is found without it.",
    {"type": "string"},
    parsing.parse_time,
    None,
    example=params.END.example,
)
OFFSET: Final = params.whole_number("offset", "How many to leave out before the first.", 0, 0, 999_999_999)
WINDOW: Final[Parameter[int | None]] = params.optional_whole_number("limit", "At most so many; all when absent.", 1, 100_000)
_ON_REQUEST: Final = tuple(adjuster for adjuster in ADJUSTERS if not adjuster.always)
ADJUST: Final[Parameter[str]] = Parameter(
    "adjust",
    "What to do to times before they are shown; may be repeated. "
    + " ".join(f"`{adjuster.name}`: {adjuster.description}" for adjuster in _ON_REQUEST),
    {"type": "string", "enum": [adjuster.name for adjuster in _ON_REQUEST]},
    parsing.choice([adjuster.name for adjuster in _ON_REQUEST]),
    "",
    repeatable=True,
)
WITHIN: Final = (FIRST, LAST)


def parse_span_id(text: str) -> str:
    """16 lower-case hex digits.

    Raises:
        ValueError: anything else, and the all-zero id, which no span has.
    """
    digits = text.lower()
    if not re.fullmatch(r"[0-9a-f]{16}", digits) or not digits.strip("0"):
        raise ValueError("16 hexadecimal digits are needed, not all of them zero")
    return digits


async def read_skeleton(request: web.Request, trace_id: str | None = None) -> Skeleton:
    """What a tree needs of the trace in the path, or of the one named.

    Raises:
        BadParameter: the id is none, or a time is none.
        Problem: there is no such trace.
    """
    trace_id = trace_id or params.path_trace_id(request)
    narrowed = narrowing(request)
    skeleton = await find_skeleton(
        request.app[STORE],
        trace_id,
        workspace=request[CALLER].workspace,
        max_spans=request.app[SETTINGS].max_spans,
        narrowed=narrowed,
    )
    if skeleton is None:
        raise unknown_trace(trace_id)
    return skeleton


async def read_spans(request: web.Request, span_id: str | None = None) -> Spans:
    """All of the trace in the path, or of its spans under one id; raises as `read_skeleton`."""
    trace_id = params.path_trace_id(request)
    narrowed = narrowing(request) if span_id is None else Narrowing(span_id=span_id)
    spans = await find_trace(
        request.app[STORE],
        trace_id,
        workspace=request[CALLER].workspace,
        max_spans=request.app[SETTINGS].max_spans,
        narrowed=narrowed,
    )
    if spans is None:
        raise unknown_trace(trace_id) if span_id is None else unknown_span(trace_id, span_id)
    return spans


def narrowing(request: web.Request) -> Narrowing:
    """`start` and `end` of a request; all spans without them.

    Raises:
        BadParameter: one is no time, or the range is empty.
    """
    first, end = FIRST.read(request.query), LAST.read(request.query)
    if end is not None and (first or 0) >= end:
        raise BadParameter(LAST.name, request.query[LAST.name], f"must be later than {FIRST.name}")
    return Narrowing(first, None if end is None else end - 1)


def window(request: web.Request, count: int) -> range:
    """Positions of `offset` and `limit` among so many items."""
    offset, limit = OFFSET.read(request.query), WINDOW.read(request.query)
    return range(min(offset, count), count if limit is None else min(offset + limit, count))


def unknown_trace(trace_id: str) -> Problem:
    return Problem(404, "Unknown trace", f"There is no span of trace {trace_id}; it may not have arrived yet.")


def unknown_span(trace_id: str, span_id: str) -> Problem:
    return Problem(404, "Unknown span", f"Trace {trace_id} has no span {span_id}; it may not have arrived yet.")
