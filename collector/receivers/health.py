"""The standard gRPC health service (receiver contract NET-14), made so that its watchers do not hold up a stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_Status = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # grpc_health publishes no types
    """Says SERVING for its services until `stop`, then NOT_SERVING.

    grpcio's own servicer keeps watching calls open until the server cancels them, so one watcher would make every graceful
    stop last its whole grace period.

    Args:
        services: full names; `""` stands for the server as a whole.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = frozenset(services)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Say NOT_SERVING from now on, and end all watching calls with it."""
        self._stopping.set()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - the method's name in the protocol
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return _Status(status=self._status())

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802 - the method's name in the protocol
        known = request.service in self._services
        yield _Status(status=self._status() if known else _Status.SERVICE_UNKNOWN)
        if not self._stopping.is_set():
            await self._stopping.wait()
            if known:
                yield _Status(status=self._status())

    def _status(self) -> Any:
        return _Status.NOT_SERVING if self._stopping.is_set() else _Status.SERVING
