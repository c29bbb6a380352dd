"""The receivers as the OpenTelemetry SDK's own exporters see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from collector.errors import Retryable
from proto.spans import SpanBatch
from tests.support.receivers import Receivers, receivers

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
