"""The gRPC server of our own: how long connections and calls live, and that they leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import random
from pathlib import Path

import pytest
from hyperframe.frame import (
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from collector.errors import Retryable
from collector.receivers.grpc_server.call import Call
from collector.receivers.settings import GrpcSettings, Keepalive
from config.tls import ServerTls
from tests.support.certificates import Authority
from tests.support.grpc_servers import ECHO, MOST_CALLS, WATCH, Serving, echoes, serving
from tests.support.http2 import (
    PREFACE,
    REFUSED_STREAM,
    Http2Client,
    framed,
)
from tests.support.waiting import until

MESSAGE = b"a message"
LARGE = random.Random(1).randbytes(300_000)
INITIAL_WINDOW_SIZE = SettingsFrame.INITIAL_WINDOW_SIZE


async def test_more_streams_than_are_allowed_are_refused() -> None:
    async with serving(GrpcSettings(max_concurrent_streams=2)) as served, await Http2Client.connect(served.port) as client:
        served.service.gate.clear()
        streams = [client.begin(framed(MESSAGE), path=ECHO) for _ in range(3)]
        assert (await client.reply(streams[2])).reset_code == REFUSED_STREAM
        assert client.settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 2
        served.service.gate.set()
        for stream in streams[:2]:
            assert (await client.reply(stream)).grpc_status == 0
        assert await echoes(client)


async def test_calls_count_until_their_answers_are_sent(served: Serving) -> None:
    async with await Http2Client.connect(served.port, settings={INITIAL_WINDOW_SIZE: 0}) as client:
        for _ in range(MOST_CALLS):
            client.begin(framed(MESSAGE), path=ECHO)
        await until(lambda: len(served.service.answered) == MOST_CALLS)
        await until(lambda: not served.service.in_flight.held_bytes)
        async with await Http2Client.connect(served.port) as other:
            assert (await other.call(framed(MESSAGE), path=ECHO)).grpc_status == 14
            client.send(SettingsFrame(0, {INITIAL_WINDOW_SIZE: 100}))
            await until(lambda: served.service.holds_nothing)
            assert await echoes(other)


async def test_a_dead_peer_is_pinged_and_left() -> None:
    keepalive = Keepalive(time_s=0.05, timeout_s=0.05)
    async with serving(GrpcSettings(keepalive=keepalive)) as served, await Http2Client.connect(served.port) as client:
        assert await echoes(client)
        client.answers = False
        await client.read_to_end()
        assert client.go_away_code is None


async def test_a_live_peer_is_pinged_and_kept() -> None:
    keepalive = Keepalive(time_s=0.01, timeout_s=1)
    async with serving(GrpcSettings(keepalive=keepalive)) as served, await Http2Client.connect(served.port) as client:
        while client.pings < 2:
            await client.receive()
        assert await echoes(client)


async def test_an_idle_connection_is_told_to_go_away_and_closed_but_none_with_a_call() -> None:
    keepalive = Keepalive(max_connection_idle_s=0.3)
    async with serving(GrpcSettings(keepalive=keepalive)) as served, await Http2Client.connect(served.port) as client:
        served.service.gate.clear()
        stream = client.begin(framed(MESSAGE), path=ECHO)
        await until(lambda: served.service.open_calls == 1)
        async with await Http2Client.connect(served.port) as idle:
            assert await idle.go_away() == 0
            await idle.read_to_end()
        assert client.go_away_code is None
        served.service.gate.set()
        assert (await client.reply(stream)).grpc_status == 0
        assert await client.go_away() == 0
        await client.read_to_end()


async def test_an_old_connection_that_does_not_end_is_closed_after_its_grace() -> None:
    keepalive = Keepalive(max_connection_age_s=0.3, max_connection_age_grace_s=0.05)
    async with serving(GrpcSettings(keepalive=keepalive)) as served, await Http2Client.connect(served.port) as client:
        served.service.gate.clear()
        client.begin(framed(MESSAGE), path=ECHO)
        await client.read_to_end()
        assert client.go_away_code == 0
        served.service.gate.set()
        await until(lambda: served.service.holds_nothing)


async def test_calls_after_the_last_go_away_are_not_looked_at_and_earlier_ones_finish() -> None:
    keepalive = Keepalive(max_connection_age_s=0.5)
    async with serving(GrpcSettings(keepalive=keepalive)) as served, await Http2Client.connect(served.port) as client:
        served.service.gate.clear()
        stream = client.begin(framed(MESSAGE), path=ECHO, whole=False)
        await until(lambda: served.service.open_calls == 1)
        assert await client.go_away() == 0
        while client.last_stream_taken != stream:
            await client.receive()
        late = client.begin(framed(MESSAGE), path=ECHO)
        client.send(RstStreamFrame(late, 8), WindowUpdateFrame(late, 1))
        client.end(stream)
        served.service.gate.set()
        assert (await client.reply(stream)).grpc_status == 0
        await client.read_to_end()
        assert served.service.answered == [MESSAGE]


async def test_a_connection_that_does_not_speak_is_closed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.receivers.grpc_server.patience.HANDSHAKE_TIMEOUT_S", 0.05)
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(PREFACE[:-1])
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        assert served.service.failures == {"slow_head": 1}


async def test_a_message_that_does_not_come_is_refused_and_others_are_not() -> None:
    async with serving(message_timeout_s=0.05) as served, await Http2Client.connect(served.port) as client:
        slow = [client.begin(framed(MESSAGE)[:at], path=ECHO, whole=False) for at in (0, 3, 7)]
        assert await echoes(client)
        for stream in slow:
            assert (await client.reply(stream)).grpc_status == 9
        assert served.service.failures == {"slow_body": 3}
        assert await echoes(client)


async def test_more_connections_than_are_allowed_are_closed_and_counted() -> None:
    async with serving(GrpcSettings(max_connections=1)) as served, await Http2Client.connect(served.port) as client:
        assert await echoes(client)
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        assert served.service.failures == {"unavailable": 1}
        assert await echoes(client)
        client.close()
        await until(lambda: can_connect(served.port))


async def can_connect(port: int) -> bool:
    async with await Http2Client.connect(port) as client:
        try:
            return await echoes(client)
        except (asyncio.IncompleteReadError, ConnectionError):
            return False


async def test_a_call_that_lasts_ends_when_its_client_leaves(served: Serving, client: Http2Client) -> None:
    streams = [client.begin(framed(MESSAGE), path=WATCH) for _ in range(2)]
    while not all(client.so_far(stream).data for stream in streams):
        await client.receive()
    client.send(RstStreamFrame(streams[0], 8))
    await until(lambda: served.service.open_calls == 1)
    client.close()
    await until(lambda: served.service.holds_nothing)


async def test_what_has_come_is_taken_in_though_its_connection_has_ended(served: Serving, client: Http2Client) -> None:
    served.service.gate.clear()
    client.begin(framed(MESSAGE), path=ECHO)
    client.begin(framed(MESSAGE), path=ECHO, whole=False)
    await until(lambda: len(served.service.answered) == 1)
    client.close()
    await until(lambda: served.service.open_calls == 1)
    assert served.service.in_flight.held_bytes == len(MESSAGE)
    served.service.gate.set()
    await until(lambda: served.service.holds_nothing)


async def test_an_idle_limit_forgets_connections_that_end_with_calls() -> None:
    keepalive = Keepalive(max_connection_idle_s=0.05)
    async with serving(GrpcSettings(keepalive=keepalive)) as served:
        async with await Http2Client.connect(served.port) as client:
            client.begin(framed(MESSAGE), path=ECHO, whole=False)
            await until(lambda: served.service.open_calls == 1)
        await until(lambda: served.service.holds_nothing)
        async with await Http2Client.connect(served.port) as other:
            await other.read_to_end()  # it came later: whatever the first had left to do is due


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_all_of_it_goes_over_tls_too(authority: Authority) -> None:
    tls = ServerTls(**authority.issue("127.0.0.1", file="server").settings)
    context = authority.client_context()
    context.set_alpn_protocols(["h2"])
    async with serving(GrpcSettings(tls=tls)) as served, await Http2Client.connect(served.port, tls=context) as client:
        assert await echoes(client)
        client.open_window(1 << 24)
        stream, block = client.head(path=ECHO)
        client.send(HeadersFrame(stream, block, flags=["END_HEADERS"]), WindowUpdateFrame(stream, 1 << 20))
        client.end(stream, framed(LARGE))
        assert (await client.reply(stream)).data == framed(LARGE)
        last = client.begin(framed(MESSAGE), path=ECHO, whole=False)
        await until(lambda: served.service.open_calls == 1)
        stopping = asyncio.create_task(served.server.stop(60))
        assert await client.go_away() == 0
        client.end(last)
        assert (await client.reply(last)).grpc_status == 0
        await client.read_to_end()
        await stopping


async def test_more_connections_than_are_allowed_are_closed_over_tls(authority: Authority) -> None:
    tls = ServerTls(**authority.issue("127.0.0.1", file="server").settings)
    context = authority.client_context()
    async with (
        serving(GrpcSettings(tls=tls, max_connections=1)) as served,
        await Http2Client.connect(served.port, tls=context) as client,
    ):
        assert await echoes(client)
        async with await Http2Client.connect(served.port, tls=context) as other:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await other.receive()
        assert await echoes(client)


async def test_nothing_of_a_call_waits_for_somebody_to_collect_garbage() -> None:
    async with serving() as served, await Http2Client.connect(served.port) as client:
        gc.collect()
        gc.disable()
        try:
            await client.call(framed(MESSAGE), path=ECHO)
            served.service.failure = Retryable("later")
            await client.call(framed(MESSAGE), path=ECHO)
            served.service.failure = None
            client.begin(framed(MESSAGE), path=ECHO, whole=False)
            stream = client.begin(framed(MESSAGE), path=WATCH)
            while not client.so_far(stream).data:
                await client.receive()
            client.send(RstStreamFrame(stream, 8), RstStreamFrame(stream - 2, 8))
            await until(lambda: served.service.holds_nothing)
            # Some libraries' objects do not bear to be asked what they are an instance of.
            assert not [kept for kept in gc.get_objects() if type(kept) is Call]
        finally:
            gc.enable()
