"""What it costs to send spans on to another collector: writing, compressing and sending a batch, in CPU microseconds per span.

    python bench/otlp_out.py [--load NAME] [--repetitions N]

Beside it the same done the plain way, over protobuf objects: messages that a processor has changed are joined into one request,
serialised by the protobuf library and sent by the gRPC library or aiohttp as they come. The other side is a process that takes
bytes and acknowledges them (`floor.py`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import grpc
import grpc.aio
import numpy as np
import uvloop
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.processes import Process, free_port, listens, python_module
from bench.stages import asked, cpu_seconds
from exporters.loadbalancing.ring import Ring, keys_of_ids
from exporters.otlp.exporter import OtlpExporter
from exporters.otlp.grpc_transport import EXPORT, GrpcSettings, GrpcTransport
from exporters.otlp.http_transport import HttpSettings, HttpTransport
from exporters.otlp.transport import Transport
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.otlp_encode import Encoder
from proto.spans import SpanBatch

REPETITIONS = 7
TARGET = 0.5
"""CPU microseconds a span, for writing it."""
BACKENDS = [f"collector-{number}:4317" for number in range(3)]


def joined(messages: list[ExportTraceServiceRequest]) -> ExportTraceServiceRequest:
    """One request of all."""
    whole = ExportTraceServiceRequest()
    for message in messages:
        whole.resource_spans.extend(message.resource_spans)
    return whole


def routed(batch: SpanBatch, ring: Ring) -> list[SpanBatch]:
    """The spans of each backend."""
    owners = ring.owners(keys_of_ids(batch.data, batch.spans["trace_id_offset"]))
    return [batch.select(owners == owner) for owner in range(len(ring.backends))]


def routed_plainly(messages: list[ExportTraceServiceRequest], ring: Ring) -> list[ExportTraceServiceRequest]:
    """The same over protobuf objects; the ring is asked once for each trace."""
    found: dict[bytes, int] = {}
    parts = [ExportTraceServiceRequest() for _ in ring.backends]
    for message in messages:
        for resource_spans in message.resource_spans:
            into: dict[int, Any] = {}
            for scope_spans in resource_spans.scope_spans:
                groups: dict[int, list[Any]] = {}
                for span in scope_spans.spans:
                    owner = found.get(span.trace_id)
                    if owner is None:
                        key = keys_of_ids(np.frombuffer(span.trace_id, np.uint8), np.zeros(1, np.int64))
                        owner = found[span.trace_id] = int(ring.owners(key)[0])
                    groups.setdefault(owner, []).append(span)
                for owner, spans in groups.items():
                    if owner not in into:
                        into[owner] = parts[owner].resource_spans.add(schema_url=resource_spans.schema_url)
                        into[owner].resource.CopyFrom(resource_spans.resource)
                    target = into[owner].scope_spans.add(schema_url=scope_spans.schema_url)
                    target.scope.CopyFrom(scope_spans.scope)
                    target.spans.extend(spans)
    return parts


async def sending(work: Callable[[], Awaitable[object]], repetitions: int) -> float:
    """Median CPU seconds of this process for one call, after one that is not counted."""
    await work()
    times = []
    for _ in range(repetitions):
        started = time.process_time()
        await work()
        times.append(time.process_time() - started)
    return median(times)


async def exported(exporter: OtlpExporter, batch: SpanBatch) -> None:
    """Send a batch as the pipeline does."""
    for request in await exporter.prepare(batch, "a"):
        await request.send(30.0)


async def measure_sending(batch: SpanBatch, messages: list[ExportTraceServiceRequest], repetitions: int) -> None:
    """Print what it costs to send."""
    ports = free_port(), free_port()
    command = python_module("bench.floor", "--grpc", ports[0], "--http", ports[1])
    address, url = f"127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}/v1/traces"
    with TemporaryDirectory() as directory, ThreadPoolExecutor(2) as pool:
        log = Path(directory, "floor.log")
        with Process("floor", command, lambda: all(map(listens, ports)), log):
            async with grpc.aio.insecure_channel(address, options=[("grpc.max_send_message_length", -1)]) as channel:
                for compressed in (False, True):
                    algorithm = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression
                    stub = channel.unary_unary(EXPORT, ExportTraceServiceRequest.SerializeToString)

                    async def plainly(stub: Any = stub, algorithm: Any = algorithm) -> None:
                        await stub(joined(messages), compression=algorithm)

                    transport: Transport = GrpcTransport(GrpcSettings(address, gzip=compressed), pool)
                    label = f"otlp, {'gzip' if compressed else 'none'}"
                    await compare(label, transport, batch, plainly, pool, repetitions)
            async with aiohttp.ClientSession(headers={"Content-Type": "application/x-protobuf"}) as session:

                async def posted() -> None:
                    async with session.post(url, data=joined(messages).SerializeToString()) as answer:
                        await answer.read()

                for compression in ("none", "gzip", "zstd"):
                    transport = HttpTransport(HttpSettings(url, compression=compression))
                    plain = posted if compression == "none" else None
                    await compare(f"otlphttp, {compression}", transport, batch, plain, pool, repetitions)
                transport = HttpTransport(HttpSettings(url, compression="none", as_json=True))
                await compare("otlphttp, json", transport, batch, None, pool, 1)


async def compare(
    label: str,
    transport: Transport,
    batch: SpanBatch,
    plain: Callable[[], Awaitable[None]] | None,
    pool: ThreadPoolExecutor,
    repetitions: int,
) -> None:
    """Print one line."""
    exporter = OtlpExporter(transport, "", pool)
    ours = await sending(lambda: exported(exporter, batch), repetitions)
    await transport.close()
    print_line(label, ours, None if plain is None else await sending(plain, repetitions), len(batch))


def print_line(label: str, ours: float, plain: float | None, spans: int, target: float | None = None) -> None:
    """Both costs, of so many spans, and whether ours keeps to the target."""
    cost = ours / spans * 1e6
    beside = "" if plain is None else f"   plain {plain / spans * 1e6:>7.3f}"
    verdict = "" if target is None else f"   at most {target}: {'met' if cost <= target else 'MISSED'}"
    print(f"{label:<24} {cost:>7.3f}{beside}{verdict}")


def main() -> None:
    """Print the table."""
    load, repetitions = asked(__doc__, REPETITIONS)
    bodies = load.bodies()
    batch = concatenate([decode(body).batch for body in bodies])
    messages = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    encoder, ring = Encoder(), Ring(BACKENDS)
    print(f"{load.name}: {len(batch):,} spans, CPU µs/span")
    print_line(
        "write",
        cpu_seconds(lambda: encoder.encode(batch).tobytes(), repetitions),
        cpu_seconds(lambda: joined(messages).SerializeToString(), repetitions),
        len(batch),
        TARGET,
    )
    print_line(
        "divide among three",
        cpu_seconds(lambda: routed(batch, ring), repetitions),
        cpu_seconds(lambda: routed_plainly(messages, ring), 3),
        len(batch),
    )
    uvloop.run(measure_sending(batch, messages, repetitions))


if __name__ == "__main__":
    main()
