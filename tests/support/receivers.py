"""Receivers on free ports with a consumer that keeps what it is given, for tests of the receiver contract."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from collector.receivers.in_flight import InFlight
from collector.receivers.intake import Intake
from collector.receivers.otlp_grpc import OtlpGrpcServer
from collector.receivers.otlp_http import OtlpHttpServer
from collector.receivers.settings import GrpcSettings, HttpSettings
from proto.otlp_decode import decode
from proto.otlp_json import json_to_protobuf
from proto.spans import SpanBatch

# The contract's test vectors.
V1: Final = bytes.fromhex(
    "0a37123512330a105b8efff798038103d269b633813fc60c1208eee19b7ec3c1b1742a016e300239004859e3faeb6f15410012f41efbeb6f15"
)
V1_JSON: Final = (
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",'
    b'"name":"n","kind":2,"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000"}]}]}]}'
)
V2: Final = V1 + bytes.fromhex("980601")
V2_GROUP: Final = V1 + bytes.fromhex("a306a406")
V3: Final = bytes.fromhex(
    "0a57125512330a105b8efff798038103d269b633813fc60c1208eee19b7ec3c1b1742a016e300239004859e3faeb6f15410012f41efbeb6f15"
    "121e0a0f5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b1208eee19b7ec3c1b1752a0162"
)
V4: Final = bytes.fromhex("0a231221121f0a1000000000000000000000000000000000120800000000000000002a017a")
V5: Final = bytes.fromhex("0a231221121f0a105b8efff798038103d269b633813fc60c1208eee19b7ec3c1b1762a01ff")
OLD_JSON: Final = b'{"resourceSpans":[{"instrumentationLibrarySpans":[{"spans":[{"name":"old"}]}]}]}'


class ListConsumer:
    """Keeps batches, after whatever `before` does: raise a fault, or wait for a gate."""

    def __init__(self) -> None:
        self.batches: list[SpanBatch] = []
        self.before: Callable[[SpanBatch], Any] | None = None
        self.not_taken: Counter[tuple[str, str]] = Counter()
        """(Owner, reason) → spans of which receivers said that they were refused."""

    def check_open(self) -> None:
        """Always."""

    def refused(self, owner: str, reason: str, spans: int) -> None:
        """Keep account of them."""
        self.not_taken[owner, reason] += spans

    async def consume(self, batch: SpanBatch) -> None:
        if self.before is not None:
            waiting = self.before(batch)
            if waiting is not None:
                await waiting
        self.batches.append(batch)

    def fail_with(self, error: Exception) -> None:
        def fail(_: SpanBatch) -> None:
            raise error

        self.before = fail

    @property
    def spans(self) -> int:
        return sum(len(batch) for batch in self.batches)

    @property
    def workspaces(self) -> Counter[str]:
        """Number of spans in each workspace."""
        found: Counter[str] = Counter()
        for batch in self.batches:
            resources = batch.scopes["resource"][batch.spans["scope"]]
            found.update(batch.workspaces[index] for index in batch.resources["workspace"][resources])
        return found

    @property
    def names(self) -> list[str]:
        """Names of all spans, in order of arrival."""
        return [
            batch.data[span["name_offset"] :][: span["name_length"]].tobytes().decode()
            for batch in self.batches
            for span in batch.spans
        ]


@dataclass
class Counts:
    """Telemetry that can be looked at."""

    accepted_spans: int = 0
    accepted_requests: Counter[str] = field(default_factory=Counter)
    refused_spans: Counter[str] = field(default_factory=Counter)
    failed_requests: Counter[str] = field(default_factory=Counter)
    throttled_requests: Counter[tuple[str, str]] = field(default_factory=Counter)

    def accepted(self, receiver: str, transport: str, spans: int, size: int) -> None:
        self.accepted_spans += spans
        self.accepted_requests[transport] += 1

    def refused(self, receiver: str, transport: str, reason: str, spans: int) -> None:
        self.refused_spans[reason] += spans

    def failed(self, receiver: str, transport: str, kind: str) -> None:
        self.failed_requests[kind] += 1

    def throttled(self, receiver: str, workspace: str, reason: str) -> None:
        self.throttled_requests[workspace, reason] += 1


@dataclass
class Receivers:
    """Both receivers in front of one consumer."""

    consumer: ListConsumer
    counts: Counts
    in_flight: InFlight
    grpc: OtlpGrpcServer
    http: OtlpHttpServer

    @property
    def traces_url(self) -> str:
        return f"http://127.0.0.1:{self.http.port}/v1/traces"


@asynccontextmanager
async def receivers(
    *, grpc: GrpcSettings | None = None, http: HttpSettings | None = None, in_flight_bytes: int = 256 << 20, **intake: Any
) -> AsyncIterator[Receivers]:
    """Start both receivers, on free ports of the loopback unless the settings name a unix socket.

    `intake` are further arguments of both intakes.
    """
    # The daemon compiles its kernels before it listens; no client should wait for that.
    decode(json_to_protobuf(V1_JSON).protobuf)
    consumer, counts, in_flight = ListConsumer(), Counts(), InFlight(in_flight_bytes)
    grpc = replace(grpc or GrpcSettings(), host="127.0.0.1", port=0)
    http = replace(http or HttpSettings(linger_s=0.1), host="127.0.0.1", port=0)
    with ThreadPoolExecutor(2) as pool:
        both = Receivers(
            consumer,
            counts,
            in_flight,
            OtlpGrpcServer(grpc, Intake(consumer, counts, pool, "grpc", **intake), in_flight),
            OtlpHttpServer(http, Intake(consumer, counts, pool, "http", **intake), in_flight),
        )
        try:
            await both.grpc.start()
            await both.http.start()
            yield both
        finally:
            await both.http.stop(0)
            await both.grpc.stop(0)


@dataclass
class RawReply:
    """An HTTP answer, byte for byte."""

    status: int
    headers: dict[str, str]
    body: bytes


async def read_reply(reader: asyncio.StreamReader) -> RawReply:
    """Read one HTTP/1.1 answer with a Content-Length."""
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return RawReply(int(head[0].split()[1]), headers, body)


async def raw_http(port: int, request: bytes) -> RawReply:
    """Send bytes over a new connection and read one answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await read_reply(reader)
    finally:
        writer.close()


def post(body: bytes, path: str = "/v1/traces", media_type: str | None = "application/x-protobuf", **headers: str) -> bytes:
    """An HTTP/1.1 POST; underscores in header names stand for dashes."""
    lines = [f"POST {path} HTTP/1.1", "Host: collector.test", f"Content-Length: {len(body)}"]
    if media_type is not None:
        lines.append(f"Content-Type: {media_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
