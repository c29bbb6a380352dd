"""Zipkin's spans as OTLP: both encodings against plain Python, what is lenient, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from proto.converted import ConvertedRequest
from proto.errors import MalformedRequest
from proto.otlp_decode import decode
from proto.zipkin import MOST_GROWTH, zipkin_json_to_otlp, zipkin_protobuf_to_otlp
from tests.support.zipkin import ZipkinSpan, expected, flattened, refusal_of, spans, to_protobuf

SPAN = {"traceId": "463ac35c9f6413ad48485a3953bb6124", "id": "a2fb4a1d1a96d312", "name": "get /", "timestamp": 10**15}


def to_json(drawn: Sequence[ZipkinSpan]) -> bytes:
    return json.dumps(drawn).encode()


ENCODINGS: dict[str, tuple[Callable[[Sequence[ZipkinSpan]], bytes], Callable[[bytes], ConvertedRequest]]] = {
    "json": (to_json, zipkin_json_to_otlp),
    "protobuf": (to_protobuf, zipkin_protobuf_to_otlp),
}


def converted(*members: dict[str, Any]) -> list[dict[str, Any]]:
    return flattened(zipkin_json_to_otlp(to_json([SPAN | more for more in members])).protobuf)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(deadline=None)
@given(drawn=st.lists(spans, max_size=6))
def test_every_span_becomes_what_plain_python_makes_of_it(encoding: str, drawn: list[ZipkinSpan]) -> None:
    write, read = ENCODINGS[encoding]
    body = write(drawn)
    request = read(body)
    refused = [refusal_of(span) for span in drawn]
    decoded = decode(request.protobuf)
    found = flattened(request.protobuf)
    assert decoded.rejected == Counter(filter(None, refused))
    for span, of, reason in zip(found, drawn, refused, strict=True):
        assert reason or span == expected(of)
    assert bool(request.warnings) == any(refused)
    if any(refused):
        first = refused.index(next(filter(None, refused)))
        assert f"[{first}]." in request.warnings[0]
    assert len(request.protobuf) <= MOST_GROWTH * len(body) + 100


def test_spans_of_one_service_share_a_resource_and_a_scope() -> None:
    front = {"localEndpoint": {"serviceName": "front"}, "tags": {"host.name": "a", "otel.scope.name": "s"}}
    back = {"localEndpoint": {"serviceName": "back"}}
    other_host = {"localEndpoint": {"serviceName": "front"}, "tags": {"host.name": "b", "otel.scope.name": "s"}}
    bad = {"traceId": "nothing", **back}
    body = to_json([SPAN | more for more in (bad, front, front, bad, front, back, other_host, front)])
    request = ExportTraceServiceRequest.FromString(zipkin_json_to_otlp(body).protobuf)
    assert [sum(len(scope.spans) for scope in resource.scope_spans) for resource in request.resource_spans] == [1, 4, 1, 1, 1]


def test_ids_may_lack_digits_in_front_and_have_capitals() -> None:
    (span,) = converted({"traceId": "AB", "id": "c", "parentId": "1d"})
    assert (span["trace_id"].hex(), span["span_id"].hex()) == ("ab".rjust(32, "0"), "c".rjust(16, "0"))
    assert span["parent_span_id"].hex() == "1d".rjust(16, "0")
    (span,) = converted({"traceId": "1" + "0" * 16})
    assert span["trace_id"].hex() == ("1" + "0" * 16).rjust(32, "0")


def test_json_may_hold_what_zipkin_does_not_write() -> None:
    text = (
        b' [ {"traceId":"1","id":"2","unknown":{"a":[1,{}]},"shared":"yes","parentId":null,"kind":null,"timestamp":"1e3",'
        b'"duration":5.0,"localEndpoint":null,"tags":{"n":-1.5e3,"t":true,"f":false,"nothing":null,"\\u00e9":"\\ud83d\\ude00"},'
        b'"annotations":null},null ] '
    )
    (span,) = flattened(zipkin_json_to_otlp(text).protobuf)
    assert span["attributes"] == {"n": "-1.5e3", "t": "true", "f": "false", "é": "😀"}
    assert span["times"] == (10**6, 10**6 + 5000)
    assert zipkin_json_to_otlp(b"[]").protobuf == zipkin_protobuf_to_otlp(b"").protobuf == b""


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"traceId": "1" * 33}, "traceId"),
        ({"traceId": 5}, "traceId"),
        ({"id": "12345678901234567"}, "id"),
        ({"id": ["1"]}, "id"),
        ({"parentId": "xyz"}, "parentId"),
        ({"kind": "client"}, "kind"),
        ({"timestamp": -1}, "timestamp"),
        ({"timestamp": 2**64}, "timestamp"),
        ({"duration": 2**70}, "duration"),
        ({"localEndpoint": {"port": -1}}, "localEndpoint.port"),
        ({"annotations": [{"timestamp": 1, "value": "a"}, {"timestamp": -1, "value": "b"}]}, "annotations[1].timestamp"),
    ],
)
def test_a_span_that_cannot_be_is_refused_alone_and_named(members: dict[str, Any], path: str) -> None:
    request = zipkin_json_to_otlp(to_json([SPAN, SPAN | members, SPAN, SPAN | members]))
    assert request.warnings[0].startswith(f"[1].{path} is not ")
    assert request.warnings[0].endswith("its span is refused, and 1 more for like reasons")
    decoded = decode(request.protobuf)
    assert (len(decoded.batch), sum(decoded.rejected.values())) == (2, 2)


@pytest.mark.parametrize(
    ("body", "message", "field"),
    [
        (b"{}", "it must be a JSON array", "byte 0"),
        (b"", "it must be a JSON array", "byte 0"),
        (b'[{"name":"a"}', "ends too early", "[0]"),
        (b'[{"name":1}]', "another kind", "[0].name"),
        (b'[{"tags":{"a":{}}}]', "the value of a tag is not a text", "[0].tags.a"),
        (b'[{"tags":{"a":1-2}}]', "the value of a tag is not a text", "[0].tags.a"),
        (b'[{"tags":["a"]}]', "an object or array stands", "[0].tags"),
        (b'[{"annotations":{}}]', "an object or array stands", "[0].annotations"),
        (b"[{}] x", "text follows", "byte 5"),
        (b"[[]]", "an object or array stands", "[0]"),
    ],
)
def test_what_is_no_list_of_spans_is_refused_whole(body: bytes, message: str, field: str) -> None:
    with pytest.raises(MalformedRequest, match=message) as caught:
        zipkin_json_to_otlp(body)
    assert caught.value.field == field


def test_protobuf_that_is_no_list_of_spans_is_refused_whole() -> None:
    good = to_protobuf([SPAN])
    with pytest.raises(MalformedRequest) as caught:
        zipkin_protobuf_to_otlp(good + b"\x0a\x05\x0a\x08abc")
    assert caught.value.field == "spans[1]"
    with pytest.raises(MalformedRequest):
        zipkin_protobuf_to_otlp(good[:-1])
