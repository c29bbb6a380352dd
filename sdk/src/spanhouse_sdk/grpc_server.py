"""An interceptor for servers of gRPC with threads: calls join the trace of whoever makes them, and answers tell which it is.

    grpc.server(executor, interceptors=[ServerInterceptor()])

Where OpenTelemetry's own instrumentation stands in front, its spans are used. Ids are in the trailing metadata of answers, where
they cost least, and in the initial metadata of streams, which may be cancelled before their end. They are those of the trace, and
of the span for those who want it: every header takes each call about a hundredth of its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

import grpc
from opentelemetry import trace

from spanhouse_sdk.failures import Injection
from spanhouse_sdk.grpc_metadata import CallContext, Method, code_of
from spanhouse_sdk.serving import anything_fails
from spanhouse_sdk.xtrace import own_ids, trace_id_alone

_STEP_S: Final = 0.1
_END: Final = object()
_REMEMBERED: Final = 1024


class ServerInterceptor(grpc.ServerInterceptor):
    """See the module.

    Args:
        span_ids: whether answers tell the id of the server's span beside that of the trace.
    """

    def __init__(self, *, span_ids: bool = True) -> None:
        self._wrapped = Wrapped(unary, stream, span_ids=span_ids)

    def intercept_service(self, continuation: Any, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Find who works on a call, and stand in front."""
        handler = continuation(handler_call_details)
        return None if handler is None else self._wrapped(handler, handler_call_details.method)


Behavior = Callable[[Any, Any], Any]
Wrapper = Callable[[Behavior, Method], Behavior]


class Wrapped:
    """Handlers of any of the four kinds, with something in front of what they do; made once, as long as they stay the same.

    Args:
        one, many: make what stands in front, for one response and for many.
        span_ids: whether answers tell the id of the span beside that of the trace.
    """

    def __init__(self, one: Wrapper, many: Wrapper, *, span_ids: bool) -> None:
        self._one = one
        self._many = many
        self._ids = own_ids if span_ids else trace_id_alone
        self._made: dict[str, tuple[Any, Any]] = {}

    def __call__(self, handler: Any, path: str) -> Any:
        """What is called instead of the handler of a method."""
        known = self._made.get(path)
        if known is not None and known[0] is handler:
            return known[1]
        kind = f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if handler.response_streaming else 'unary'}"
        wrap = self._many if handler.response_streaming else self._one
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        made = make(
            wrap(getattr(handler, kind), Method(path, self._ids)), handler.request_deserializer, handler.response_serializer
        )
        # Where any path is served, callers would make this grow.
        if len(self._made) >= _REMEMBERED:
            self._made.clear()
        self._made[path] = handler, made
        return made


def unary(behavior: Behavior, method: Method) -> Behavior:
    """What answers a call with one response, in the call's context."""

    def call(request: Any, context: Any) -> Any:
        ids = method.ids(trace.get_current_span())
        if ids and not anything_fails():
            # As nearly always: the span is of others, who end it. This is to take as little time as it can.
            return behavior(request, _Context(context, ids))
        serving = method.begin(context)
        told = _Context(context, method.ids(serving.span), serving)
        try:
            return serving.run(_worked_on, behavior, request, told, serving.injection(method.path))
        except Exception as error:
            told.failed(error)
            raise
        finally:
            told.finish()

    return call


def stream(behavior: Behavior, method: Method) -> Behavior:
    """What answers a call with many responses, in the call's context."""

    def call(request: Any, context: Any) -> Iterator[Any]:
        serving = method.begin(context)
        told, run = _Context(context, method.ids(serving.span), serving), serving.run
        # Of a call that is cancelled half-way, nobody asks for another response.
        context.add_callback(told.ended)
        try:
            responses = iter(run(_worked_on, behavior, request, told, serving.injection(method.path)))
            # The context is attached for one step at a time: who goes on is another thread, maybe.
            while (response := run(next, responses, _END)) is not _END:
                told.tell()
                yield response
        except Exception as error:
            told.failed(error)
            raise
        finally:
            told.finish()

    return call


def _worked_on(behavior: Behavior, request: Any, context: _Context, injection: Injection | None) -> Any:
    if injection is not None:
        until = time.monotonic() + injection.delay / 1e9
        while (left := until - time.monotonic()) > 0 and context.is_active():
            time.sleep(min(left, _STEP_S))
        if injection.ends:
            context.abort(code_of(injection.failure), injection.failure.message)
    return behavior(request, context)


class _Context(CallContext):
    def send_initial_metadata(self, initial_metadata: Any) -> None:
        self.told = True
        self._context.send_initial_metadata(self.with_ids(initial_metadata))

    def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any = ()) -> None:
        self.code = code
        # Only the contexts of grpc.aio take metadata here.
        self._context.abort(code, details, *([self.with_ids(trailing_metadata)] if trailing_metadata else []))

    def abort_with_status(self, status: Any) -> None:
        self.code = status.code
        self._context.abort_with_status(status)

    def tell(self) -> None:
        """Send the ids, if nothing was sent yet and somebody is there."""
        if not self.told:
            # grpc raises bare exceptions for calls that have ended: then nobody is there to be told.
            with suppress(Exception):
                self.send_initial_metadata(())
