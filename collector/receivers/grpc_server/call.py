"""One call, and what is known of the methods that are served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from google.rpc import code_pb2

from collector.access import names_in
from collector.errors import Retryable
from collector.receivers.grpc_server.headers import Head, Status
from collector.receivers.grpc_server.message import Message
from collector.receivers.in_flight import InFlight, Lease

CODINGS: Final = {"gzip": "gzip", "deflate": "zlib", "zstd": "zstd", "snappy": "x-snappy-framed"}
"""Values of `grpc-encoding` that can be undone, and what HTTP calls them. The Collector's exporter writes snappy in frames."""


class CallFailed(Exception):
    """A call ends with a status of its own.

    Args:
        status: which.
        kind: row of the answers table that it counts as; empty for what is no fault.
    """

    def __init__(self, status: Status, kind: str = "") -> None:
        super().__init__(status.message)
        self.status = status
        self.kind = kind


Serve = Callable[[bytes], Awaitable[bytes | None]]
"""Takes a call's message, uncompressed, and returns the answer's; None when all answers have been sent."""


class Method:
    """What is served under one path.

    Args:
        admit: lets a call in by its head, and says what is to be done with its message; or raises what refuses it.
        max_bytes: largest message, compressed or not.
        max_calls: calls that may be open on all connections; None for any number.
        in_flight: counts the bytes of calls; None for messages that are always small.
        lasts: whether calls go on after their message has been answered, until the client leaves.
    """

    def __init__(
        self,
        admit: Callable[[Call], Serve],
        *,
        max_bytes: int,
        max_calls: int | None = None,
        in_flight: InFlight | None = None,
        lasts: bool = False,
    ) -> None:
        self.admit = admit
        self.max_bytes = max_bytes
        self.max_calls = max_calls
        self.in_flight = in_flight
        self.lasts = lasts
        self.open_calls = 0


class Call:
    """One call of a method. It counts as open until its end has been sent, or nobody waits for that, and nothing is done for it.

    Args:
        method: what is called.
        stream: its number on its connection.
        head: how it begins.
        transport: of its connection.
        began_s: when, by the event loop's clock.
        answer: sends one of a call's answers.

    Attributes:
        message: what has come of its message.
        serve: what is to be done with that.
        task: who does it, once it is whole.
        is_busy: whether that goes on.
        has_answered: whether headers have been sent.
        has_ended: whether its client has sent all that it will.
        window: bytes of answers that its client takes beyond those that it takes at first of each call.
        unsent: bytes of answers for which the window has no room.
        trailers: what ends it, when that is known.
    """

    __slots__ = (
        "_answer",
        "_lease",
        "_transport",
        "began_s",
        "has_answered",
        "has_ended",
        "head",
        "is_busy",
        "message",
        "method",
        "serve",
        "stream",
        "task",
        "trailers",
        "unsent",
        "window",
    )

    def __init__(
        self,
        method: Method,
        stream: int,
        head: Head,
        transport: asyncio.BaseTransport,
        began_s: float,
        answer: Callable[[Call, bytes], None],
    ) -> None:
        self.method = method
        self.stream = stream
        self.head = head
        self.began_s = began_s
        self._transport = transport
        # Not for this call alone, which would then refer to itself, and keep its message until somebody collects garbage.
        self._answer = answer
        self._lease = Lease(method.in_flight) if method.in_flight is not None else None
        self.message = Message(method.max_bytes, self._lease)
        self.serve: Serve | None = None
        self.task: asyncio.Task[None] | None = None
        self.is_busy = False
        self.has_answered = False
        self.has_ended = False
        self.window = 0
        self.unsent = b""
        self.trailers: bytes | None = None
        method.open_calls += 1

    @property
    def coding(self) -> str | None:
        """How its message is compressed, if that is said to be."""
        return CODINGS.get(self.head.headers.get("grpc-encoding", ""))

    def names(self) -> Iterable[str]:
        """The names in its client's certificate."""
        return names_in(self._transport.get_extra_info("peercert"))

    def admit(self) -> None:
        """Let it in by its head (cheap refusals first).

        Raises:
            Exception: what refuses it.
        """
        method = self.method
        if method.max_calls is not None and method.open_calls > method.max_calls:
            raise Retryable(f"{method.max_calls} calls are in flight, which is as many as may be; try again shortly")
        encoding = self.head.headers.get("grpc-encoding", "identity")
        if encoding != "identity" and encoding not in CODINGS:
            supported = ",".join(("identity", *CODINGS))
            message = f"grpc-encoding {encoding[:80]!r} is not served; send one of {supported}"
            raise CallFailed(
                Status(code_pb2.UNIMPLEMENTED, message, (("grpc-accept-encoding", supported),)), "unsupported_encoding"
            )
        self.serve = method.admit(self)
        if self._lease is not None:
            self._lease.grow(0)  # a full process refuses before it reads

    def send(self, message: bytes) -> None:
        """Send one of its answers, if its client waits for it."""
        self._answer(self, message)

    def grow(self, size: int) -> None:
        """It holds so many bytes more.

        Raises:
            Retryable: too many bytes are in flight.
        """
        if self._lease is not None:
            self._lease.grow(size)

    def give_back(self) -> None:
        """It holds no bytes more."""
        if self._lease is not None:
            self._lease.give_back()

    def release(self) -> None:
        """It is over."""
        self.method.open_calls -= 1
        # Both may refer to the call.
        self.serve = self.task = None
        self.give_back()
