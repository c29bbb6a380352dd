"""The otlp and otlphttp exporters in front of our own receivers: what arrives, and what becomes of what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector.access import Gate
from collector.errors import Permanent, Retryable
from collector.receivers.settings import GrpcSettings, HttpSettings
from collector.tls import TlsError
from collector.tokens import Tokens
from config.access import TokensExtension
from config.tls import ServerTls
from exporters.dead_letters import DeadLetters
from exporters.send import Sender
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support.batches import numbered, numbers
from tests.support.certificates import Authority
from tests.support.messages import canonical_spans
from tests.support.outlets import Opened, opened
from tests.support.receivers import Receivers, receivers
from tests.support.requests import Shape, every_value_request, generated_request
from tests.support.waiting import until

GRPC, HTTP = "otlp", "otlphttp"
KINDS = pytest.mark.parametrize("kind", [GRPC, HTTP])
TOKEN = "token-0123456789-0123456789"
NAME = "0123456789abcdef01234567-0"
"""As the journal names batches."""
WAYS = [
    (GRPC, {}),
    (GRPC, {"compression": "none", "balancer_name": "pick_first", "wait_for_ready": True, "keepalive": {"time": "10m"}}),
    (HTTP, {}),
    (HTTP, {"compression": "zstd"}),
    (HTTP, {"compression": "none"}),
    (HTTP, {"encoding": "json"}),
]


def endpoint(both: Receivers, kind: str, scheme: str = "http", host: str = "127.0.0.1") -> str:
    return f"{scheme}://{host}:{both.grpc.port if kind == GRPC else both.http.port}"


@asynccontextmanager
async def exporting(both: Receivers, kind: str, directory: Path, keys: dict[str, Any] | None = None) -> AsyncIterator[Opened]:
    async with opened(kind, {"endpoint": endpoint(both, kind), **(keys or {})}, directory) as exporter:
        await exporter.outlet.open()
        yield exporter


def arrived(both: Receivers) -> list[int]:
    return sorted(number for batch in both.consumer.batches for number in numbers(batch))


@pytest.mark.parametrize(("kind", "keys"), WAYS, ids=lambda each: str(each))
async def test_spans_arrive_as_they_were(kind: str, keys: dict[str, Any], tmp_path: Path) -> None:
    sent = [every_value_request(), generated_request(Shape(spans=300, services=3, links_share=0.2))]
    batch = concatenate([decode(request.SerializeToString()).batch for request in sent])
    async with receivers() as both, exporting(both, kind, tmp_path, keys) as exporter:
        delivery = await exporter.outlet.deliver(batch, "a")
        assert delivery.stored.total() == exporter.account.stored_spans == len(batch)
        (came,) = both.consumer.batches
        received = ExportTraceServiceRequest.FromString(encode_request(came))
    assert sorted(canonical_spans(received)) == sorted(span for request in sent for span in canonical_spans(request))


@KINDS
async def test_spans_stay_in_their_workspaces_unless_the_peer_is_not_told(kind: str, tmp_path: Path) -> None:
    batch = concatenate([numbered(10 * at, at + 1, workspace=name) for at, name in enumerate(("default", "shop", "lab"))])
    async with receivers() as both:
        async with exporting(both, kind, tmp_path) as exporter:
            delivery = await exporter.outlet.deliver(batch, "a")
        assert both.consumer.workspaces == {"default": 1, "shop": 2, "lab": 3}
        assert delivery.stored == {"default/numbers": 1, "shop/numbers": 2, "lab/numbers": 3}
        both.consumer.batches.clear()
        async with exporting(both, kind, tmp_path, {"workspace_header": ""}) as exporter:
            await exporter.outlet.deliver(batch, "b")
        assert both.consumer.workspaces == {"default": 6}


@KINDS
async def test_headers_let_in_and_a_caller_who_is_not_let_in_is_not_sent_again(kind: str, tmp_path: Path) -> None:
    tokens = Tokens(
        TokensExtension.model_validate(
            {"tokens": [{"name": "edge", "token": TOKEN, "role": "ingest", "workspaces": ["default"]}]}
        ),
        "tokens",
        lambda: 0.0,
    )
    async with receivers(gate=Gate("ingest", tokens)) as both:
        async with exporting(both, kind, tmp_path, {"headers": {"Authorization": f"Bearer {TOKEN}"}}) as exporter:
            await exporter.outlet.deliver(numbered(0, 3), "a")
        assert arrived(both) == [0, 1, 2]
        async with exporting(both, kind, tmp_path, {"dead_letters": {"enabled": False}}) as exporter:
            await exporter.outlet.deliver(numbered(0, 3), "b")
        assert exporter.account.drops == {"unauthenticated" if kind == GRPC else "http_401": 3}
        assert not exporter.account.retries


@KINDS
async def test_what_a_peer_leaves_out_is_dropped_and_the_rest_is_stored(kind: str, tmp_path: Path) -> None:
    batch = numbered(0, 4)
    data = batch.data.copy()
    # Ids that no span may have, which cannot come into a batch over the wire.
    for row in (1, 2):
        data[batch.spans["trace_id_offset"][row] :][:16] = 0
    data.flags.writeable = False
    async with receivers() as both, exporting(both, kind, tmp_path) as exporter:
        delivery = await exporter.outlet.deliver(replace(batch, data=data), "a")
        assert arrived(both) == [0, 3]
    assert (delivery.stored, delivery.dropped) == (
        {"default/numbers": 2},
        {"partial_success": {"default/numbers": 2}},
    )
    assert exporter.account.drops == {"partial_success": 2}
    assert not exporter.account.retries


@KINDS
async def test_a_busy_peer_is_sent_the_same_again(kind: str, tmp_path: Path) -> None:
    async with receivers() as both, exporting(both, kind, tmp_path) as exporter:
        both.consumer.fail_with(Retryable("queue is full", delay_s=1.0))
        delivering = asyncio.create_task(exporter.outlet.deliver(numbered(0, 5), "a"))
        await until(lambda: exporter.account.retries.total() == 1)
        assert "queue is full" in exporter.outlet.trouble
        both.consumer.before = None
        assert isinstance(exporter.outlet, Sender)
        exporter.outlet.hurry()
        assert (await delivering).stored.total() == 5
        assert arrived(both) == [0, 1, 2, 3, 4]
        assert exporter.outlet.trouble == ""
    assert exporter.account.retries == {"unavailable" if kind == GRPC else "http_503": 1}


@KINDS
async def test_spans_that_a_peer_calls_invalid_are_found_and_set_aside(kind: str, tmp_path: Path) -> None:
    def refuse_seven(batch: SpanBatch) -> None:
        if 7 in numbers(batch):
            raise Permanent("seven is not allowed here", "name")

    async with receivers() as both, exporting(both, kind, tmp_path) as exporter:
        both.consumer.before = refuse_seven
        await exporter.outlet.deliver(numbered(0, 20), "a")
        assert arrived(both) == [number for number in range(20) if number != 7]
    (entry,) = DeadLetters(tmp_path, kind, 1 << 20).entries()
    assert (entry.spans, entry.reason) == (1, "invalid_argument" if kind == GRPC else "http_400")
    assert "seven is not allowed here" in entry.error


@KINDS
async def test_one_invalid_span_among_thousands_is_set_aside_alone_however_long_the_name_of_its_workspace(
    kind: str, tmp_path: Path
) -> None:
    def refuse_seven(batch: SpanBatch) -> None:
        if 7 in numbers(batch):
            raise Permanent("seven is not allowed here", "name")

    workspace = "w" * 64
    async with receivers() as both, exporting(both, kind, tmp_path) as exporter:
        both.consumer.before = refuse_seven
        await exporter.outlet.deliver(numbered(0, 8192, workspace=workspace), NAME)
        assert arrived(both) == [number for number in range(8192) if number != 7]
        assert {name for batch in both.consumer.batches for name in batch.workspaces} == {workspace}
    (entry,) = DeadLetters(tmp_path, kind, 1 << 20).entries()
    assert (entry.spans, entry.workspace) == (1, workspace)
    assert exporter.account.drops == {}


@KINDS
async def test_a_peer_that_takes_smaller_requests_only_gets_them(kind: str, tmp_path: Path) -> None:
    small = 16 << 10
    settings = {"grpc": GrpcSettings(max_request_bytes=small), "http": HttpSettings(max_request_bytes=small)}
    async with receivers(**settings) as both, exporting(both, kind, tmp_path, {"compression": "none"}) as exporter:  # type: ignore[arg-type]  # each under its own name
        await exporter.outlet.deliver(numbered(0, 1000), "a")
        assert arrived(both) == list(range(1000))
        assert len(both.consumer.batches) > 1
    assert not exporter.account.aside


@KINDS
async def test_a_peer_that_does_not_answer_is_asked_again(kind: str, tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with receivers() as both, exporting(both, kind, tmp_path, {"timeout": "100ms"}) as exporter:
        both.consumer.before = lambda _: gate.wait()
        delivering = asyncio.create_task(exporter.outlet.deliver(numbered(0, 2), "a"))
        await until(lambda: exporter.account.retries["timeout"] >= 1)
        gate.set()
        assert (await delivering).stored.total() == 2
        # What the peer had taken without a word is there twice: OTLP has no names for requests.
        assert set(arrived(both)) == {0, 1}


@KINDS
async def test_spans_wait_for_a_peer_that_is_not_there(kind: str, tmp_path: Path) -> None:
    async with receivers() as gone:
        where = endpoint(gone, kind)
    async with opened(kind, {"endpoint": where}, tmp_path) as exporter:
        delivering = asyncio.create_task(exporter.outlet.deliver(numbered(0, 2), "a"))
        await until(lambda: exporter.account.retries.total() >= 2)
        assert not delivering.done()
        assert exporter.outlet.trouble
        delivering.cancel()
    assert set(exporter.account.retries) == {"unavailable" if kind == GRPC else "unreachable"}
    assert (exporter.account.drops, exporter.account.aside) == ({}, {})


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def quiet_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handshakes that fail on purpose are no news."""
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")


