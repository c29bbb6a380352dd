"""An interceptor for servers of `grpc.aio`: `grpc.aio.server(interceptors=[AioServerInterceptor()])`.

It does what that for servers with threads does.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
from opentelemetry import context as contexts
from opentelemetry import trace

from spanhouse_sdk import grpc_server
from spanhouse_sdk.failures import Injection
from spanhouse_sdk.grpc_metadata import CallContext, Method, code_of
from spanhouse_sdk.grpc_server import Behavior, Wrapped
from spanhouse_sdk.serving import anything_fails


class AioServerInterceptor(grpc.aio.ServerInterceptor):
    """See the module, and `ServerInterceptor` for what it takes."""

    def __init__(self, *, span_ids: bool = True) -> None:
        self._wrapped = Wrapped(_unary, _stream, span_ids=span_ids)

    async def intercept_service(self, continuation: Any, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Find who works on a call, and stand in front."""
        handler = await continuation(handler_call_details)
        return None if handler is None else self._wrapped(handler, handler_call_details.method)


def _unary(behavior: Behavior, method: Method) -> Behavior:
    if not inspect.iscoroutinefunction(behavior):
        # The server runs these in threads.
        return grpc_server.unary(behavior, method)

    async def call(request: Any, context: Any) -> Any:
        ids = method.ids(trace.get_current_span())
        if ids and not anything_fails():
            # As nearly always: the span is of others, who end it. This is to take as little time as it can.
            return await behavior(request, _Context(context, ids))
        serving = method.begin(context)
        told = _Context(context, method.ids(serving.span), serving)
        token = contexts.attach(serving.context)
        try:
            injection = serving.injection(method.path)
            if injection is not None:
                await _fail(injection, told)
            return await behavior(request, told)
        except Exception as error:
            told.failed(error)
            raise
        except asyncio.CancelledError:
            told.ended()
            raise
        finally:
            contexts.detach(token)
            told.finish()

    return call


def _stream(behavior: Behavior, method: Method) -> Behavior:
    if inspect.isasyncgenfunction(behavior):
        return _generating(behavior, method)
    if not inspect.iscoroutinefunction(behavior):
        return grpc_server.stream(behavior, method)
    # It writes its responses to the context, and returns none.
    return _unary(behavior, method)


def _generating(behavior: Behavior, method: Method) -> Behavior:
    async def call(request: Any, context: Any) -> AsyncIterator[Any]:
        serving = method.begin(context)
        told = _Context(context, method.ids(serving.span), serving)
        # Of a call that is cancelled half-way, nobody asks for another response.
        context.add_done_callback(told.ended)
        responses = behavior(request, told)
        first = True
        try:
            while True:
                # The context is attached for one step at a time: a generator that is let go is closed from elsewhere.
                token = contexts.attach(serving.context)
                try:
                    if first:
                        first = False
                        injection = serving.injection(method.path)
                        if injection is not None:
                            await _fail(injection, told)
                    response = await anext(responses, _END)
                finally:
                    contexts.detach(token)
                if response is _END:
                    return
                await told.tell()
                yield response
        except Exception as error:
            told.failed(error)
            raise
        except asyncio.CancelledError:
            told.ended()
            raise
        finally:
            told.finish()
            await responses.aclose()

    return call


_END = object()


async def _fail(injection: Injection, context: _Context) -> None:
    await asyncio.sleep(injection.delay / 1e9)
    if injection.ends:
        await context.abort(code_of(injection.failure), injection.failure.message)


class _Context(CallContext):
    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        self.told = True
        await self._context.send_initial_metadata(self.with_ids(initial_metadata))

    async def write(self, message: Any) -> None:
        await self.tell()
        await self._context.write(message)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        self.code = code
        await self._context.abort(code, details, self.with_ids(trailing_metadata))

    async def tell(self) -> None:
        """Send the ids, if nothing was sent yet and somebody is there."""
        if not self.told:
            # grpc raises exceptions of its own for calls that have ended: then nobody is there to be told.
            with suppress(Exception):
                await self.send_initial_metadata(())
