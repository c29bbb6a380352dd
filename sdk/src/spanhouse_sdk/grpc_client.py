"""Interceptors for clients of gRPC: calls take the current trace context along.

    channel = grpc.intercept_channel(channel, ClientInterceptor())
    channel = grpc.aio.insecure_channel(target, interceptors=aio_client_interceptors())

They make no spans. OpenTelemetry's own instrumentation does, and writes over what these have written.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import grpc
import grpc.aio

from spanhouse_sdk.grpc_metadata import outgoing


class _Details(
    namedtuple("_Details", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")),
    grpc.ClientCallDetails,
):
    __slots__ = ()


class ClientInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """For channels of `grpc`."""

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """One request, one response."""
        return continuation(_with_ids(client_call_details), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """One request, many responses."""
        return continuation(_with_ids(client_call_details), request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """Many requests, one response."""
        return continuation(_with_ids(client_call_details), request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """Many requests, many responses."""
        return continuation(_with_ids(client_call_details), request_iterator)


def _with_ids(details: Any) -> _Details:
    said = {name: getattr(details, name, None) for name in _Details._fields}
    return _Details(**{**said, "metadata": outgoing(details.metadata)})


class _AioUnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_aio_with_ids(client_call_details), request)


class _AioUnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_aio_with_ids(client_call_details), request)


class _AioStreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(_aio_with_ids(client_call_details), request_iterator)


class _AioStreamStream(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(_aio_with_ids(client_call_details), request_iterator)


def aio_client_interceptors() -> list[grpc.aio.ClientInterceptor]:
    """For channels of `grpc.aio`, which want one for each kind of call."""
    return [_AioUnaryUnary(), _AioUnaryStream(), _AioStreamUnary(), _AioStreamStream()]


def _aio_with_ids(details: Any) -> Any:
    return details._replace(metadata=grpc.aio.Metadata(*outgoing(details.metadata)))
