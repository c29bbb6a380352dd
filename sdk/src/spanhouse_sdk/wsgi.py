"""A middleware for WSGI: Flask, Django and others.

    app.wsgi_app = TraceMiddleware(app.wsgi_app)

It does what that for ASGI does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http import HTTPStatus
from typing import Any, TypeAlias

from spanhouse_sdk.failures import Injection
from spanhouse_sdk.serving import Serving, with_new

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
Application: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]


class TraceMiddleware:
    """See the module.

    Args:
        app: that works on requests.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Work on one request."""
        # PEP 3333 has bytes in texts, as if they were Latin-1.
        said = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        method, path = environ.get("REQUEST_METHOD", "GET"), said.encode("latin-1", "replace").decode(errors="replace")
        attributes = {"http.request.method": method, "url.path": path, "url.scheme": environ.get("wsgi.url_scheme", "http")}
        serving = Serving(method, partial(_headers, environ), attributes)

        def start_with_ids(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            # What is no status is for the server to refuse.
            if status[:3].isdecimal():
                serving.answered(int(status[:3]))
            # Where Flask leaves its request; others tell nobody outside which route they have found.
            serving.routed(getattr(getattr(environ.get("werkzeug.request"), "url_rule", None), "rule", None))
            return start_response(status, with_new(headers, serving.response_headers()), *error)

        injection = serving.injection(path)
        if injection is not None and injection.delay:
            time.sleep(injection.delay / 1e9)
        if injection is not None and injection.ends:
            body = _fail(injection, start_with_ids)
            serving.finish()
            return body
        try:
            answer = serving.run(self._app, environ, start_with_ids)
        except BaseException as error:
            serving.finish(error)
            raise
        return _Body(serving, answer) if serving.is_own else answer


class _Body:
    """The body of an answer, each part of which is made in the request's context; with its end, the request ends."""

    def __init__(self, serving: Serving, parts: Iterable[bytes]) -> None:
        self._serving = serving
        self._parts = parts
        self._iterator = iter(parts)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            part: bytes = self._serving.run(next, self._iterator)
        except StopIteration:
            raise
        except BaseException as error:
            self._serving.finish(error)
            raise
        return part

    def close(self) -> None:
        """Servers call this in the end, whatever has happened."""
        try:
            if hasattr(self._parts, "close"):
                self._serving.run(self._parts.close)
        finally:
            self._serving.finish()


def _fail(injection: Injection, start_response: StartResponse) -> list[bytes]:
    status, body = HTTPStatus(injection.failure.status), injection.failure.message.encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    # A server closes the connection of an answer whose promised body does not come.
    return [b""] if injection.failure.type == "reset" else [body]


def _headers(environ: Environ) -> dict[str, list[str]]:
    return {key[5:].replace("_", "-").lower(): [value] for key, value in environ.items() if key.startswith("HTTP_")}
