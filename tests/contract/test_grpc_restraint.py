"""What clients send while their calls are refused: heads without messages, and nothing is lost or stuck when they are let in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from random import Random

import grpc
import grpc.aio
import pytest

from collector.errors import Retryable
from tests.support.batches import numbered
from tests.support.http2 import EXPORT
from tests.support.receivers import Receivers, receivers

LARGE_SPANS = 2000
UNLIMITED = (("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1))


class Relay:
    """Passes bytes between clients and a server, and counts those of the clients."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.sent = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one connection."""
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass_on(reader, onward_writer, counts=True))
                ways.create_task(self._pass_on(onward_reader, writer, counts=False))
        finally:
            writer.close()
            onward_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool) -> None:
        with suppress(ConnectionError):
            while part := await reader.read(1 << 16):
                self.sent += len(part) if counts else 0
                writer.write(part)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def relayed(both: Receivers) -> AsyncIterator[tuple[Relay, grpc.aio.Channel]]:
    """A channel to the gRPC receiver, and what counts its bytes."""
    relay = Relay(both.grpc.port)
    async with await asyncio.start_server(relay.serve, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", UNLIMITED) as channel:
            yield relay, channel


def refuse() -> None:
    """Nothing is taken at the moment."""
    raise Retryable("the queue is full")


async def status_of(channel: grpc.aio.Channel, body: bytes) -> grpc.StatusCode:
    return await channel.unary_unary(EXPORT)(body, timeout=20).code()


async def test_a_client_whose_calls_are_refused_sends_heads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    body = numbered(0, LARGE_SPANS).data.tobytes()
    async with receivers() as both, relayed(both) as (relay, channel):
        monkeypatch.setattr(both.consumer, "check_open", refuse)
        assert await status_of(channel, body) is grpc.StatusCode.UNAVAILABLE
        before = relay.sent
        for _ in range(20):
            assert await status_of(channel, body) is grpc.StatusCode.UNAVAILABLE
        assert relay.sent - before < len(body)
        monkeypatch.undo()
        for _ in range(40):
            assert await status_of(channel, body) is grpc.StatusCode.OK
        assert both.consumer.spans == 40 * LARGE_SPANS
        assert both.in_flight.held_bytes == 0


@pytest.mark.parametrize("seed", range(4))
async def test_calls_of_all_sizes_come_through_while_others_are_refused(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)

    def refuse_some(share: float) -> None:
        if random.random() < share:
            refuse()

    async def send(first: int) -> int:
        spans = random.choice((1, 10, 300, LARGE_SPANS))
        body = numbered(first, spans).data.tobytes()
        while await status_of(channel, body) is not grpc.StatusCode.OK:
            pass
        return spans

    async with receivers() as both, relayed(both) as (_, channel):
        sent = 0
        # Nobody is refused at first and at last, so that clients are restrained, let go, and restrained again.
        for share in (0.0, 0.5, 0.02, 0.9, 0.0, 0.1, 0.0):
            monkeypatch.setattr(both.consumer, "check_open", partial(refuse_some, share))
            sent += sum(await asyncio.gather(*(send(number) for number in range(24))))
        assert both.consumer.spans == sent
        assert both.in_flight.held_bytes == 0
