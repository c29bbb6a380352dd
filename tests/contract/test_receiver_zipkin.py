"""The Zipkin receiver: what reporters send, and what they are told."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from py_zipkin import Encoding, Kind
from py_zipkin.transport import SimpleHTTPTransport
from py_zipkin.zipkin import zipkin_span

from collector.receivers.in_flight import InFlight
from collector.receivers.intake import Intake
from collector.receivers.settings import HttpSettings
from collector.receivers.zipkin_http import PATH, ZipkinHttpServer
from proto.otlp_encode import encode_request
from tests.support.receivers import Counts, ListConsumer, RawReply, post, raw_http
from tests.support.zipkin import EVERY_FIELD, flattened, to_protobuf

JSON = json.dumps([EVERY_FIELD]).encode()
PROTOBUF = to_protobuf([EVERY_FIELD])


@dataclass
class Running:
    """A receiver in front of a consumer that keeps what it is given."""

    consumer: ListConsumer
    counts: Counts
    server: ZipkinHttpServer

    async def send(self, body: bytes, media_type: str | None = "application/json", **headers: str) -> RawReply:
        return await raw_http(self.server.port, post(body, PATH, media_type, **headers))

    @property
    def spans(self) -> list[dict[str, Any]]:
        return [span for batch in self.consumer.batches for span in flattened(encode_request(batch))]


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Running]:
    consumer, counts = ListConsumer(), Counts()
    defaults = HttpSettings(host="127.0.0.1", port=0, traces_url_path=PATH, linger_s=0.1)
    with ThreadPoolExecutor(1) as pool:
        intake = Intake(consumer, counts, pool, "http", "zipkin")
        server = ZipkinHttpServer(replace(defaults, **settings), intake, InFlight(64 << 20))
        await server.start()
        try:
            yield Running(consumer, counts, server)
        finally:
            await server.stop(0)


@pytest.fixture
async def zipkin() -> AsyncIterator[Running]:
    async with running() as started:
        yield started


async def test_json_and_protobuf_are_taken_and_become_the_same(zipkin: Running) -> None:
    for body, media_type, headers in (
        (JSON, "application/json", {}),
        (JSON, "Application/JSON; charset=utf-8", {}),
        (JSON, None, {}),
        (PROTOBUF, "application/x-protobuf", {}),
        (gzip.compress(JSON), "application/json", {"Content_Encoding": "gzip"}),
        (gzip.compress(PROTOBUF), "application/x-protobuf", {"Content_Encoding": "gzip"}),
    ):
        reply = await zipkin.send(body, media_type, **headers)
        assert (reply.status, reply.body) == (202, b"")
    first, *others = zipkin.spans
    assert others == [first] * 5
    assert first["resource"] == {"service.name": "front", "host.name": "front-1"}
    assert (first["status"], first["scope"], first["trace_state"]) == ((2, "boom"), ("http", "1.2"), "a=b")
    assert zipkin.counts.accepted_spans == 6
    assert (await zipkin.send(b"[]")).status == 202


async def test_a_span_that_cannot_be_is_refused_alone_and_named(zipkin: Running) -> None:
    reply = await zipkin.send(json.dumps([EVERY_FIELD, EVERY_FIELD | {"id": "x"}]).encode())
    assert (reply.status, reply.headers["content-type"]) == (202, "text/plain; charset=utf-8")
    assert reply.body == b"[1].id is not an id in hexadecimal digits: its span is refused"
    reply = await zipkin.send(to_protobuf([EVERY_FIELD | {"id": "0"}] * 3), "application/x-protobuf")
    assert reply.body.startswith(b"[0].id is not an id of 8 bytes that are not all zero: its span is refused, and 2 more")
    assert (zipkin.counts.accepted_spans, zipkin.counts.refused_spans) == (1, {"span_id_length": 1, "span_id_zero": 3})


async def test_what_is_not_taken_is_said_in_a_line_of_text(zipkin: Running) -> None:
    for reply, status, text in (
        (await zipkin.send(b"{}"), 400, "it must be a JSON array"),
        (await zipkin.send(b"\x0a\x05a", "application/x-protobuf"), 400, "not a valid list of Zipkin spans"),
        (await zipkin.send(JSON, "application/x-thrift"), 415, "send application/x-protobuf or application/json"),
        (await zipkin.send(JSON, Content_Encoding="gzip"), 400, "the body is not valid gzip"),
        (await raw_http(zipkin.server.port, post(JSON, "/api/v1/spans", "application/json")), 404, "POST spans to /api/v2/spans"),
        (await raw_http(zipkin.server.port, b"GET /api/v2/spans HTTP/1.1\r\nHost: a\r\n\r\n"), 405, "POST spans to"),
        (await raw_http(zipkin.server.port, b"nonsense\r\n\r\n"), 400, ""),
    ):
        assert (reply.status, reply.headers["content-type"]) == (status, "text/plain; charset=utf-8")
        assert text in reply.body.decode()
    assert not zipkin.consumer.batches


async def test_limits_are_those_of_every_receiver(zipkin: Running) -> None:
    async with running(max_request_bytes=1000) as small:
        assert (await small.send(JSON + b" " * 1000)).status == 413
        assert (await small.send(gzip.compress(JSON + b" " * 100_000), Content_Encoding="gzip")).status == 413
        assert not small.consumer.batches


async def test_opentelemetrys_exporter_is_understood(zipkin: Running) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "Shop", "host.name": "h", "team": "red"}))
    exporter = ZipkinExporter(endpoint=f"http://127.0.0.1:{zipkin.server.port}{PATH}", local_node_ipv4="10.0.0.1")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("checkout", "2.0")

    def work() -> None:
        with tracer.start_as_current_span("pay", kind=SpanKind.CLIENT, attributes={"amount": 5, "peer.service": "bank"}) as span:
            span.add_event("retry")
            span.set_status(Status(StatusCode.ERROR, "no money"))
        with tracer.start_as_current_span("think"):
            pass

    await asyncio.to_thread(work)
    pay, think = zipkin.spans
    assert pay["resource"]["service.name"] == "Shop"
    assert pay["resource"]["host.name"] == "h"
    assert (pay["scope"], pay["status"], pay["kind"]) == (("checkout", "2.0"), (2, "no money"), 3)
    assert {"amount": "5", "peer.service": "bank", "team": "red", "network.local.address": "10.0.0.1"}.items() <= pay[
        "attributes"
    ].items()
    assert len(pay["events"]) == 1
    assert (think["kind"], think["status"], think["name"]) == (1, (0, ""), "think")


@pytest.mark.parametrize("encoding", [Encoding.V2_JSON, Encoding.V2_PROTO3], ids=["json", "protobuf"])
async def test_py_zipkin_is_understood(zipkin: Running, encoding: Encoding) -> None:
    def work() -> None:
        with (
            zipkin_span(
                service_name="front",
                span_name="get",
                transport_handler=SimpleHTTPTransport("127.0.0.1", zipkin.server.port),
                sample_rate=100.0,
                encoding=encoding,
                binary_annotations={"http.path": "/"},
                port=80,
                host="10.1.2.3",
            ),
            zipkin_span(service_name="front", span_name="call", kind=Kind.CLIENT) as inner,
        ):
            inner.add_sa_binary_annotation(9042, "db", "10.0.0.7")
            inner.update_binary_annotations({"error": "no"})

    await asyncio.to_thread(work)
    call, get = sorted(zipkin.spans, key=lambda span: str(span["name"]))
    assert call["parent_span_id"] == get["span_id"]
    assert (
        call["attributes"] | {"peer.service": "db", "network.peer.address": "10.0.0.7", "network.peer.port": 9042}
        == call["attributes"]
    )
    assert (call["kind"], call["status"]) == (3, (2, "no"))
    assert (get["kind"], get["resource"], get["attributes"]["http.path"]) == (2, {"service.name": "front"}, "/")
    assert (get["attributes"]["network.local.address"], get["attributes"]["network.local.port"]) == ("10.1.2.3", 80)
