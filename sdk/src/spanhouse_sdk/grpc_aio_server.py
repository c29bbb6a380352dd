"""An interceptor for servers of `grpc.aio`: it does what that for servers with threads does.

grpc.aio.server(interceptors=[AioServerInterceptor()])
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

from spanhouse_sdk import grpc_server
from spanhouse_sdk.grpc_metadata import Outcome, begin, code_of
from spanhouse_sdk.grpc_server import Behavior, wrapped


class AioServerInterceptor(grpc.aio.ServerInterceptor):
    """See the module."""

    async def intercept_service(self, continuation: Any, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Find who works on a call, and stand in front."""
        handler = await continuation(handler_call_details)
        return None if handler is None else wrapped(handler, handler_call_details, _unary, _stream)


def _unary(behavior: Behavior, details: grpc.HandlerCallDetails) -> Behavior:
    if not inspect.iscoroutinefunction(behavior):
        # The server runs these in threads.
        return grpc_server.unary(behavior, details)

    async def call(request: Any, context: Any) -> Any:
        told = _Context(context, Outcome(begin(details)))
        token = contexts.attach(told.outcome.serving.context)
        try:
            await _fail(told, details.method)
            response = await behavior(request, told)
        except Exception as error:
            told.outcome.failed(error)
            raise
        except asyncio.CancelledError:
            told.outcome.ended()
            raise
        finally:
            contexts.detach(token)
            told.outcome.finish()
        return response

    return call


def _stream(behavior: Behavior, details: grpc.HandlerCallDetails) -> Behavior:
    if inspect.isasyncgenfunction(behavior):
        return _generating(behavior, details)
    if not inspect.iscoroutinefunction(behavior):
        return grpc_server.stream(behavior, details)
    # It writes its responses to the context, and returns none.
    return _unary(behavior, details)


def _generating(behavior: Behavior, details: grpc.HandlerCallDetails) -> Behavior:
    async def call(request: Any, context: Any) -> AsyncIterator[Any]:
        told = _Context(context, Outcome(begin(details)))
        # Of a call that is cancelled half-way, nobody asks for another response.
        context.add_done_callback(told.outcome.ended)
        responses = behavior(request, told)
        first = True
        try:
            while True:
                # The context is attached for one step at a time: a generator that is let go is closed from elsewhere.
                token = contexts.attach(told.outcome.serving.context)
                try:
                    if first:
                        first = False
                        await _fail(told, details.method)
                    response = await anext(responses, _END)
                finally:
                    contexts.detach(token)
                if response is _END:
                    return
                await told.tell()
                yield response
        except Exception as error:
            told.outcome.failed(error)
            raise
        except asyncio.CancelledError:
            told.outcome.ended()
            raise
        finally:
            told.outcome.finish()
            await responses.aclose()

    return call


_END = object()


async def _fail(context: _Context, method: str) -> None:
    injection = context.outcome.serving.injection(method)
    if injection is not None:
        await asyncio.sleep(injection.delay / 1e9)
        if injection.ends:
            await context.abort(code_of(injection.failure), injection.failure.message)


class _Context:
    """A call's context as those see it who work on the call: what they send has the ids with it."""

    def __init__(self, context: Any, outcome: Outcome) -> None:
        self._context = context
        self.outcome = outcome
        context.set_trailing_metadata(tuple(outcome.serving.response_headers()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        self.outcome.told = True
        await self._context.send_initial_metadata(self.outcome.with_ids(initial_metadata))

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._context.set_trailing_metadata(self.outcome.with_ids(trailing_metadata))

    async def write(self, message: Any) -> None:
        await self.tell()
        await self._context.write(message)

    def set_code(self, code: grpc.StatusCode) -> None:
        self.outcome.code = code
        self._context.set_code(code)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        self.outcome.code = code
        await self._context.abort(code, details, self.outcome.with_ids(trailing_metadata))

    async def tell(self) -> None:
        """Send the ids, if nothing was sent yet and somebody is there."""
        if not self.outcome.told:
            # grpc raises exceptions of its own for calls that have ended: then nobody is there to be told.
            with suppress(Exception):
                await self.send_initial_metadata(())
