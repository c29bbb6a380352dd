"""The calls of one connection: from their heads to their answers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from google.rpc import code_pb2

from collector.errors import Refused
from collector.receivers.grpc_server.call import Call, CallFailed, Method
from collector.receivers.grpc_server.headers import Head, Status, http_headers, trailers
from collector.receivers.grpc_server.outgoing import Outgoing
from collector.receivers.grpc_server.patience import Patience
from collector.receivers.grpc_server.restraint import Restraint
from collector.receivers.http_body import INLINE_COMPRESSED_BYTES, decompress

_OK: Final = trailers(Status(code_pb2.OK))


@dataclass(frozen=True, slots=True)
class Service:
    """What is served, on all connections of a server.

    Attributes:
        methods: by path.
        unserved: is there for all other paths; it refuses.
        failed: counts and logs what refused a call or a connection, and says how that call ends.
        message_timeout_s: longest wait for a call's whole message (NET-13).
        in_pool: runs what takes long in a thread.
        tasks: what is being done.
    """

    methods: Mapping[str, Method]
    unserved: Method
    failed: Callable[[Exception], Status]
    message_timeout_s: float
    in_pool: Callable[..., Awaitable[Any]] = asyncio.to_thread
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class Calls:
    """The open calls of one connection.

    Args:
        service: what can be called.
        transport: of the connection.
        loop: its event loop.
        patience: is told when messages begin, and when no call is open any more.
    """

    def __init__(
        self, service: Service, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop, patience: Patience
    ) -> None:
        self._service = service
        self._transport = transport
        self._loop = loop
        self._patience = patience
        self._open: dict[int, Call] = {}
        # In the order in which they began, which is that in which their time is up.
        self._arriving: dict[int, Call] = {}
        self.outgoing = Outgoing(transport, loop, self._ended, patience.blocked)
        self._restraint = Restraint(self.outgoing)

    def __len__(self) -> int:
        return len(self._open)

    def get(self, stream: int) -> Call | None:
        """The open call of a stream."""
        return self._open.get(stream)

    @property
    def oldest_unfinished_s(self) -> float:
        """When the oldest call began whose message has not come; endless where there is none."""
        return next(iter(self._arriving.values())).began_s if self._arriving else math.inf

    def begin(self, stream: int, head: Head, began_s: float, *, has_ended: bool) -> None:
        """Let a call in, or refuse it."""
        if head.http_status != 200:
            kind = "method_not_allowed" if head.http_status == 405 else "unsupported_media_type"
            self._service.failed(Refused("only calls of gRPC are served here: POST, with Content-Type application/grpc", kind))
            self.outgoing.answer(stream, http_headers(head.http_status), has_ended=has_ended)
            return
        method = self._service.methods.get(head.path, self._service.unserved)
        call = Call(method, stream, head, self._transport, began_s, self._answer)
        self._open[stream] = self._arriving[stream] = call
        try:
            call.admit()
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            self.refuse(call, error)
            self._restraint.refused(self._arriving.values())
            return
        self._restraint.let_in(call, len(self._arriving))
        self._patience.message_begins(began_s)
        if has_ended:
            self.complete(call)

    def complete(self, call: Call) -> None:
        """All that its client sends has come."""
        call.has_ended = True
        if self._arriving.pop(call.stream, None) is None:
            return
        try:
            message = call.message.take()
        except Exception as error:  # noqa: BLE001 - as above
            self.refuse(call, error)
            return
        call.is_busy = True
        call.task = self._loop.create_task(self._serve(call, message))
        self._service.tasks.add(call.task)
        call.task.add_done_callback(partial(self._done, call))

    def refuse(self, call: Call, error: Exception) -> None:
        """End a call with what went wrong."""
        status = self._service.failed(error)
        if self._open.get(call.stream) is call:
            self.outgoing.end(call, trailers(status))

    def reset(self, stream: int) -> None:
        """A call's client does not wait for its answer any more. What has all come is taken in the same."""
        call = self._open.pop(stream, None)
        if call is None:
            return
        self._arriving.pop(stream, None)
        self.outgoing.forget(stream)
        if not call.is_busy:
            call.release()
        elif call.method.lasts and call.task is not None:
            call.task.cancel()
        self._rest()

    def end_slow(self, before_s: float, error: Callable[[], Exception]) -> None:
        """Refuse the calls that began before a time and whose messages have not come."""
        while self.oldest_unfinished_s <= before_s:
            self.refuse(next(iter(self._arriving.values())), error())

    def lose(self) -> None:
        """The connection has ended."""
        for stream in tuple(self._open):
            self.reset(stream)

    async def _serve(self, call: Call, message: bytes) -> None:
        try:
            if call.message.is_compressed:
                message = await self._uncompressed(call, message)
            assert call.serve is not None  # noqa: S101 - it was let in
            answer = await call.serve(message)
        except Exception as error:  # noqa: BLE001 - as above
            self.refuse(call, error)
            return
        if answer is not None:
            call.send(answer)
        if self._open.get(call.stream) is call:
            self.outgoing.end(call, _OK)

    def _answer(self, call: Call, message: bytes) -> None:
        """Send one of a call's answers, if its client waits for it."""
        if self._open.get(call.stream) is call:
            self.outgoing.message(call, message)
            self._patience.answered()

    async def _uncompressed(self, call: Call, message: bytes) -> bytes:
        """Raises Refused, Retryable, MalformedRequest or CallFailed."""
        coding = call.coding
        if coding is None:
            what = "the message is said to be compressed, and grpc-encoding does not say how"
            raise CallFailed(Status(code_pb2.INTERNAL, what), "unsupported_encoding")
        if len(message) <= INLINE_COMPRESSED_BYTES:
            message = decompress(coding, message, call.method.max_bytes)
        else:
            message = await self._service.in_pool(decompress, coding, message, call.method.max_bytes)
        call.grow(len(message))
        return message

    def _done(self, call: Call, task: asyncio.Task[None]) -> None:
        self._service.tasks.discard(task)
        call.is_busy = False
        if self._open.get(call.stream) is call:
            # Its answer waits for its client. Until it is sent, it counts, so that there are not any number of these.
            call.give_back()
        else:
            call.release()

    def _ended(self, call: Call) -> None:
        del self._open[call.stream]
        self._arriving.pop(call.stream, None)
        if not call.is_busy:
            call.release()
        self._patience.answered()
        self._rest()

    def _rest(self) -> None:
        if not self._open:
            self._patience.rests()