@KINDS
async def test_net_07_a_peer_is_known_by_its_certificate_and_knows_us_by_ours(
    kind: str, authority: Authority, tmp_path: Path, quiet_grpc: None
) -> None:
    server, client = authority.issue("127.0.0.1", file="server"), authority.issue("edge", file="client")
    tls = ServerTls(**server.settings, client_ca_file=str(authority.file))
    trusted = {"ca_file": str(authority.file), **client.settings}
    stranger = {"ca_file": str(Authority(tmp_path, "stranger").file), **client.settings}
    async with receivers(grpc=GrpcSettings(tls=tls), http=HttpSettings(linger_s=0.1, tls=tls)) as both:
        where = {"endpoint": endpoint(both, kind, "https")}
        async with exporting(both, kind, tmp_path, {**where, "tls": trusted}) as exporter:
            await exporter.outlet.deliver(numbered(0, 3), "a")
        assert arrived(both) == [0, 1, 2]
        for without in ({"ca_file": str(authority.file)}, stranger):
            async with exporting(both, kind, tmp_path, {**where, "tls": without}) as exporter:
                delivering = asyncio.create_task(exporter.outlet.deliver(numbered(3, 1), "b"))
                await until(lambda: exporter.account.retries.total() >= 1)
                delivering.cancel()
    assert arrived(both) == [0, 1, 2]


