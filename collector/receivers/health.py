"""The standard gRPC health service (receiver contract NET-14), made so that its watchers do not hold up a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from google.protobuf.message import DecodeError
from google.rpc import code_pb2
from grpc_health.v1 import health_pb2

from collector.receivers.grpc_server.call import Call, CallFailed, Method, Serve
from collector.receivers.grpc_server.headers import Status

_Response: Final = health_pb2.HealthCheckResponse
_MAX_BYTES: Final = 4096
_MAX_CALLS: Final = 1000


class Health:
    """Says SERVING for its services until `stop`, then NOT_SERVING.

    Args:
        services: full names; `""` stands for the server as a whole.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = frozenset(services)
        self._stopping = asyncio.Event()
        self.methods = {
            "/grpc.health.v1.Health/Check": Method(lambda _: self._check, max_bytes=_MAX_BYTES, max_calls=_MAX_CALLS),
            "/grpc.health.v1.Health/Watch": Method(self._watching, max_bytes=_MAX_BYTES, max_calls=_MAX_CALLS, lasts=True),
        }
        """Its methods by path."""

    def stop(self) -> None:
        """Say NOT_SERVING from now on, and end all watching calls with it."""
        self._stopping.set()

    async def _check(self, message: bytes) -> bytes:
        if _asked(message) not in self._services:
            raise CallFailed(Status(code_pb2.NOT_FOUND, "no such service"))
        return self._status()

    def _watching(self, call: Call) -> Serve:
        return partial(self._watch, call)

    async def _watch(self, call: Call, message: bytes) -> None:
        known = _asked(message) in self._services
        call.send(self._status() if known else _encoded(_Response.SERVICE_UNKNOWN))
        if not self._stopping.is_set():
            await self._stopping.wait()
            if known:
                call.send(self._status())

    def _status(self) -> bytes:
        return _encoded(_Response.NOT_SERVING if self._stopping.is_set() else _Response.SERVING)


def _asked(message: bytes) -> str:
    """The service that a `HealthCheckRequest` names. Raises CallFailed."""
    try:
        service: str = health_pb2.HealthCheckRequest.FromString(bytes(message)).service
    except DecodeError:
        raise CallFailed(Status(code_pb2.INVALID_ARGUMENT, "the request is no HealthCheckRequest")) from None
    return service


def _encoded(status: Any) -> bytes:
    encoded: bytes = _Response(status=status).SerializeToString()
    return encoded
