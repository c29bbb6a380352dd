"""What all servers share: the span in which a request is worked on, and what fails on purpose."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from spanhouse_sdk import failures
from spanhouse_sdk.failures import Injection
from spanhouse_sdk.state import follower
from spanhouse_sdk.xtrace import Headers, ids

_SCOPE = "spanhouse_sdk"
_request_span: ContextVar[Span] = ContextVar("spanhouse_request_span")


class Serving:
    """A request that is worked on.

    If OpenTelemetry's own instrumentation stands in front, the request has a span already, which is used. Otherwise one is made,
    as a child of what the request's headers say. `with` it, or by `run`, the request is worked on in its context.

    Args:
        name: of the span that is made.
        headers: reads those of the request: values by name in lower case.
        attributes: of the span that is made.

    Attributes:
        span: the span of the request.
        context: in which the request is worked on.
        is_own: whether the span was made here, and is ended here.
    """

    def __init__(self, name: str, headers: Callable[[], Mapping[str, list[str]]], attributes: Mapping[str, str]) -> None:
        self.context = context.get_current()
        self.span = trace.get_current_span(self.context)
        self.is_own = not self.span.get_span_context().is_valid
        self._name = name
        self._headers = headers
        self._attributes = attributes
        if self.is_own:
            self._unfinished = threading.Lock()
            caller = propagate.extract(headers())
            self.span = trace.get_tracer(_SCOPE).start_span(name, caller, SpanKind.SERVER, attributes)
            self.context = trace.set_span_in_context(self.span, caller)

    def injection(self, path: str) -> Injection | None:
        """What goes wrong with the request, if anything does; its span is marked."""
        following = follower()
        if following is None or not following.injects:
            return None
        known = getattr(self.span, "attributes", None) or {}
        request = failures.Request(
            path,
            getattr(self.span, "name", self._name),
            {**self._attributes, **{key: str(value) for key, value in known.items()}},
            {name: values[0] for name, values in self._headers().items()},
        )
        injection = following.injection(request, self.span.get_span_context().trace_id)
        if injection is not None:
            self.span.set_attributes(injection.attributes)
        return injection

    def response_headers(self) -> Headers:
        """What tells the caller of the ids."""
        return ids(self.span)

    def __enter__(self) -> None:
        """Work on the request in its context, until the end of both."""
        # A span of others is current already.
        self._token = context.attach(self.context) if self.is_own else None
        self._token_of_span = _request_span.set(self.span)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _request_span.reset(self._token_of_span)
        if self._token is not None:
            context.detach(self._token)
        self.finish(error)

    def run(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """Call something in the request's context."""
        token = context.attach(self.context)
        try:
            return step(*arguments)
        finally:
            context.detach(token)

    def routed(self, route: object) -> None:
        """Note the route, once the application has found it, and name the span by it, unless somebody has named it better.

        Args:
            route: such as `/cart/{number}`; what is no text is none.
        """
        if self.is_own and isinstance(route, str):
            if getattr(self.span, "name", "") == self._name:
                self.span.update_name(f"{self._name} {route}")
            self.span.set_attribute("http.route", route)

    def answered(self, status: int) -> None:
        """Note the status of HTTP that was answered."""
        if self.is_own:
            self.span.set_attribute("http.response.status_code", status)
            if status >= 500:
                self.span.set_status(Status(StatusCode.ERROR))

    def finish(
        self, error: BaseException | None = None, *, attributes: Mapping[str, AttributeValue] | None = None, failed: str = ""
    ) -> None:
        """End the span, if it is one of ours; once, however often and from whatever threads this is called.

        Args:
            error: that has ended the request; cancellation is none.
            attributes: that are known in the end.
            failed: why the span is an error, where no exception says so.
        """
        if not self.is_own:
            return
        if not self._unfinished.acquire(blocking=False):
            return
        if attributes:
            self.span.set_attributes(attributes)
        if isinstance(error, Exception):
            self.span.record_exception(error)
            failed = f"{type(error).__name__}: {error}"
        if failed:
            self.span.set_status(Status(StatusCode.ERROR, failed))
        self.span.end()


def anything_fails() -> bool:
    """Whether requests may fail on purpose at the moment."""
    following = follower()
    return following is not None and following.injects


def request_span() -> Span:
    """The span of the request that is worked on, as far as is known, whichever were made within it; else the current one."""
    return _request_span.get(None) or trace.get_current_span()


def with_new(pairs: list[tuple[Any, Any]], additional: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Headers, and of additional ones (names in lower case) those that are not there yet."""
    names = {name.lower() for name, _ in pairs}
    return [*pairs, *(pair for pair in additional if pair[0] not in names)]
