"""/api/v1/workspaces/{workspace}/saved-requests and request-executions: requests that are kept, and what came of sending them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from collector.api import params, schemas
from collector.api.cursors import BY_TIME, next_cursor
from collector.api.lasting import EXECUTIONS as SENDING
from collector.api.lasting import lasting
from collector.api.objects import ID, ObjectApi
from collector.api.problems import Problem
from collector.api.routing import CALLER, JSON, STORE, Route, made_at
from collector.api.turns import refusal_of
from collector.api.versioned import answer_json, path_id
from collector.egress.destination import EgressRefused
from collector.fair_turns import Busy
from collector.monitor.requests.execution_store import KEPT_BYTES, Execution, ExecutionStore
from collector.monitor.requests.executor import Executor
from collector.monitor.requests.saved import SAVED_REQUESTS
from collector.monitor.secrets import SecretError
from collector.query.bounds import known_traces
from collector.tls import TlsError

EXECUTOR: Final = web.AppKey("executor", Executor)
"""Executes requests; not there where none can be executed."""
EXECUTIONS: Final = web.AppKey("executions", ExecutionStore)

LIMIT: Final = params.limit(100, 1000, "executions")
REQUEST: Final = params.optional_id("request", "Only executions of the saved request of this id.")
REQUESTS: Final = ObjectApi(SAVED_REQUESTS, "saved-requests", "SavedRequest", "saved request")


async def execute_saved_request(request: web.Request) -> web.Response:
    """Send a saved request, and tell and store what came of it."""
    executor = request.app.get(EXECUTOR)
    if executor is None:
        detail = "No request can be sent from here: the configuration has no extension load_tests in service.extensions."
        raise Problem(403, "Requests are off", detail)
    stored = await REQUESTS.named(request)
    caller = request[CALLER]
    try:
        with lasting(request):
            made = await executor.execute(caller.workspace, stored, caller.principal.name)
    except EgressRefused as error:
        raise Problem(403, "Target not allowed", error.sentence) from None
    except SecretError as error:
        raise Problem(400, "Secret cannot be used", f"A secret that a header names: {error}.") from None
    except TlsError as error:
        raise Problem(400, "TLS cannot be used", str(error)) from None
    except Busy as busy:
        raise refusal_of(busy) from None
    path = f"/api/v1/workspaces/{caller.workspace}/request-executions/{made.id}"
    return answer_json(_whole(made, await _arrived(request, [made])), 201, **made_at(request, path))


async def list_request_executions(request: web.Request) -> web.Response:
    """Executions, the latest first, without what was answered."""
    query = request.query
    limit = LIMIT.read(query)
    found = await request.app[EXECUTIONS].page(
        request[CALLER].workspace, limit + 1, before=BY_TIME.read(query), request=REQUEST.read(query)
    )
    cursor = next_cursor(found, limit, lambda last: (last.at, last.id))
    arrived = await _arrived(request, found[:limit])
    return answer_json({"executions": [_head(each, arrived) for each in found[:limit]], "nextCursor": cursor})


async def get_request_execution(request: web.Request) -> web.Response:
    """An execution, and what was answered."""
    found = await request.app[EXECUTIONS].get(request[CALLER].workspace, path_id(request, "execution_id"))
    if found is None:
        raise Problem(404, "Not found", "The workspace has no such execution.")
    return answer_json(_whole(found, await _arrived(request, [found])))


async def _arrived(request: web.Request, executions: Sequence[Execution]) -> frozenset[str]:
    """Ids of those of their traces of which spans have been stored."""
    trace_ids = [each.trace_id for each in executions]
    return await known_traces(request.app[STORE], trace_ids, request[CALLER].workspace) if trace_ids else frozenset()


def _head(execution: Execution, arrived: frozenset[str]) -> dict[str, Any]:
    told, timings = execution.exchange, execution.exchange.timings
    return {
        "id": str(execution.id),
        "workspace": execution.workspace,
        "request": str(execution.request),
        "requestVersion": execution.request_version,
        "name": execution.name,
        "executedAtUnixNano": str(execution.at),
        "executedBy": execution.by,
        "traceId": execution.trace_id,
        "spanId": execution.span_id,
        "traceArrived": execution.trace_id in arrived,
        "succeeded": not execution.cause,
        "cause": execution.cause,
        "detail": told.detail,
        "injected": None if execution.injected is None else {"rule": str(execution.injected[0]), "type": execution.injected[1]},
        "status": told.status,
        "urls": list(told.urls),
        "address": told.address,
        "receivedBytes": told.nbytes,
        "timings": {
            "dns": _nanoseconds(timings.dns),
            "connect": _nanoseconds(timings.connect),
            "tls": _nanoseconds(timings.tls),
            "firstByte": _nanoseconds(timings.first_byte),
            "total": str(timings.total),
        },
    }


def _whole(execution: Execution, arrived: frozenset[str]) -> dict[str, Any]:
    told = execution.exchange
    return {
        **_head(execution, arrived),
        "headers": [{"name": name, "value": value} for name, value in told.headers],
        "body": told.body[:KEPT_BYTES].decode(errors="replace"),
    }


def _nanoseconds(value: int | None) -> str | None:
    return None if value is None else str(value)


_ALL: Final = "/api/v1/workspaces/{workspace}/request-executions"

ROUTES: Final = (
    *REQUESTS.routes(),
    Route(
        f"/api/v1/workspaces/{{workspace}}/saved-requests/{{{ID}}}{SENDING}",
        execute_saved_request,
        "Send a saved request, with a trace of its own",
        {JSON: schemas.reference("RequestExecution")},
        method="POST",
        status=201,
        role="admin",
        unknown="The workspace has no such saved request.",
    ),
    Route(
        _ALL,
        list_request_executions,
        "Executions of saved requests, the latest first",
        {JSON: schemas.reference("RequestExecutions")},
        (REQUEST, LIMIT, BY_TIME),
    ),
    Route(
        f"{_ALL}/{{execution_id}}",
        get_request_execution,
        "An execution of a saved request, and what was answered",
        {JSON: schemas.reference("RequestExecution")},
        unknown="The workspace has no such execution.",
    ),
)

_TIME: Final = {**schemas.TEXT_OR_NULL, "description": "Whole nanoseconds; null where it did not come to that."}
_HEAD: Final = {
    "id": schemas.TEXT,
    "workspace": schemas.TEXT,
    "request": schemas.TEXT,
    "requestVersion": schemas.VERSION,
    "name": schemas.TEXT,
    "executedAtUnixNano": schemas.NANOSECONDS,
    "executedBy": schemas.TEXT,
    "traceId": schemas.TEXT,
    "spanId": {**schemas.TEXT, "description": "What the first span of the trace has as its parent."},
    "traceArrived": {**schemas.FLAG, "description": "Whether spans of the trace have been stored."},
    "succeeded": schemas.FLAG,
    "cause": {**schemas.TEXT, "description": "Why it is no success, in few words."},
    "detail": schemas.TEXT,
    "injected": {
        "oneOf": [schemas.record(rule=schemas.TEXT, type=schemas.TEXT), {"type": "null"}],
        "description": "The failure rule that has struck, and the type of its failure.",
    },
    "status": {**schemas.COUNT, "description": "Of HTTP, 0 without an answer; or the number of gRPC's."},
    "urls": {**schemas.listing(schemas.TEXT), "description": "That were asked, redirects included."},
    "address": schemas.TEXT,
    "receivedBytes": schemas.COUNT,
    "timings": schemas.record(dns=_TIME, connect=_TIME, tls=_TIME, firstByte=_TIME, total=schemas.NANOSECONDS),
}

COMPONENTS: Final[dict[str, schemas.Schema]] = {
    **REQUESTS.components(),
    "RequestExecutions": schemas.record(executions=schemas.listing(schemas.record(**_HEAD)), nextCursor=schemas.NEXT_CURSOR),
    "RequestExecution": schemas.record(
        **_HEAD,
        headers=schemas.listing(schemas.record(name=schemas.TEXT, value=schemas.TEXT)),
        body={**schemas.TEXT, "description": "The first 64 KiB of it, as text."},
    ),
}
