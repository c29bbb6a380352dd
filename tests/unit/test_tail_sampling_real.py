"""On traces of real systems tail sampling keeps what a plain sampler keeps."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from collector.processors.tail_sampling.decided import Part
from collector.processors.tail_sampling.sampler import TailSampler
from config.tail_sampling import TailSamplingProcessor
from proto.otlp_decode import decode
from tests.support.tail_oracle import PlainPolicies, PlainSpan
from tests.support.traces import all_traces, traces_directory

STATUSES = ("UNSET", "OK", "ERROR")
ERRORS = {"type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
SLOW = {"type": "latency", "latency": {"threshold_ms": 100}}
HTTP = {"type": "string_attribute", "string_attribute": {"key": "http.method", "values": ["GET", "POST"]}}
LARGE = {"type": "span_count", "span_count": {"min_spans": 5, "max_spans": 50}}
CODES = {"type": "numeric_attribute", "numeric_attribute": {"key": "http.status_code", "min_value": 300, "max_value": 599}}
HALF = {"type": "probabilistic", "probabilistic": {"sampling_percentage": 50}}


def several(kind: str, *inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, kind: {f"{kind}_sub_policy": [{"name": f"i{place}"} | each for place, each in enumerate(inner)]}}


SETS: dict[str, list[dict[str, Any]]] = {
    "errors": [ERRORS],
    "slow or of http": [SLOW, several("and", HTTP, HALF)],
    "no http, but large": [LARGE, several("drop", HTTP)],
    "codes, errors or half": [CODES, ERRORS, HALF],
    "forbidden": [HALF, {"type": "string_attribute", "string_attribute": HTTP["string_attribute"] | {"invert_match": True}}],
}


def first_values(*owners: list[KeyValue]) -> tuple[tuple[str, Any], ...]:
    """What is said under each key first, by each of the owners, of strings and whole numbers."""
    found = []
    for attributes in owners:
        known: dict[str, KeyValue] = {}
        for each in attributes:
            known.setdefault(each.key, each)
        for key, each in known.items():
            kind = each.value.WhichOneof("value")
            if kind in ("string_value", "int_value"):
                found.append((key, getattr(each.value, kind)))
    return tuple(found)


def plain_spans(resource_spans: ResourceSpans) -> list[tuple[bytes, PlainSpan]]:
    """Id and span, of those that are not refused."""
    return [
        (
            span.span_id,
            PlainSpan(
                0,
                span.trace_id,
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                STATUSES[span.status.code],
                first_values(list(span.attributes), list(resource_spans.resource.attributes)),
            ),
        )
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
        if len(span.trace_id) == 16 and len(span.span_id) == 8 and any(span.trace_id) and any(span.span_id)
    ]


def ids(part: Part) -> list[tuple[bytes, bytes]]:
    spans, data = part.spans.spans, part.spans.data.tobytes()
    places = zip(spans["trace_id_offset"].tolist(), spans["span_id_offset"].tolist(), strict=True)
    return [(data[trace : trace + 16], data[span : span + 8]) for trace, span in places]


@pytest.fixture(scope="module")
def traces() -> dict[bytes, list[tuple[bytes, PlainSpan]]]:
    """By their ids, of all files together."""
    found: defaultdict[bytes, list[tuple[bytes, PlainSpan]]] = defaultdict(list)
    for trace in all_traces():
        for resource_spans in trace.message.resource_spans:
            for span_id, span in plain_spans(resource_spans):
                found[span.trace_id].append((span_id, span))
    return found


@pytest.mark.parametrize("name", SETS)
def test_real_traces_are_decided_as_by_a_plain_sampler(name: str, traces: dict[bytes, list[tuple[bytes, PlainSpan]]]) -> None:
    policies = [{"name": f"p{place}"} | each for place, each in enumerate(SETS[name])]
    tail = TailSampler(TailSamplingProcessor.model_validate({"policies": policies, "max_bytes": 1 << 34}))
    for piece, trace in enumerate(all_traces()):
        tail.add(decode(trace.body).batch, piece, 0)
    kept: list[tuple[bytes, bytes]] = []
    dropped: list[tuple[bytes, bytes]] = []
    while (decided := tail.decide(10**12)) is not None:
        for into, parts in ((kept, decided.kept), (dropped, decided.dropped)):
            for part in parts:
                into += ids(part)
    plain = PlainPolicies(policies)
    wanted = {trace_id for trace_id, spans in traces.items() if plain.decide([span for _, span in spans], 0)}
    assert sorted(kept) == sorted((trace_id, span_id) for trace_id in wanted for span_id, _ in traces[trace_id])
    assert len(kept) + len(dropped) == sum(map(len, traces.values()))
    # Of those that are generated in their place, there may be none.
    assert traces_directory() is None or 0 < len(wanted) < len(traces)
