"""The receivers as the OpenTelemetry SDK's own exporters see them, and with the traces of real systems."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from collector.errors import Retryable
from proto.spans import SpanBatch
from tests.support.http2 import EXPORT
from tests.support.receivers import Receivers, post, raw_http, receivers
from tests.support.traces import all_traces

Exporter = Callable[[Receivers], SpanExporter]


@pytest.fixture
async def both() -> AsyncIterator[Receivers]:
    async with receivers() as both:
        yield both


def grpc_exporter(both: Receivers) -> SpanExporter:
    return GrpcExporter(endpoint=f"127.0.0.1:{both.grpc.port}", insecure=True)


def grpc_gzip_exporter(both: Receivers) -> SpanExporter:
    return GrpcExporter(endpoint=f"127.0.0.1:{both.grpc.port}", insecure=True, compression=grpc.Compression.Gzip)


def http_exporter(both: Receivers) -> SpanExporter:
    return HttpExporter(endpoint=both.traces_url)


def http_gzip_exporter(both: Receivers) -> SpanExporter:
    return HttpExporter(endpoint=both.traces_url, compression=Compression.Gzip)


def http_deflate_exporter(both: Receivers) -> SpanExporter:
    return HttpExporter(endpoint=both.traces_url, compression=Compression.Deflate)


EXPORTERS = [grpc_exporter, grpc_gzip_exporter, http_exporter, http_gzip_exporter, http_deflate_exporter]


def send_spans(exporter: SpanExporter, number: int) -> bool:
    """Export spans through the SDK, in a thread of its own; whether all were flushed."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    for index in range(number):
        tracer.start_span(f"span {index}").end()
    flushed = provider.force_flush(10_000)
    provider.shutdown()
    return flushed


@pytest.mark.parametrize("exporter", EXPORTERS)
async def test_the_sdk_delivers_every_span(both: Receivers, exporter: Exporter) -> None:
    assert await asyncio.to_thread(send_spans, exporter(both), 700)
    assert both.consumer.names == [f"span {index}" for index in range(700)]


@pytest.mark.parametrize("exporter", [grpc_exporter, http_exporter])
async def test_retry_04_and_05_the_sdk_comes_back_after_being_told_to_wait(both: Receivers, exporter: Exporter) -> None:
    refusals = 1

    def refuse_first(_: SpanBatch) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise Retryable("busy", 0.1)

    both.consumer.before = refuse_first
    await asyncio.to_thread(send_spans, exporter(both), 1)
    assert both.consumer.names == ["span 0"]
    assert both.counts.failed_requests == {"unavailable": 1}


async def test_every_span_of_real_systems_is_stored_or_counted_over_both_transports(both: Receivers) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{both.grpc.port}") as channel:
        export = channel.unary_unary(EXPORT)
        for trace in all_traces():
            await export(trace.body, compression=grpc.Compression.Gzip)
            request = post(gzip.compress(trace.body, 1), Content_Encoding="gzip")
            assert (await raw_http(both.http.port, request)).status == 200
    assert both.consumer.spans == both.counts.accepted_spans
    assert both.consumer.spans + both.counts.refused_spans.total() == 2 * sum(trace.spans for trace in all_traces())
    assert not both.counts.failed_requests
