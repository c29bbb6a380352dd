"""Senders of requests over HTTP/1.1, each with a connection that is kept as long as the server lets it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from typing import Any, cast

from collector.monitor.load.lane import Lane, Owner
from collector.monitor.load.message import Message, TraceIds
from collector.monitor.load.response import AnswerReader, MalformedAnswer


class Route:
    """How connections are made: to the address that worked last, and when it does not, to the others in turn.

    Args:
        addresses: IP addresses and ports, at least one.
        tls: what encrypts; None for clear text.
        server_name: that the certificate must show.
    """

    def __init__(self, addresses: Sequence[tuple[str, int]], tls: ssl.SSLContext | None = None, server_name: str = "") -> None:
        self._addresses = addresses
        self._encryption: dict[str, Any] = {"ssl": tls, "server_hostname": server_name} if tls is not None else {}
        self._current = 0

    async def connect(self, link: asyncio.BaseProtocol) -> None:
        """Make a connection for this protocol.

        Raises:
            OSError: all refuse or cannot be reached, or TLS could not be agreed on (ssl.SSLError).
        """
        loop = asyncio.get_running_loop()
        for left in reversed(range(len(self._addresses))):
            tried = self._current
            try:
                await loop.create_connection(lambda: link, *self._addresses[tried], **self._encryption)
                return
            except OSError as error:
                if isinstance(error, ssl.SSLError) or not left:
                    raise
                self._current = (tried + 1) % len(self._addresses)


class HttpLane(Lane):
    """Sends one request after another over HTTP/1.1.

    Args:
        owner: is told what becomes of them.
        trace_ids: draws those of the requests.
        message: makes their bytes.
        route: makes connections.
        answer: reads answers.
    """

    def __init__(self, owner: Owner, trace_ids: TraceIds, message: Message, route: Route, answer: AnswerReader) -> None:
        super().__init__(owner, trace_ids)
        self._message = message
        self._route = route
        self._link: _Link | None = None
        self._connecting: asyncio.Task[None] | None = None
        self.answer: AnswerReader = answer

    def _send(self) -> None:
        self.answer.begin()
        if self._link is not None:
            self._link.write(self._message.of(self.trace_id))
        else:
            self._is_not_sent_yet()
            self._connecting = asyncio.create_task(self._connect())

    def _drop(self) -> None:
        """End the connection; nobody is told."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._link is not None:
            self._link.abort()
            self._link = None

    async def _connect(self) -> None:
        link = _Link(self)
        try:
            await self._route.connect(link)
        except asyncio.CancelledError:
            link.abort()
            raise
        except (OSError, ssl.SSLError) as error:
            self._connecting = None
            self.busy = False
            cause = "tls" if isinstance(error, ssl.SSLError) else "connect"
            self.owner.failed(self, cause, str(error) or type(error).__name__)
        else:
            self._connecting = None
            self._link = link
            self.sent_at = self.sent_at or time.monotonic_ns()
            link.write(self._message.of(self.trace_id))

    def received(self, data: bytes) -> None:
        """Bytes have come over the connection."""
        if not self.busy:
            self._drop()
            return
        try:
            whole = self.answer.feed(data)
        except MalformedAnswer as error:
            self.give_up()
            self.owner.failed(self, "malformed", str(error))
            return
        if whole:
            self.busy = False
            if not self.answer.stays_open:
                self._drop()
            self.owner.answered(self)

    def lost(self, error: Exception | None) -> None:
        """The connection has ended, by the other side."""
        self._link = None
        if not self.busy:
            return
        self.busy = False
        if error is None and self.answer.end():
            self.owner.answered(self)
        else:
            self.owner.failed(self, "closed" if error is None else "reset", str(error or ""))


class _Link(asyncio.Protocol):
    """A connection of a lane. What it tells after it was given up, nobody hears."""

    __slots__ = ("_lane", "_transport")

    def __init__(self, lane: HttpLane) -> None:
        self._lane: HttpLane | None = lane
        self._transport: asyncio.Transport | None = None

    def write(self, data: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - it is connected
        self._transport.write(data)

    def abort(self) -> None:
        self._lane = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._lane is None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._lane is not None:
            self._lane.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lane is not None:
            self._lane.lost(exc)
