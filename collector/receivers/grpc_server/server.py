"""A gRPC server on one address, for calls with one message: ours, as that of the library costs six times as much (ADR 25)."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

from collector.errors import Refused
from collector.receivers.grpc_server.calls import Service
from collector.receivers.grpc_server.connection import Connection
from collector.receivers.grpc_server.shared import Shared
from collector.receivers.listen import listen, release_unix_path
from collector.receivers.settings import GrpcSettings
from collector.tls import listening_options


class GrpcServer:
    """Serves methods.

    Args:
        settings: where and how.
        service: what can be called.
    """

    def __init__(self, settings: GrpcSettings, service: Service) -> None:
        self._settings = settings
        self._service = service
        self._shared = Shared(service, settings.keepalive, settings.max_concurrent_streams, settings.max_connections)
        self._listener: asyncio.Server | None = None
        self.port = 0
        """The port in use once started; 0 for a unix socket."""

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ListenError: the address cannot be listened on.
            TlsError: the files for TLS cannot be used.
        """
        settings = self._settings
        loop = asyncio.get_running_loop()
        encryption = listening_options(settings.tls, f"{settings.key}.tls", self._refuse_handshake, "h2")

        def connect() -> Connection:
            return Connection(self._shared, loop)

        self._listener, self.port = await listen(connect, settings, encryption)

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, let those that are open end for at most `grace_s` seconds (NET-15)."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        listener.close()
        shared, tasks = self._shared, self._service.tasks
        shared.is_stopping = True
        for connection in tuple(shared.connections):
            connection.leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await shared.without_connections.wait()
                while tasks:
                    await asyncio.wait(tasks)
        for task in tasks:
            task.cancel()
        for connection in tuple(shared.connections):
            connection.abandon()
        await asyncio.gather(*tasks, return_exceptions=True)
        await shared.without_connections.wait()
        await listener.wait_closed()
        if self._settings.unix_path is not None:
            release_unix_path(self._settings.unix_path)

    def _refuse_handshake(self, error: ssl.SSLError) -> None:
        """Count a connection that ends with an alert of TLS, before anything could be called over it."""
        self._service.failed(Refused(f"the handshake of TLS failed: {error.reason or error}", "tls_handshake"))
