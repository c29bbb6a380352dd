"""/api/v1/workspaces/{workspace}/load-test-runs: runs of load tests, how they go, and what came of them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from collector.api import params, schemas
from collector.api.cursors import BY_TIME, next_cursor
from collector.api.event_stream import EVENT_STREAM, Event, answer_events
from collector.api.lasting import EVENTS
from collector.api.params import Parameter
from collector.api.problems import BadParameter, Problem
from collector.api.routing import CALLER, JSON, Route
from collector.api.versioned import answer_json, path_id
from collector.monitor.load.figures import TIMES, compared, figures, result
from collector.monitor.load.interval import Summary
from collector.monitor.load.run_store import Run, RunStore
from collector.monitor.load.runs import LoadTests
from config.values import Duration

LOAD_TESTS: Final = web.AppKey("load_tests", LoadTests)
"""Starts load tests; not there where none can be started."""
RUNS: Final = web.AppKey("load_test_runs", RunStore)
RUN: Final = "LoadTestRun"
"""How the OpenAPI document calls a run."""

_MOST_POINTS: Final = 1000
_POLL_S: Final = 1.0

LIMIT: Final = params.limit(100, 1000, "runs")


def _whole_seconds(text: str) -> int:
    step = Duration.parse(text)
    if not step or step % 10**9:
        raise ValueError("must be in whole seconds, such as 5s")
    return step // 10**9


LOAD_TEST: Final = params.optional_id("loadTest", "Only runs of the load test of this id.")
STEP: Final[Parameter[int | None]] = Parameter(
    "step",
    f"Length of time of a point, in whole seconds, such as `5s`. Default: the shortest with at most {_MOST_POINTS} points.",
    {"type": "string"},
    _whole_seconds,
    None,
    example="5s",
)
BASE: Final = replace(params.optional_id("base", "The id of the run that is compared with."), required=True)


def run_as_json(run: Run) -> dict[str, Any]:
    """A run as the API shows it, without what came of it."""
    return {
        "id": str(run.id),
        "workspace": run.workspace,
        "loadTest": str(run.load_test),
        "loadTestVersion": run.load_test_version,
        "name": run.name,
        "test": run.test,
        "state": run.state,
        "reason": run.reason,
        "unanswered": run.unanswered,
        "startedAtUnixNano": str(run.started_at),
        "startedBy": run.started_by,
        "endedAtUnixNano": None if run.ended_at is None else str(run.ended_at),
        "endedBy": run.ended_by,
    }


async def list_load_test_runs(request: web.Request) -> web.Response:
    """Runs, the latest first."""
    query = request.query
    limit = LIMIT.read(query)
    found = await request.app[RUNS].page(
        request[CALLER].workspace, limit + 1, before=BY_TIME.read(query), load_test=LOAD_TEST.read(query)
    )
    cursor = next_cursor(found, limit, lambda last: (last.started_at, last.id))
    return answer_json({"runs": [run_as_json(run) for run in found[:limit]], "nextCursor": cursor})


async def get_load_test_run(request: web.Request) -> web.Response:
    """A run, and what came of it so far."""
    run, total, _ = await _state(request, _run_id(request))
    return answer_json({**run_as_json(run), "result": result(total)})


async def get_load_test_series(request: web.Request) -> web.Response:
    """What came of a run, step by step."""
    run, total, _ = await _state(request, _run_id(request))
    shortest = max(-(-int(total.at) // _MOST_POINTS), 1)
    step = STEP.read(request.query) or shortest
    if step < shortest:
        detail = f"must leave at most {_MOST_POINTS} points: {shortest}s or longer"
        raise BadParameter(STEP.name, request.query[STEP.name], detail)
    found = await request.app[RUNS].series(run, step)
    return answer_json({"stepNanos": str(step * 10**9), "points": [figures(each) for each in found]})


async def compare_load_test_runs(request: web.Request) -> web.Response:
    """How a run differs from another one."""
    base_id = BASE.read(request.query)
    assert base_id is not None  # noqa: S101 - it must be given
    base, base_total, _ = await _state(request, base_id)
    run, total, _ = await _state(request, _run_id(request))
    return answer_json({"base": run_as_json(base), "other": run_as_json(run), "figures": compared(base_total, total)})


async def cancel_load_test_run(request: web.Request) -> web.Response:
    """End a run before its time."""
    run, _, _ = await _state(request, _run_id(request))
    load_tests = request.app.get(LOAD_TESTS)
    active = load_tests.active(run.workspace, run.id) if load_tests is not None else None
    if active is None:
        detail = f"The run is {run.state}" if run.state != "running" else "The run runs on another collector; ask that one"
        raise Problem(409, "Cannot be cancelled", f"{detail}.")
    active.end("cancelled", request[CALLER].principal.name)
    return answer_json(run_as_json(run), 202)


async def follow_load_test_run(request: web.Request) -> web.StreamResponse:
    """How a run goes: an event `progress` each second, with figures of that second and of everything so far, and `end` as the
    last, with the run and its result."""
    # Before the answer begins, so that an unknown run is told as such.
    await _state(request, _run_id(request))
    return await answer_events(request, _events(request))


async def _events(request: web.Request) -> AsyncIterator[Event]:
    run_id, seen = _run_id(request), -1
    load_tests = request.app.get(LOAD_TESTS)
    while True:
        active = load_tests.active(request[CALLER].workspace, run_id) if load_tests is not None else None
        news = active.news if active is not None else None
        run, total, latest = await _state(request, run_id)
        if latest is not None and latest[0] != seen:
            seen = latest[0]
            yield "progress", {"number": seen, "latest": figures(latest[1]), "total": figures(total)}
        if run.state != "running":
            yield "end", {**run_as_json(run), "result": result(total)}
            return
        if news is not None:
            await news.wait()
        else:
            await asyncio.sleep(_POLL_S)


async def _state(request: web.Request, run_id: uuid.UUID) -> tuple[Run, Summary, tuple[int, Summary] | None]:
    """A run, sums of everything so far, and number and sums of its last interval: from memory where it runs here.

    Raises:
        Problem: 404 where the workspace has no such run.
    """
    workspace, runs, load_tests = request[CALLER].workspace, request.app[RUNS], request.app.get(LOAD_TESTS)
    active = load_tests.active(workspace, run_id) if load_tests is not None else None
    if active is not None:
        return active.run, active.total, active.latest
    run = await runs.get(workspace, run_id)
    if run is None:
        raise Problem(404, "Not found", "The workspace has no such run.")
    return run, await runs.total(run), await runs.latest(run)


def _run_id(request: web.Request) -> uuid.UUID:
    return path_id(request, "run_id")


_ALL: Final = "/api/v1/workspaces/{workspace}/load-test-runs"
_ONE: Final = f"{_ALL}/{{run_id}}"
_UNKNOWN: Final = "The workspace has no such run."

ROUTES: Final = (
    Route(
        _ALL,
        list_load_test_runs,
        "Runs of load tests, the latest first",
        {JSON: schemas.reference("LoadTestRuns")},
        (LOAD_TEST, LIMIT, BY_TIME),
    ),
    Route(_ONE, get_load_test_run, "A run and its result", {JSON: schemas.reference("LoadTestRunResult")}, unknown=_UNKNOWN),
    Route(
        f"{_ONE}/series",
        get_load_test_series,
        "What came of a run, step by step",
        {JSON: schemas.reference("LoadTestSeries")},
        (STEP,),
        unknown=_UNKNOWN,
    ),
    Route(
        f"{_ONE}{EVENTS}",
        follow_load_test_run,
        "How a run goes: server-sent events `progress` each second, and `end` as the last",
        {EVENT_STREAM: None},
        unknown=_UNKNOWN,
    ),
    Route(
        f"{_ONE}/comparison",
        compare_load_test_runs,
        "How a run differs from another one",
        {JSON: schemas.reference("LoadTestComparison")},
        (BASE,),
        unknown=_UNKNOWN,
    ),
    Route(
        f"{_ONE}/cancel",
        cancel_load_test_run,
        "End a run before its time",
        {JSON: schemas.reference(RUN)},
        method="POST",
        status=202,
        role="admin",
        unknown=_UNKNOWN,
        conflict="It does not run, or on another collector.",
    ),
)

_SECONDS: Final = {"type": "number", "minimum": 0}
_TIMES: Final = {
    **schemas.record(**{name: {**schemas.TEXT_OR_NULL, "pattern": "^[0-9]+$"} for name in TIMES}),
    "description": "Whole nanoseconds; null where nothing was measured.",
}
_FIGURES: Final = {
    "sent": schemas.COUNT,
    "succeeded": schemas.COUNT,
    "failed": schemas.COUNT,
    "errorShare": {"type": "number", "minimum": 0, "maximum": 1},
    "atSeconds": {**_SECONDS, "description": "From the start of the run to the end of what the figures are of."},
    "seconds": {**_SECONDS, "description": "How long that was."},
    "requestsPerSecond": {**_SECONDS, "description": "Requests that ended, well or not."},
    "receivedBytes": schemas.COUNT,
    "inFlight": schemas.COUNT,
    "failures": schemas.listing(schemas.record(cause=schemas.TEXT, count=schemas.COUNT, example=schemas.TEXT)),
    "injected": {
        **schemas.listing(schemas.record(type=schemas.TEXT, count=schemas.COUNT)),
        "description": "Requests in which failure rules have struck. Causes of failures that come of it begin with `injected`.",
    },
    "statuses": schemas.listing(schemas.record(status=schemas.COUNT, count=schemas.COUNT)),
    "responseTime": {**_TIMES, "description": "From when requests were due. Nanoseconds; null where nothing was measured."},
    "serviceTime": {**_TIMES, "description": "From when requests were sent. Nanoseconds; null where nothing was measured."},
}
_NAMED: Final = schemas.listing(
    schemas.record(
        traceId=schemas.TEXT,
        durationNanos=schemas.NANOSECONDS,
        cause={**schemas.TEXT, "description": "Why it failed; empty where it did not."},
    )
)
_RUN: Final = {
    "id": schemas.TEXT,
    "workspace": schemas.TEXT,
    "loadTest": schemas.TEXT,
    "loadTestVersion": schemas.VERSION,
    "name": schemas.TEXT,
    "test": {"type": "object", "description": "The load test, as it was at the start."},
    "state": {"type": "string", "enum": ["running", "completed", "stopped", "cancelled", "interrupted", "failed"]},
    "reason": {**schemas.TEXT, "description": "Why it did not end as planned."},
    "unanswered": {**schemas.COUNT, "description": "Requests that were in flight at the end, counted nowhere else."},
    "startedAtUnixNano": schemas.NANOSECONDS,
    "startedBy": schemas.TEXT,
    "endedAtUnixNano": {**schemas.TEXT_OR_NULL, "description": "Null while it runs, and where nobody saw its end."},
    "endedBy": {**schemas.TEXT, "description": "Who cancelled it."},
}

COMPONENTS: Final[dict[str, schemas.Schema]] = {
    "LoadTestFigures": schemas.record(**_FIGURES),
    RUN: schemas.record(**_RUN),
    "LoadTestRuns": schemas.record(runs=schemas.listing(schemas.reference(RUN)), nextCursor=schemas.NEXT_CURSOR),
    "LoadTestRunResult": schemas.record(
        **_RUN, result=schemas.record(**_FIGURES, slowest=_NAMED, failedTraces={**_NAMED, "description": "Some of them."})
    ),
    "LoadTestSeries": schemas.record(stepNanos=schemas.NANOSECONDS, points=schemas.listing(schemas.reference("LoadTestFigures"))),
    "LoadTestComparison": schemas.record(
        base=schemas.reference(RUN),
        other=schemas.reference(RUN),
        figures=schemas.listing(
            schemas.record(
                figure=schemas.TEXT,
                unit={"type": "string", "enum": ["1/s", "1", "ns"]},
                base={"type": ["number", "null"]},
                other={"type": ["number", "null"]},
                change={"type": ["number", "null"], "description": "As a share of `base`: 0.1 is a tenth more."},
            )
        ),
    ),
}
