"""What interceptors of gRPC share: metadata, and what failures are as codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

import grpc
from opentelemetry import propagate
from opentelemetry.trace import Span

from spanhouse_sdk.failures import Failure
from spanhouse_sdk.serving import Serving, with_new
from spanhouse_sdk.xtrace import SPAN_ID, TRACE_ID, Headers

_CODES: Final = {
    400: grpc.StatusCode.INTERNAL,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    429: grpc.StatusCode.UNAVAILABLE,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.UNAVAILABLE,
}
"""The mapping of HTTP statuses that gRPC itself has; all others are UNKNOWN."""
SERVER_ERRORS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Codes with which a server's span is an error, by OpenTelemetry's conventions."""


def code_of(failure: Failure) -> grpc.StatusCode:
    """With which code a failure on purpose ends a call."""
    return grpc.StatusCode.DEADLINE_EXCEEDED if failure.type == "timeout" else _CODES.get(failure.status, grpc.StatusCode.UNKNOWN)


def response_ids(metadata: Iterable[Any] | None) -> tuple[str, str | None] | None:
    """The ids of trace and span that a server has told in its metadata; some tell that of the trace alone.

    Args:
        metadata: `call.trailing_metadata()`, or before the end of a stream `call.initial_metadata()`.
    """
    found = dict(metadata or ())
    return (found[TRACE_ID], found.get(SPAN_ID)) if TRACE_ID in found else None


def outgoing(metadata: Iterable[Any] | None) -> list[tuple[str, Any]]:
    """The metadata of a call with the current trace context, unless it has one."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return with_new([(name, value) for name, value in metadata or ()], [(name.lower(), value) for name, value in carrier.items()])


class Method:
    """What calls of a method have in common.

    Args:
        path: `/package.Service/Method`.
        ids: what an answer tells of a span.
    """

    def __init__(self, path: str, ids: Callable[[Span], Headers]) -> None:
        self.path = path
        self.ids = ids
        self._name = path.removeprefix("/")
        service, _, called = self._name.partition("/")
        self._attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": called}

    def begin(self, context: Any) -> Serving:
        """Begin to work on a call, which has this context of grpc's."""
        return Serving(self._name, partial(_headers, context), self._attributes)


def _headers(context: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            found.setdefault(name, []).append(value)
    return found


class CallContext:
    """A call's context as those see it who work on the call: what they send has the ids with it. It knows how the call ends.

    Args:
        context: of grpc's.
        ids: that are told.
        serving: the call, as something that is worked on, if it is known how the call ends.

    Attributes:
        code: with which the call ends, as far as is known.
        told: whether initial metadata was sent.
    """

    code = grpc.StatusCode.OK
    told = False
    _error: Exception | None = None

    def __init__(self, context: Any, ids: Headers, serving: Serving | None = None) -> None:
        self._context = context
        self._ids = ids
        self._serving = serving
        context.set_trailing_metadata(ids)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def set_trailing_metadata(self, trailing_metadata: Iterable[Any]) -> None:
        """Send this at the end, with the ids."""
        self._context.set_trailing_metadata(self.with_ids(trailing_metadata))

    def set_code(self, code: grpc.StatusCode) -> None:
        """End with this code."""
        self.code = code
        self._context.set_code(code)

    def with_ids(self, metadata: Iterable[Any]) -> tuple[tuple[str, Any], ...]:
        """The metadata of an answer, in which the ids are told."""
        return tuple(with_new(list(metadata), self._ids))

    def failed(self, error: Exception) -> None:
        """An exception ends the call. Those that follow from `abort` say nothing new."""
        if self.code is grpc.StatusCode.OK:
            self.code = grpc.StatusCode.UNKNOWN
            self._error = error

    def ended(self, _: Any = None) -> None:
        """The call has ended while somebody was still at work on it, as by being cancelled."""
        if self.code is grpc.StatusCode.OK:
            self.code = grpc.StatusCode.CANCELLED
        self.finish()

    def finish(self) -> None:
        """End the span, if it is one of ours; it says how the call has ended."""
        if self._serving is None or not self._serving.is_own:
            return
        failed = self.code.name if self.code in SERVER_ERRORS else ""
        self._serving.finish(self._error, attributes={"rpc.grpc.status_code": self.code.value[0]}, failed=failed)