@KINDS
async def test_the_name_in_the_certificate_may_be_another(kind: str, authority: Authority, tmp_path: Path) -> None:
    identity = authority.issue("collector.example.com", file="server")
    tls = ServerTls(**identity.settings)
    keys = {"ca_file": str(authority.file), "server_name_override": "collector.example.com"}
    async with receivers(grpc=GrpcSettings(tls=tls), http=HttpSettings(linger_s=0.1, tls=tls)) as both:
        async with exporting(both, kind, tmp_path, {"endpoint": endpoint(both, kind, "https"), "tls": keys}) as exporter:
            await exporter.outlet.deliver(numbered(0, 3), "a")
        assert arrived(both) == [0, 1, 2]


@KINDS
async def test_new_files_count_from_the_next_connection_on(
    kind: str, authority: Authority, tmp_path: Path, quiet_grpc: None
) -> None:
    tls = ServerTls(**authority.issue("127.0.0.1", file="server").settings)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(Authority(tmp_path, "stranger").cert)
    keys = {"ca_file": str(trusted), "reload_interval": "1ms"}
    async with receivers(grpc=GrpcSettings(tls=tls), http=HttpSettings(linger_s=0.1, tls=tls)) as both:
        async with exporting(both, kind, tmp_path, {"endpoint": endpoint(both, kind, "https"), "tls": keys}) as exporter:
            delivering = asyncio.create_task(exporter.outlet.deliver(numbered(0, 3), "a"))
            await until(lambda: exporter.account.retries.total() >= 1)
            trusted.write_bytes(authority.cert)
            assert (await delivering).stored.total() == 3
        assert arrived(both) == [0, 1, 2]


