"""Receiver contract, NET-09 to NET-17: the life of connections and of the servers themselves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import aiohttp
import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from collector.receivers.grpc_server.connection import Connection
from collector.receivers.in_flight import InFlight
from collector.receivers.intake import Intake
from collector.receivers.listen import ListenError
from collector.receivers.otlp_grpc import SERVICE, OtlpGrpcServer
from collector.receivers.otlp_http import OtlpHttpServer
from collector.receivers.settings import GrpcSettings, HttpSettings, Keepalive
from proto.spans import SpanBatch
from tests.support.http2 import ENHANCE_YOUR_CALM, EXPORT, Http2Client, framed
from tests.support.receivers import V1, Counts, ListConsumer, Receivers, post, raw_http, read_reply, receivers
from tests.support.waiting import until


async def test_net_09_both_servers_listen_on_unix_sockets_and_remove_them(tmp_path: Path) -> None:
    grpc_path, http_path = str(tmp_path / "grpc.sock"), str(tmp_path / "http.sock")
    async with receivers(grpc=GrpcSettings(unix_path=grpc_path), http=HttpSettings(unix_path=http_path)) as both:
        async with grpc.aio.insecure_channel(f"unix://{grpc_path}") as channel:
            assert await channel.unary_unary(EXPORT)(V1) == b""
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(http_path)) as session,
            session.post("http://collector.test/v1/traces", data=V1, headers={"Content-Type": "application/x-protobuf"}) as reply,
        ):
            assert reply.status == 200
        assert both.consumer.spans == 2
    assert not names_in(tmp_path)


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_net_09_a_stale_socket_is_removed_at_start(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("grpc.sock", "http.sock")]
    for path in paths:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
    async with receivers(grpc=GrpcSettings(unix_path=paths[0]), http=HttpSettings(unix_path=paths[1])) as both:
        async with grpc.aio.insecure_channel(f"unix://{paths[0]}") as channel:
            assert await channel.unary_unary(EXPORT)(V1) == b""
        assert both.consumer.spans == 1


async def test_net_09_a_socket_in_use_and_a_file_are_left_alone(tmp_path: Path) -> None:
    taken, file = tmp_path / "taken.sock", tmp_path / "file"
    file.touch()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(taken))
        other.listen()
        for path in (taken, file):
            with pytest.raises(ListenError, match=str(path)):
                await new_grpc(GrpcSettings(unix_path=str(path))).start()
            with pytest.raises(ListenError, match=str(path)):
                await new_http(HttpSettings(unix_path=str(path))).start()
            assert path.exists()


def new_grpc(settings: GrpcSettings) -> OtlpGrpcServer:
    return OtlpGrpcServer(settings, Intake(ListConsumer(), Counts(), ThreadPoolExecutor(1), "grpc"), InFlight(1 << 20))


def new_http(settings: HttpSettings) -> OtlpHttpServer:
    return OtlpHttpServer(settings, Intake(ListConsumer(), Counts(), ThreadPoolExecutor(1), "http"), InFlight(1 << 20))


async def test_net_16_a_port_in_use_fails_the_start_with_address_and_remedy() -> None:
    async with receivers() as both:
        with pytest.raises(ListenError, match=rf"127.0.0.1:{both.grpc.port}: it is in use.*change .*grpc.endpoint"):
            await new_grpc(GrpcSettings("127.0.0.1", both.grpc.port)).start()
        with pytest.raises(ListenError, match=rf"127.0.0.1:{both.http.port}: it is in use.*change .*http.endpoint"):
            await new_http(HttpSettings("127.0.0.1", both.http.port)).start()


async def test_net_16_a_stopped_server_leaves_its_port_free() -> None:
    async with receivers() as both:
        port = both.grpc.port
        await both.grpc.stop(0)
        again = new_grpc(GrpcSettings("127.0.0.1", port))
        await again.start()
        await again.stop(0)


async def test_net_10_a_peer_that_pings_too_often_is_told_to_go_away() -> None:
    async with receivers() as both, await Http2Client.connect(both.grpc.port) as client:
        assert (await client.call(framed(V1))).grpc_status == 0
        for _ in range(10):
            if client.go_away_code is None:
                await client.ping()
        assert await client.go_away() == ENHANCE_YOUR_CALM


async def test_net_10_a_lower_minimum_lets_peers_ping() -> None:
    keepalive = Keepalive(min_time_s=0.0, permit_without_stream=True)
    async with receivers(grpc=GrpcSettings(keepalive=keepalive)) as both, await Http2Client.connect(both.grpc.port) as client:
        for _ in range(10):
            await client.ping()
        assert (await client.call(framed(V1))).grpc_status == 0


async def test_net_11_an_old_grpc_connection_is_told_to_go_away_and_its_call_finishes() -> None:
    keepalive = Keepalive(max_connection_age_s=0.2, max_connection_age_grace_s=10)
    async with receivers(grpc=GrpcSettings(keepalive=keepalive)) as both, await Http2Client.connect(both.grpc.port) as client:
        gate = asyncio.Event()
        both.consumer.before = lambda _: gate.wait()
        stream = client.begin(framed(V1))
        await client.go_away()
        gate.set()
        assert (await client.reply(stream)).grpc_status == 0


async def test_net_11_a_call_that_crosses_the_goaway_is_taken_and_one_behind_the_last_goaway_is_not() -> None:
    keepalive = Keepalive(max_connection_age_s=0.2, max_connection_age_grace_s=10)
    async with receivers(grpc=GrpcSettings(keepalive=keepalive)) as both, await Http2Client.connect(both.grpc.port) as client:
        gate = asyncio.Event()
        both.consumer.before = lambda _: gate.wait()
        first = client.begin(framed(V1))
        await client.go_away()
        crossing = client.begin(framed(V1))
        while client.last_stream_taken != crossing:
            await client.receive()
        client.begin(framed(V1))
        client.go_away_code = None
        await client.ping()
        gate.set()
        assert (await client.reply(first)).grpc_status == 0
        assert (await client.reply(crossing)).grpc_status == 0
        await client.read_to_end()
    assert both.consumer.spans == 2


async def test_net_11_a_peer_that_does_not_answer_pings_is_left_all_the_same() -> None:
    keepalive = Keepalive(max_connection_age_s=0.2, timeout_s=0.2)
    async with receivers(grpc=GrpcSettings(keepalive=keepalive)) as both, await Http2Client.connect(both.grpc.port) as client:
        client.answers = False
        assert (await client.call(framed(V1))).grpc_status == 0
        await client.read_to_end()
        assert client.go_away_code == 0


async def test_net_15_a_connection_that_has_not_said_anything_does_not_hold_up_a_stop() -> None:
    async with receivers() as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.grpc.port)
        async with await Http2Client.connect(both.grpc.port) as client:
            assert (await client.call(framed(V1))).grpc_status == 0
        async with asyncio.timeout(10):
            await both.grpc.stop(60)
        assert await reader.read() == b""
        writer.close()


async def test_net_11_an_old_grpc_connection_without_grace_is_told_once_and_then_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Connection] = []
    leave = Connection.leave

    def count(connection: Connection) -> None:
        told.append(connection)
        leave(connection)

    monkeypatch.setattr(Connection, "leave", count)
    keepalive = Keepalive(max_connection_age_s=0.2, min_time_s=0.0)
    async with receivers(grpc=GrpcSettings(keepalive=keepalive)) as both, await Http2Client.connect(both.grpc.port) as client:
        gate = asyncio.Event()
        both.consumer.before = lambda _: gate.wait()
        stream = client.begin(framed(V1))
        await client.go_away()
        client.go_away_code = None
        for _ in range(3):
            await client.ping()
        assert len(told) == 1
        gate.set()
        assert (await client.reply(stream)).grpc_status == 0


async def test_net_11_an_old_http_connection_is_closed_after_its_answer() -> None:
    async with receivers(http=HttpSettings(max_connection_age_s=0.0)) as both:
        reply = await raw_http(both.http.port, post(V1))
        assert (reply.status, reply.headers["connection"]) == (200, "close")


async def test_net_11_a_young_http_connection_stays_open() -> None:
    async with receivers(http=HttpSettings(max_connection_age_s=600.0)) as both:
        assert "connection" not in (await raw_http(both.http.port, post(V1))).headers


def test_net_12_idle_connections_outlive_the_reuse_windows_of_clients() -> None:
    assert (HttpSettings().idle_timeout_s or 0) > 90


async def test_net_13_time_limits_can_be_switched_off() -> None:
    settings = HttpSettings(header_timeout_s=None, body_timeout_s=None, idle_timeout_s=None)
    async with receivers(http=settings) as both:
        assert (await raw_http(both.http.port, post(V1))).status == 200


async def test_net_12_an_idle_connection_is_closed_at_last() -> None:
    async with receivers(http=HttpSettings(idle_timeout_s=0.05)) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
        writer.write(post(V1))
        assert (await read_reply(reader)).status == 200
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("earlier_requests", [0, 1])
async def test_net_13_a_head_that_does_not_end_closes_the_connection(earlier_requests: int) -> None:
    async with receivers(http=HttpSettings(header_timeout_s=0.1)) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
        for _ in range(earlier_requests):
            writer.write(post(V1))
            assert (await read_reply(reader)).status == 200
        writer.write(b"POST /v1/traces HTTP/1.1\r\nHost: coll")
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


async def test_net_13_a_slow_consumer_does_not_count_as_a_slow_head() -> None:
    async with receivers(http=HttpSettings(header_timeout_s=0.02)) as both:
        gate = asyncio.Event()
        both.consumer.before = lambda _: gate.wait()
        answer = asyncio.create_task(raw_http(both.http.port, post(V1)))
        done, _ = await asyncio.wait([answer], timeout=0.1)
        assert not done
        gate.set()
        assert (await answer).status == 200


async def test_net_13_a_body_that_does_not_end_is_408() -> None:
    async with receivers(http=HttpSettings(body_timeout_s=0.1, linger_s=0.1)) as both:
        reply = await raw_http(both.http.port, post(V1)[:-1])
        assert (reply.status, reply.headers["connection"]) == (408, "close")
        assert not both.consumer.batches
        assert both.in_flight.held_bytes == 0


async def test_net_13_half_open_bodies_do_not_stop_other_requests() -> None:
    async with receivers() as both:
        half_open = [await asyncio.open_connection("127.0.0.1", both.http.port) for _ in range(200)]
        for _, writer in half_open:
            writer.write(post(V1).replace(b"Length: 57", b"Length: 60000000"))
        assert (await raw_http(both.http.port, post(V1))).status == 200
        for _, writer in half_open:
            writer.close()
        await until(lambda: both.in_flight.held_bytes == 0)


async def test_net_13_the_number_of_connections_is_bounded() -> None:
    async with receivers(http=HttpSettings(max_connections=2)) as both:
        kept = [await asyncio.open_connection("127.0.0.1", both.http.port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        for reader, writer in kept:
            writer.write(post(V1))
            assert (await read_reply(reader)).status == 200
            writer.close()


async def test_net_14_health_turns_to_not_serving_before_the_server_stops() -> None:
    async with receivers() as both, grpc.aio.insecure_channel(f"127.0.0.1:{both.grpc.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        unknown = health.Watch(health_pb2.HealthCheckRequest(service="other"))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert (await unknown.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        gate = asyncio.Event()
        both.consumer.before = lambda _: gate.wait()
        waiting = asyncio.create_task(export(both))
        await until(lambda: both.in_flight.held_bytes > 0)
        stopping = asyncio.create_task(both.grpc.stop(60))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not waiting.done()
        gate.set()
        async with asyncio.timeout(20):
            assert await waiting == b""
            await stopping


async def export(both: Receivers) -> bytes:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{both.grpc.port}") as channel:
        answer: bytes = await channel.unary_unary(EXPORT)(V1)
        return answer


async def under_load(both: Receivers) -> tuple[asyncio.Event, asyncio.Task[bytes], asyncio.Task[int]]:
    """A gate, and one call on each transport that waits behind it."""
    gate = asyncio.Event()
    both.consumer.before = lambda _: gate.wait()

    async def call_http() -> int:
        reply = await raw_http(both.http.port, post(V1))
        assert reply.headers["connection"] == "close"
        return reply.status

    calls = asyncio.create_task(export(both)), asyncio.create_task(call_http())
    await until(lambda: both.in_flight.held_bytes == 2 * len(V1))
    return gate, *calls


async def test_net_15_calls_in_flight_are_answered_and_later_ones_refused() -> None:
    async with receivers() as both:
        gate, grpc_call, http_call = await under_load(both)
        stopping = asyncio.gather(both.grpc.stop(10), both.http.stop(10))
        await until(lambda: refuses(both.http.port) and refuses(both.grpc.port))
        gate.set()
        assert await grpc_call == b""
        assert await http_call == 200
        await stopping
        assert both.consumer.spans == 2


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("grace_s", [0, 0.05])
async def test_net_15_nothing_is_taken_after_the_deadline_of_the_stop(grace_s: float) -> None:
    async with receivers() as both:
        gate, grpc_call, http_call = await under_load(both)
        await asyncio.gather(both.grpc.stop(grace_s), both.http.stop(grace_s))
        gate.set()
        results = await asyncio.gather(grpc_call, http_call, return_exceptions=True)
        assert all(isinstance(result, Exception) for result in results)
        assert both.consumer.spans == 0
        assert both.in_flight.held_bytes == 0


async def test_net_15_idle_connections_do_not_hold_up_the_stop() -> None:
    async with receivers() as both, await Http2Client.connect(both.grpc.port) as client:
        assert (await client.call(framed(V1))).grpc_status == 0
        reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
        writer.write(post(V1))
        assert (await read_reply(reader)).status == 200
        async with asyncio.timeout(20), asyncio.TaskGroup() as stopping:
            stopping.create_task(both.grpc.stop(60))
            stopping.create_task(both.http.stop(60))
            await client.read_to_end()
        writer.close()


async def test_stop_before_start_is_harmless() -> None:
    await new_grpc(GrpcSettings()).stop(1)
    await new_http(replace(HttpSettings(), port=0)).stop(1)


async def test_net_13_a_grpc_call_whose_message_does_not_come_is_ended() -> None:
    async with (
        receivers(grpc=GrpcSettings(body_timeout_s=0.05)) as both,
        grpc.aio.insecure_channel(f"127.0.0.1:{both.grpc.port}") as channel,
    ):
        call = channel.stream_unary(EXPORT)(timeout=10)
        assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert both.counts.failed_requests == {"slow_body": 1}
        assert await channel.unary_unary(EXPORT)(V1, timeout=10) == b""


async def test_net_13_only_so_many_grpc_calls_are_in_flight() -> None:
    async with (
        receivers(grpc=GrpcSettings(max_calls=2)) as both,
        grpc.aio.insecure_channel(f"127.0.0.1:{both.grpc.port}") as channel,
    ):
        held, gate = [], asyncio.Event()

        def hold(batch: SpanBatch) -> Awaitable[object]:
            held.append(batch)
            return gate.wait()

        both.consumer.before = hold
        export = channel.unary_unary(EXPORT)
        calls = [export(V1, timeout=10) for _ in range(2)]
        await until(lambda: len(held) == 2)
        assert await export(V1, timeout=10).code() is grpc.StatusCode.UNAVAILABLE
        gate.set()
        assert [await call for call in calls] == [b"", b""]
        assert await export(V1, timeout=10) == b""
