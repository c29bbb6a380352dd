"""Unary calls over gRPC as the requests of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Final, Self

import grpc.aio

from collector.monitor.expectations import Judge
from collector.monitor.load.grpc_lane import Caller, GrpcLane
from collector.monitor.load.lane import Answer, Lane, Owner, PlainAnswer
from collector.monitor.load.message import TraceIds
from collector.monitor.load.plan import GrpcPlan, Plan
from collector.monitor.requests.grpc_channel import NotConnected, connected, open_channel
from collector.monitor.requests.grpc_judge import GrpcJudge
from collector.monitor.requests.grpc_messages import UnaryMethod, files_of
from collector.monitor.requests.grpc_statuses import of_http

_CALLS_PER_CONNECTION: Final = 100
"""Servers allow as many at once, usually."""
_DESCRIBES_WITHIN_S: Final = 10.0


class GrpcSending:
    """Unary calls over connections of which each serves up to a hundred senders; see `sending.Sending`."""

    def __init__(self, judge: GrpcJudge, callers: Sequence[Caller]) -> None:
        self.judge: Judge = judge
        self._callers = callers
        self._next = cycle(callers)
        self._trace_ids = TraceIds()

    @classmethod
    async def opened(cls, plan: Plan, request: GrpcPlan) -> Self:
        """Ask the server what messages are made of, unless the plan says it, and make ready to call.

        Raises:
            ValueError: the call cannot be made; the text says why.
        """
        judge = GrpcJudge(plan.expectations, request.expected_status)
        number = -(-plan.concurrency // _CALLS_PER_CONNECTION)
        channels = [open_channel(plan.addresses, request.authority, plan.tls, plan.server_name) for _ in range(number)]
        try:
            method = await _described(channels[0], request)
            message = method.encode(request.message)
        except BaseException:
            await _close(channels)
            raise
        read: Callable[[bytes], bytes] = method.decode if judge.needs_body else _unread
        return cls(judge, [Caller(each, request.method, message, request.metadata, read) for each in channels])

    def lane(self, owner: Owner) -> Lane:
        """See Sending."""
        return GrpcLane(owner, self._trace_ids, next(self._next))

    def error(self, status: int, message: str) -> Answer:
        """See Sending."""
        return PlainAnswer(of_http(status), b"", message)

    async def close(self) -> None:
        """End the connections."""
        await _close([caller.channel for caller in self._callers])


async def _described(channel: grpc.aio.Channel, request: GrpcPlan) -> UnaryMethod:
    """The method that is called. Raises ValueError where it cannot be."""
    try:
        async with asyncio.timeout(_DESCRIBES_WITHIN_S):
            if not request.descriptors:
                await connected(channel)
            return UnaryMethod(await files_of(channel, request.method, request.descriptors, request.metadata), request.method)
    except NotConnected as error:
        raise ValueError(str(error)) from None
    except TimeoutError:
        raise ValueError(f"The server has not described itself within {_DESCRIBES_WITHIN_S:g} s.") from None


async def _close(channels: Sequence[grpc.aio.Channel]) -> None:
    await asyncio.gather(*(channel.close() for channel in channels))


def _unread(_: bytes) -> bytes:
    return b""
