"""A genuine gRPC server of the standard health service, with and without reflection."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

HEALTH = "grpc.health.v1.Health"
_FILE = descriptor_pb2.FileDescriptorProto.FromString(health_pb2.DESCRIPTOR.serialized_pb)
DESCRIPTORS = base64.b64encode(descriptor_pb2.FileDescriptorSet(file=[_FILE]).SerializeToString()).decode()
"""What its messages are made of, as base64."""


class Recorder(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # publishes no types
    """Keeps the metadata of calls to the health service."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, str]] = []

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        if HEALTH in details.method:
            self.metadata.append(dict(details.invocation_metadata))
        return await continuation(details)


class _Servicer(health.aio.HealthServicer):  # type: ignore[misc]  # publishes no types
    """The standard one, which does not answer about the service `slow`."""

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - its name
        if request.service == "slow":
            await asyncio.sleep(3600)
        return await super().Check(request, context)


@asynccontextmanager
async def grpc_server(*, reflects: bool, credentials: Any = None, port: int = 0) -> AsyncIterator[tuple[int, Recorder]]:
    """A server, whose service `shop` is not serving: its port, and what it was asked with."""
    recorder = Recorder()
    server = grpc.aio.server(interceptors=[recorder])
    servicer = _Servicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set("shop", health_pb2.HealthCheckResponse.NOT_SERVING)
    if reflects:
        reflection.enable_server_reflection([HEALTH, reflection.SERVICE_NAME], server)
    address = f"127.0.0.1:{port}"
    listens = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    await server.start()
    yield listens, recorder
    await server.stop(None)
