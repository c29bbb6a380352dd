"""One sender: at most one request in flight, over a connection that is kept as long as the server lets it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol, cast

from collector.monitor.failures.injecting import Injection
from collector.monitor.failures.rules import AddedLatency
from collector.monitor.load.message import Message
from collector.monitor.load.response import AnswerReader, MalformedAnswer

_SOONEST_S: Final = 0.001


class Owner(Protocol):
    """Who is told what became of a lane's request; the lane is free by then."""

    def answered(self, lane: Lane) -> None:
        """An answer has been read; it is in the lane's reader."""

    def failed(self, lane: Lane, cause: str, example: str = "") -> None:
        """There is none."""

    def injection(self, trace_id: bytes) -> Injection | None:
        """What goes wrong on purpose with the request of a trace, 32 hexadecimal digits."""

    def injected(self, lane: Lane, injection: Injection) -> None:
        """The request ends by a failure on purpose, and was not sent."""


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


class Lane:
    """Sends one request after another; see the module.

    Attributes:
        reader: of the answer.
        trace_id: of the request, 32 hexadecimal digits.
        due: when it was due, nanoseconds of the monotonic clock.
        sent_at: when it was sent; 0 while the connection is being made.
        deadline: when it is given up.
        busy: whether there is one.
        struck: what goes wrong with it on purpose; None for nothing.
    """

    def __init__(self, owner: Owner, message: Message, route: Route, reader: AnswerReader) -> None:
        self._owner = owner
        self._message = message
        self._route = route
        self._link: _Link | None = None
        self._connecting: asyncio.Task[None] | None = None
        self.reader = reader
        self.trace_id = b""
        self.due = self.sent_at = self.deadline = 0
        self.busy = False
        self.struck: Injection | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, due: int, now: int, timeout: int) -> None:
        """Send a request, over a new connection where there is none. Times are nanoseconds of the monotonic clock."""
        message, self.trace_id = self._message.copy()
        self.due, self.sent_at, self.deadline = due, now, now + timeout
        self.busy = True
        self.struck = None
        self.reader.begin()
        if (injection := self._owner.injection(self.trace_id)) is not None:
            self._strike(injection, message)
        elif self._link is not None:
            self._link.write(message)
        else:
            self.sent_at = 0
            self._connecting = asyncio.create_task(self._connect(message))

    def _strike(self, injection: Injection, message: bytes) -> None:
        """Let go wrong what should: as if it were the server's doing, so that the times have it too."""
        self.struck = injection
        # Not at once even where nothing is waited for: answers of a server would not come that soon either.
        delay_s = max(injection.delay / 1e9, _SOONEST_S)
        timer = asyncio.get_running_loop().call_later
        if isinstance(injection.failure, AddedLatency):
            self._timer = timer(delay_s, self._send_late, message)
        else:
            self._timer = timer(delay_s, self._end_struck, injection)

    def _send_late(self, message: bytes) -> None:
        self._timer = None
        if self._link is not None:
            self._link.write(message)
        else:
            self._connecting = asyncio.create_task(self._connect(message))

    def _end_struck(self, injection: Injection) -> None:
        self._timer = None
        self.busy = False
        self._owner.injected(self, injection)

    def give_up(self) -> None:
        """Wait no longer for the answer. The connection ends, since an answer may still come over it."""
        self.busy = False
        self.close()

    def close(self) -> None:
        """End the connection; nobody is told."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._link is not None:
            self._link.abort()
            self._link = None

    async def _connect(self, message: bytes) -> None:
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
            self._owner.failed(self, cause, str(error) or type(error).__name__)
        else:
            self._connecting = None
            self._link = link
            self.sent_at = self.sent_at or time.monotonic_ns()
            link.write(message)

    def received(self, data: bytes) -> None:
        """Bytes have come over the connection."""
        if not self.busy:
            self.close()
            return
        try:
            whole = self.reader.feed(data)
        except MalformedAnswer as error:
            self.give_up()
            self._owner.failed(self, "malformed", str(error))
            return
        if whole:
            self.busy = False
            if not self.reader.stays_open:
                self.close()
            self._owner.answered(self)

    def lost(self, error: Exception | None) -> None:
        """The connection has ended, by the other side."""
        self._link = None
        if not self.busy:
            return
        self.busy = False
        if error is None and self.reader.end():
            self._owner.answered(self)
        else:
            self._owner.failed(self, "closed" if error is None else "reset", str(error or ""))


class _Link(asyncio.Protocol):
    """A connection of a lane. What it tells after it was given up, nobody hears."""

    __slots__ = ("_lane", "_transport")

    def __init__(self, lane: Lane) -> None:
        self._lane: Lane | None = lane
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
