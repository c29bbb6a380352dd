"""Who may ask the query port: host, origin and token, all decided before a query is begun.

Also the headers that keep browsers from doing more with an answer than showing it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from collector.access import CHALLENGE, Caller, Gate, names_in
from collector.api.page import is_page
from collector.api.problems import Handler, Problem, Refusal, problem_of
from collector.api.routing import CALLER, SEES_ALL
from collector.errors import Refused
from collector.http_connection import SERVER
from collector.spaced_log import SpacedLog
from config.values import is_loopback
from proto.errors import MalformedRequest

_HEALTH: Final = frozenset({"/healthz", "/readyz"})
_METRICS: Final = "/metrics"
_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
_STATUS: Final[Mapping[str, tuple[int, str]]] = {
    "unauthenticated": (401, "Not authenticated"),
    "permission_denied": (403, "Not allowed"),
    "invalid": (400, "Invalid header"),
}
_ANSWER_HEADERS: Final = {
    **SERVER,
    # Answers are data. What is to be shown as a page says so itself, with a policy of its own.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def _count_nothing(_: str) -> None:
    pass


class Guard:
    """What the query port asks of a request.

    Args:
        gate: who may read, and in which workspace; everybody, in any, when None.
        hosts: names by which the port is known, besides those of loopback.
        checks_hosts: whether requests for any other name are refused.
        metrics_without_auth: whether `/metrics` answers everybody.
        serves_page: whether the page and its files are there, which everybody may have.
        refused: called with the reason of each refusal.
        monotonic: seconds of a clock that never goes back; spaces log lines.
    """

    def __init__(
        self,
        gate: Gate | None = None,
        *,
        hosts: Iterable[str] = (),
        checks_hosts: bool = False,
        metrics_without_auth: bool = False,
        serves_page: bool = False,
        refused: Callable[[str], None] = _count_nothing,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gate = gate or Gate("read")
        self._hosts = frozenset(host.lower() for host in hosts)
        self._checks_hosts = checks_hosts
        self._metrics_without_auth = metrics_without_auth
        self._serves_page = serves_page
        self._refused = refused
        self._log = SpacedLog(structlog.get_logger(__name__), monotonic)

    def middleware(self) -> Middleware:
        """Checks each request, and tells handlers who asks."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path in _HEALTH:
                request[SEES_ALL] = self._sees_all(request)
                return await handler(request)
            try:
                self._check_host(request)
                if self._serves_page and is_page(request.path):
                    return await handler(request)
                caller = self._admitted(request)
                if caller is not None:
                    request[CALLER] = caller
                return await handler(request)
            except Refusal as refusal:
                self._tell(refusal.reason, refusal.detail)
                raise

        return check

    def _sees_all(self, request: web.Request) -> bool:
        try:
            self._check_host(request)
            caller = self._admitted(request)
        except Refusal:
            return False
        return caller is not None and self._is_of_all(caller)

    def _is_of_all(self, caller: Caller) -> bool:
        return not self._gate.authenticates or caller.principal.workspaces is None

    def refuse_head(self, error: Exception) -> web.Response:
        """The answer to what is no request, or to a connection too many."""
        if not isinstance(error, Refused | MalformedRequest):
            self._log.unexpected("query_failed", error)
            return problem_of(error).response()
        reason = error.kind if isinstance(error, Refused) else "malformed"
        self._tell(reason, str(error))
        response = Problem(431 if reason == "header_too_large" else 400, "Not a request", f"{error}.").response()
        response.headers.update(_ANSWER_HEADERS)
        return response

    def _tell(self, reason: str, detail: str) -> None:
        self._refused(reason)
        self._log.warning("query_refused", reason=reason, detail=detail)

    def _check_host(self, request: web.Request) -> None:
        """Refuse what a web page of somebody else may have sent, by a name of its own that leads here, or across origins."""
        host = request.headers.get("Host", "").lower()
        hostname = _hostname(host)
        if self._checks_hosts and host and not (is_loopback(hostname) or hostname in self._hosts):
            detail = f"Host: {host[:100]!r} is not a name of this port; extensions.query.allowed_hosts lists those that are."
            raise Refusal("host", 403, "Not allowed", detail)
        origin = request.headers.get("Origin")
        if origin is None:
            return
        asking = origin.lower().partition("://")[2]
        if not (hostname and asking == host) and _hostname(asking) not in self._hosts:
            raise Refusal("origin", 403, "Not allowed", f"Origin: {origin[:100]!r} is another site, and may not ask here.")

    def _admitted(self, request: web.Request) -> Caller | None:
        is_metrics = request.path == _METRICS
        if is_metrics and self._metrics_without_auth:
            return None
        try:
            caller = self._gate.admit(
                request.headers,
                lambda: names_in(request.get_extra_info("peercert")),
                request.match_info.get("workspace", ""),
            )
        except Refused as error:
            status, title = _STATUS[error.kind]
            headers = {"WWW-Authenticate": CHALLENGE} if status == 401 else {}
            raise Refusal(error.kind, status, title, f"{error}.", headers=headers) from None
        if is_metrics and not self._is_of_all(caller):
            detail = "Metrics tell of all workspaces: the token must have workspaces: '*', or metrics_without_auth be true."
            raise Refusal("permission_denied", 403, "Not allowed", detail)
        return caller


def _hostname(authority: str) -> str:
    """The name or address in `host:port`; empty where it is neither."""
    match = _AUTHORITY.fullmatch(authority)
    return (match[1] or match[2]) if match else ""


async def protect(_: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that keep browsers in check, where an answer has none of its own."""
    for name, value in _ANSWER_HEADERS.items():
        if name == "Server":
            response.headers[name] = value  # aiohttp's tells versions
        else:
            response.headers.setdefault(name, value)
