"""What is sent: each load is a list of ready-made request bodies and how to send them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.requests import generated_request, one_span_request, otlp_json, span_count, spans_of
from tests.support.traces import all_traces

Protocol = Literal["grpc", "http"]

DISTINCT_BODIES: Final = 16
"""So many different generated requests are sent in turn: enough that no cache of one request's strings helps."""


@dataclass(frozen=True, slots=True)
class Load:
    """One way to send spans.

    Attributes:
        name: as given on the command line.
        protocol, headers: gRPC, or HTTP with these headers.
        bodies: makes the request bodies, each as it goes over the wire.
        spans: makes the number of spans in each of them.
        requests: how many are sent in one measurement, the bodies in turn.
        in_flight: how many are unanswered at any time.
        unit: what the cost is stated for, "span" or "request".
        refusable: makes the number of spans in all bodies that a receiver may refuse.
    """

    name: str
    protocol: Protocol
    headers: dict[str, str]
    bodies: Callable[[], list[bytes]]
    spans: Callable[[], list[int]]
    requests: int
    in_flight: int
    unit: Literal["span", "request"] = "span"
    refusable: Callable[[], int] = lambda: 0

    def scaled(self, share: float) -> int:
        """About this share of the requests, but each body once at least: real ones differ too much to leave some out."""
        return max(round(self.requests * share), len(self.spans()))

    def spans_sent(self, requests: int) -> int:
        """Number of spans in the first `requests` requests."""
        counts = self.spans()
        rounds, rest = divmod(requests, len(counts))
        return rounds * sum(counts) + sum(counts[:rest])


def without_valid_ids(body: bytes) -> int:
    """Number of spans of a protobuf request that a receiver may refuse: an id of theirs has a wrong length or is all zeros."""
    spans = spans_of(ExportTraceServiceRequest.FromString(body))
    return sum(
        1
        for span in spans
        if len(span.trace_id) != 16 or len(span.span_id) != 8 or not any(span.trace_id) or not any(span.span_id)
    )


def _generated() -> list[bytes]:
    return [generated_request(seed=seed).SerializeToString() for seed in range(DISTINCT_BODIES)]


def _generated_json() -> list[bytes]:
    return [otlp_json(generated_request(seed=seed)) for seed in range(DISTINCT_BODIES)]


def _one_span() -> list[bytes]:
    return [one_span_request(seed=seed).SerializeToString() for seed in range(DISTINCT_BODIES)]


def _real() -> list[bytes]:
    return [trace.body for trace in all_traces()]


@cache
def _real_spans() -> list[int]:
    return [span_count(body) for body in _real()]


def _real_refusable() -> int:
    return sum(map(without_valid_ids, _real()))


PROTOBUF: Final = {"Content-Type": "application/x-protobuf"}
LOADS: Final = {
    load.name: load
    for load in (
        Load("spans-512", "grpc", {}, _generated, lambda: [512] * DISTINCT_BODIES, 600, 8),
        Load("real-traces", "grpc", {}, _real, _real_spans, 142, 8, refusable=_real_refusable),
        Load("one-span", "grpc", {}, _one_span, lambda: [1] * DISTINCT_BODIES, 6000, 32, "request"),
        Load(
            "http-gzip",
            "http",
            PROTOBUF | {"Content-Encoding": "gzip"},
            lambda: [gzip.compress(body, 6) for body in _generated()],
            lambda: [512] * DISTINCT_BODIES,
            400,
            8,
        ),
        Load(
            "http-json",
            "http",
            {"Content-Type": "application/json"},
            _generated_json,
            lambda: [512] * DISTINCT_BODIES,
            200,
            8,
        ),
    )
}
