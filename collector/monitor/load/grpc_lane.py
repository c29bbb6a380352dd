"""Senders of unary calls over gRPC, many of which share a connection, as clients of gRPC do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import grpc
import grpc.aio

from collector.monitor.load.lane import Lane, Owner, PlainAnswer
from collector.monitor.load.message import TraceIds, span_id_of
from collector.monitor.requests.grpc_channel import NotConnected, connected


class Caller:
    """Makes one call again and again.

    Args:
        channel: over which.
        method: the full name of the service, a slash, and the name of the method.
        message: as protobuf.
        metadata: what is sent beside it; `traceparent` is new each time.
        read: makes JSON of an answer, or whatever is to be kept of it; may raise ValueError.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        method: str,
        message: bytes,
        metadata: Sequence[tuple[str, str]],
        read: Callable[[bytes], bytes],
    ) -> None:
        self.channel = channel
        self._unary = channel.unary_unary(f"/{method}")
        self._message = message
        self._metadata = tuple(metadata)
        self._read = read

    @property
    def is_connected(self) -> bool:
        """Whether a call would be sent at once."""
        return self.channel.get_state() is grpc.ChannelConnectivity.READY

    async def call(self, trace_id: bytes) -> PlainAnswer:
        """Make the call as the beginning of a trace.

        Raises:
            ValueError: the answer cannot be read.
        """
        context = f"00-{trace_id.decode()}-{span_id_of(trace_id).decode()}-01"
        try:
            answer: bytes = await self._unary(self._message, metadata=(*self._metadata, ("traceparent", context)))
        except grpc.aio.AioRpcError as error:
            return PlainAnswer(error.code().value[0], b"", error.details() or "")
        return PlainAnswer(0, self._read(answer), nbytes=len(answer))


class GrpcLane(Lane):
    """Makes one call after another."""

    def __init__(self, owner: Owner, trace_ids: TraceIds, caller: Caller) -> None:
        super().__init__(owner, trace_ids)
        self.answer: PlainAnswer = PlainAnswer()
        self._caller = caller
        self._call: asyncio.Task[None] | None = None

    def _send(self) -> None:
        if not self._caller.is_connected:
            self._is_not_sent_yet()
        self._call = asyncio.create_task(self._make_call())

    def _drop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    async def _make_call(self) -> None:
        try:
            if not self.sent_at or not self._caller.is_connected:
                await connected(self._caller.channel)
            self.sent_at = self.sent_at or time.monotonic_ns()
            answer = await self._caller.call(self.trace_id)
        except NotConnected as error:
            self._end()
            self.owner.failed(self, "connect", str(error))
        except ValueError as error:
            self._end()
            self.owner.failed(self, "malformed", str(error))
        else:
            self._end()
            self.answer = answer
            self.owner.answered(self)

    def _end(self) -> None:
        self._call = None
        self.busy = False
