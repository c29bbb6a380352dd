"""Errors as RFC 9457 problem documents: one shape for everything that goes wrong on the query port."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
import structlog
from aiohttp import web

from exporters.clickhouse.client import ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable
from exporters.clickhouse.errors import UNKNOWN_DATABASE, UNKNOWN_TABLE

_log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5
_NO_TABLE: Final = frozenset({UNKNOWN_TABLE, UNKNOWN_DATABASE})
"""While they are made, the port answers already."""
_NO_SUCH_TABLE: Final = (
    "The span store has no such table yet. At the first start tables are being made; where create_schema is false,"
    " `spanhouse schema apply` makes what is missing."
)
_TIMED_OUT: Final = (
    "The query took longer than it may and was stopped; ask for a shorter time range, or raise extensions.query.queries.timeout."
)
_MEMORY_OF_QUERY: Final = re.compile(r"Query memory limit|\(for query\)")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(Exception):
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        title: what kind of problem, the same for each occurrence.
        detail: what was wrong this time and what would be right.
        headers: of the answer.
        extensions: further members of the document, e.g. `parameter` and `value`.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extensions: object,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = extensions

    def response(self) -> web.Response:
        document = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extensions,
        }
        return web.Response(status=self.status, body=orjson.dumps(document), content_type=MEDIA_TYPE, headers=self.headers)


FORMS: Final[web.AppKey[Mapping[str, Callable[[Problem], web.Response]]]] = web.AppKey("error_forms", Mapping)
"""Beginning of a path → how errors are worded below it; elsewhere they are problem documents."""


class BadParameter(Problem):
    """A parameter that cannot be understood; says which, what was found and what would be right."""

    def __init__(self, parameter: str, value: str, remedy: str) -> None:
        shown = value if len(value) <= 200 else f"{value[:200]}..."
        super().__init__(400, "Invalid parameter", f"{parameter}={shown!r}: {remedy}", parameter=parameter, value=shown)
        self.parameter = parameter
        self.remedy = remedy


class Refusal(Problem):
    """A request that is not let in; `reason` is from a small fixed set, and counted."""

    def __init__(self, reason: str, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, title, detail, headers=headers)
        self.reason = reason


def problem_of(error: Exception) -> Problem:
    """What a client is told about an exception that a handler let through."""
    match error:
        case Problem():
            return error
        case ClickHouseTimeout() | ClickHouseError(code=159):
            return Problem(504, "Query timed out", _TIMED_OUT)
        case ClickHouseError() if limit := _limit_reached(error):
            detail = (
                f"The query would take more than extensions.query.queries.{limit}; ask for a shorter time range, or for less."
            )
            return Problem(422, "Query too large", detail)
        case ClickHouseUnavailable():
            return _unavailable("The span store cannot be reached.")
        case ClickHouseError() if error.code in _NO_TABLE:
            return _unavailable(_NO_SUCH_TABLE)
        case ClickHouseError() if error.retryable:
            return _unavailable(f"The span store is busy ({error.name or error.code}).")
        case ClickHouseError():
            return Problem(502, "Span store error", f"The span store refused the query ({error.name or error.code}).")
    return Problem(500, "Internal error", "The query could not be answered; the log of the daemon says why.")


def _limit_reached(error: ClickHouseError) -> str:
    """The limit of one query that it has reached; empty for other errors."""
    match error.code:
        case 158:
            return "max_rows_to_read"
        case 307:
            return "max_bytes_to_read"
        case 241 if _MEMORY_OF_QUERY.search(error.message):
            # Otherwise it is the server's memory that is used up, by all of its queries together.
            return "max_memory_usage"
    return ""


def _unavailable(detail: str) -> Problem:
    return Problem(503, "Span store unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_S)})


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of the application into an answer in the form of its path, and log those that are ours."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.method} is not possible here; use {allowed}."
        return _worded(request, Problem(405, "Method not allowed", detail, headers={"Allow": allowed}))
    except web.HTTPNotFound:
        detail = f"There is nothing at {request.path}; /openapi.json lists what there is."
        return _worded(request, Problem(404, "Not found", detail))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _worded(request, Problem(error.status, error.reason, error.text or error.reason))
    except Exception as error:  # noqa: BLE001 - the outermost layer: whatever happens, the client gets an answer
        problem = problem_of(error)
        if problem.status >= 500:
            _log.error("query_failed", path=request.path, status=problem.status, error=_text_of(error), exc_info=_unknown(error))
        return _worded(request, problem)


def _worded(request: web.Request, problem: Problem) -> web.Response:
    for prefix, form in request.app.get(FORMS, {}).items():
        if request.path.startswith(prefix):
            response = form(problem)
            response.headers.update(problem.headers)
            return response
    return problem.response()


def _text_of(error: Exception) -> str:
    return str(error) or type(error).__name__


def _unknown(error: Exception) -> Any:
    """The exception when it is one that nobody foresaw, whose trace the log needs."""
    return error if problem_of(error).status == 500 else None