@KINDS
async def test_files_that_cannot_be_used_are_told_by_their_key(kind: str, tmp_path: Path) -> None:
    keys = {"endpoint": "https://127.0.0.1:4317", "tls": {"ca_file": str(tmp_path / "missing.pem")}}
    with pytest.raises(TlsError, match=rf"exporters\.{kind}\.tls\.ca_file: cannot read .*missing\.pem"):
        async with opened(kind, keys, tmp_path):
            pass


async def test_an_answer_is_read_to_its_end_but_not_without_end(tmp_path: Path) -> None:
    partly = ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="x" * 5000))
    sent: list[bytes] = [partly.SerializeToString()]

    async def answer_slowly(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "application/x-protobuf"})
        await response.prepare(request)
        for body in sent:
            for at in range(0, len(body), 1000):
                await response.write(body[at : at + 1000])
                await asyncio.sleep(0)
        return response

    application = web.Application()
    application.router.add_post("/v1/traces", answer_slowly)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with opened(HTTP, {"endpoint": f"http://127.0.0.1:{runner.addresses[0][1]}"}, tmp_path) as exporter:
            delivery = await exporter.outlet.deliver(numbered(0, 3), "a")
            assert delivery.dropped == {"partial_success": {"default/numbers": 1}}
            sent[:] = [b"\x00" * (1 << 20)]
            assert (await exporter.outlet.deliver(numbered(0, 3), "b")).stored.total() == 3
    finally:
        await runner.cleanup()


@KINDS
async def test_what_is_on_its_way_when_files_change_is_not_sent_again(kind: str, authority: Authority, tmp_path: Path) -> None:
    tls = ServerTls(**authority.issue("127.0.0.1", file="server").settings)
    keys = {"ca_file": str(authority.file), "reload_interval": "1ms"}
    gate = asyncio.Event()
    async with receivers(grpc=GrpcSettings(tls=tls), http=HttpSettings(linger_s=0.1, tls=tls)) as both:
        async with exporting(both, kind, tmp_path, {"endpoint": endpoint(both, kind, "https"), "tls": keys}) as exporter:
            both.consumer.before = lambda batch: gate.wait() if numbers(batch) == [1] else None
            first = asyncio.create_task(exporter.outlet.deliver(numbered(1), "a"))
            await until(lambda: both.in_flight.held_bytes > 0)
            authority.file.write_bytes(authority.cert + b"\n")
            assert (await exporter.outlet.deliver(numbered(2), "b")).stored.total() == 1
            gate.set()
            assert (await first).stored.total() == 1
        assert arrived(both) == [1, 2]
    assert not exporter.account.retries
