"""How bytes get to a peer and its answer back: what the two transports have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from exporters.base import PartialSuccess
from proto.texts import Bytes


class Transport(Protocol):
    """Sends requests to one peer. `pack` may be called in any thread."""

    def pack(self, request: Bytes) -> bytes:
        """The body that goes over the wire for an ExportTraceServiceRequest."""

    async def send(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> PartialSuccess | None:
        """Send a packed request, with these headers besides those of every request; names are in lower case.

        Raises:
            ExportError: the peer did not take it, or did not say so.
        """

    async def close(self) -> None:
        """End all connections."""
