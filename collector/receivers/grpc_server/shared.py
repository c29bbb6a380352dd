"""What the connections of a gRPC server share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from collector.receivers.grpc_server.calls import Service
from collector.receivers.grpc_server.reading import BUFFER_BYTES
from collector.receivers.settings import Keepalive

if TYPE_CHECKING:
    from collector.receivers.grpc_server.connection import Connection


class Shared:
    """What connections of a server share.

    Args:
        service: what can be called.
        keepalive: how long connections live.
        max_streams: calls that may be open on one; None for any number.
        max_connections: how many there may be; further ones are closed at once.
    """

    def __init__(self, service: Service, keepalive: Keepalive, max_streams: int | None, max_connections: int) -> None:
        self.service = service
        self.keepalive = keepalive
        self.max_streams = max_streams
        self.max_connections = max_connections
        self.connections: set[Connection] = set()
        """Those that are open."""
        self.without_connections = asyncio.Event()
        """Set while none is."""
        self.without_connections.set()
        self.is_stopping = False
        """Whether new ones come too late."""
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        """What all of them read into."""

    def add(self, connection: Connection) -> None:
        """One more."""
        self.connections.add(connection)
        self.without_connections.clear()

    def remove(self, connection: Connection) -> None:
        """One less."""
        self.connections.discard(connection)
        if not self.connections:
            self.without_connections.set()
