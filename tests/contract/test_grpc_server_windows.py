"""The gRPC server of our own: answers go out as far as the windows of their client allow."""

from __future__ import annotations

from hyperframe.frame import (
    RstStreamFrame,
    SettingsFrame,
)

from collector.receivers.settings import GrpcSettings, Keepalive
from tests.support.grpc_servers import ECHO, Serving, echoes, serving
from tests.support.http2 import (
    Http2Client,
    framed,
)
from tests.support.waiting import until

MESSAGE = b"a message"
INITIAL_WINDOW_SIZE = SettingsFrame.INITIAL_WINDOW_SIZE


async def test_answers_wait_for_the_windows_of_their_client(served: Serving) -> None:
    async with await Http2Client.connect(served.port, settings={INITIAL_WINDOW_SIZE: 0}) as client:
        streams = [client.begin(framed(MESSAGE), path=ECHO) for _ in range(3)]
        await until(lambda: len(served.service.answered) == 3)
        await client.ping()
        assert served.service.open_calls == 3
        client.open_window(5, streams[1])
        client.open_window(100, streams[2])
        reply = await client.reply(streams[2])
        assert reply.data == framed(MESSAGE)
        client.send(SettingsFrame(0, {INITIAL_WINDOW_SIZE: 9}), SettingsFrame(0, {INITIAL_WINDOW_SIZE: 100}))
        for stream in streams[:2]:
            assert (await client.reply(stream)).data == framed(MESSAGE)
        assert not served.service.open_calls


async def test_a_window_may_become_less_than_nothing(served: Serving) -> None:
    async with await Http2Client.connect(served.port, settings={INITIAL_WINDOW_SIZE: 10}) as client:
        stream = client.begin(framed(MESSAGE), path=ECHO)
        await until(lambda: len(served.service.answered) == 1)
        client.send(SettingsFrame(0, {INITIAL_WINDOW_SIZE: 0}))
        client.open_window(10, stream)
        await client.ping()
        client.open_window(4, stream)
        assert (await client.reply(stream)).data == framed(MESSAGE)


async def test_answers_share_the_window_of_their_connection(client: Http2Client) -> None:
    message = bytes(30_000)
    streams = [client.begin(framed(message), path=ECHO) for _ in range(4)]
    for stream in streams[:2]:
        assert (await client.reply(stream)).data == framed(message)
    client.open_window(1)
    client.open_window(60_000)
    for stream in streams[2:]:
        assert (await client.reply(stream)).data == framed(message)


async def test_a_client_may_leave_an_answer_that_waits(served: Serving) -> None:
    async with await Http2Client.connect(served.port, settings={INITIAL_WINDOW_SIZE: 0}) as client:
        stream = client.begin(framed(MESSAGE), path=ECHO)
        await until(lambda: len(served.service.answered) == 1)
        client.send(RstStreamFrame(stream, 8))
        await until(lambda: served.service.holds_nothing)
        client.send(SettingsFrame(0, {INITIAL_WINDOW_SIZE: 1000}))
        assert await echoes(client)


async def test_a_client_that_does_not_open_its_windows_is_left_at_last() -> None:
    async with serving(GrpcSettings(keepalive=Keepalive(timeout_s=0.05))) as served:
        async with await Http2Client.connect(served.port, settings={INITIAL_WINDOW_SIZE: 0}) as client:
            client.begin(framed(MESSAGE), path=ECHO)
            await client.read_to_end()
        assert served.service.holds_nothing
