"""One HTTP connection: what aiohttp's has not got, namely a time limit for request heads, an age, and errors in OTLP's form."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from collector.errors import Refused
from collector.receivers.intake import Intake
from collector.receivers.settings import HttpSettings
from proto.errors import MalformedRequest

SERVER: Final = {"Server": "spanhouse"}


class HttpConnection(RequestHandler):
    """Closes itself when a request's head takes too long (NET-13) or too many others are open.

    Its handler must call `request_begins` and `request_ends`.
    """

    __slots__ = ("_head_timer", "_in_request", "_intake", "_opened_at_s", "_settings")

    def __init__(self, manager: web.Server, settings: HttpSettings, intake: Intake, **options: Any) -> None:
        super().__init__(manager, **options)
        self._settings = settings
        self._intake = intake
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_request = False
        self._opened_at_s = 0.0

    @property
    def is_old(self) -> bool:
        """Whether the client should open a new connection after this answer (NET-11)."""
        age_s = self._settings.max_connection_age_s
        return age_s is not None and self._loop.time() - self._opened_at_s >= age_s

    def request_begins(self) -> None:
        self._in_request = True
        self._stop_head_timer()

    def request_ends(self) -> None:
        self._in_request = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._opened_at_s = self._loop.time()
        manager = self._manager
        if manager is not None and len(manager.connections) > self._settings.max_connections:
            self._intake.failed(Refused(f"more than {self._settings.max_connections} connections are open", "unavailable"))
            self.force_close()

    def data_received(self, data: bytes) -> None:
        timeout_s = self._settings.header_timeout_s
        if timeout_s is not None and not self._in_request and self._head_timer is None:
            self._head_timer = self._loop.call_later(timeout_s, self.force_close)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        task = self._task_handler
        super().connection_lost(exc)
        if task is not None and not self._in_request:
            # It may be reading the rest of a refused body, and aiohttp does not tell it that nothing will come.
            task.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is not a request at all, such as one with an endless header (LIMIT-10)."""
        error: Exception
        if isinstance(exc, LineTooLong):
            error = Refused(f"a header or the URL is longer than {self._settings.max_header_bytes} bytes", "header_too_large")
        elif status < 500:
            error = MalformedRequest("not a valid HTTP request", "request head")
        else:
            error = exc if isinstance(exc, Exception) else RuntimeError(message)
        answer = self._intake.failed(error)
        response = web.Response(
            body=answer.body(as_json=True), status=answer.http_status, headers=SERVER | {"Content-Type": "application/json"}
        )
        response.force_close()
        return response

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
