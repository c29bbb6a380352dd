"""Decoding against the protobuf library: the same spans from the same bytes, and a refusal wherever it refuses."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from proto.errors import MalformedRequest
from proto.join import concatenate
from proto.otlp_decode import Decoded, decode
from proto.spans import ABSENT, SpanBatch
from tests.support.requests import any_value, every_value_request, generated_request, one_span_request
from tests.support.traces import each_trace, read_trace

V1 = bytes.fromhex(
    "0a37123512330a105b8efff798038103d269b633813fc60c1208eee19b7ec3c1b1742a016e300239004859e3faeb6f15410012f41efbeb6f15"
)
TYPES = {
    None: 0,
    "string_value": 1,
    "bool_value": 2,
    "int_value": 3,
    "double_value": 4,
    "array_value": 5,
    "kvlist_value": 6,
    "bytes_value": 7,
}


def text(batch: SpanBatch, row: Any, field: str) -> str:
    start = int(row[f"{field}_offset"])
    return batch.data[start : start + int(row[f"{field}_length"])].tobytes().decode()


def entity_refs(batch: SpanBatch, resource: Any) -> bytes:
    start = int(resource["entity_refs_offset"])
    return batch.data[start : start + int(resource["entity_refs_length"])].tobytes()


def identifier(batch: SpanBatch, offset: int, length: int) -> bytes:
    return b"" if offset == ABSENT else batch.data[offset : offset + length].tobytes()


def attribute_list(batch: SpanBatch, owner: Any) -> list[tuple[str, int, Any]]:
    start = int(owner["attributes_start"])
    found = []
    for row in batch.attributes[start : start + int(owner["attributes_count"])]:
        kind = int(row["type"])
        content = identifier(batch, int(row["value_offset"]), int(row["value_length"]))
        value = {1: content, 5: content, 6: content, 7: content}.get(kind, int(row["number"]))
        found.append((text(batch, row, "key"), kind, value))
    return found


def expected_attributes(attributes: Any) -> list[tuple[str, int, Any]]:
    found = []
    for item in attributes:
        member = item.value.WhichOneof("value")
        value: Any = 0
        match member:
            case "string_value":
                value = item.value.string_value.encode()
            case "bytes_value":
                value = item.value.bytes_value
            case "array_value" | "kvlist_value":
                value = getattr(item.value, member).SerializeToString()
            case "double_value":
                value = int(np.float64(item.value.double_value).view(np.int64))
            case "bool_value" | "int_value":
                value = int(getattr(item.value, member))
        found.append((item.key, TYPES[member], value))
    return found


def described(batch: SpanBatch) -> list[Any]:
    """Every span with all that belongs to it, as plain values."""
    found = []
    for span in batch.spans:
        scope = batch.scopes[span["scope"]]
        resource = batch.resources[scope["resource"]]
        events = batch.events[span["events_start"] :][: span["events_count"]]
        links = batch.links[span["links_start"] :][: span["links_count"]]
        found.append(
            (
                attribute_list(batch, resource),
                int(resource["dropped_attributes_count"]),
                text(batch, resource, "schema_url"),
                entity_refs(batch, resource),
                text(batch, scope, "name"),
                text(batch, scope, "version"),
                text(batch, scope, "schema_url"),
                attribute_list(batch, scope),
                int(scope["dropped_attributes_count"]),
                identifier(batch, span["trace_id_offset"], 16),
                identifier(batch, span["span_id_offset"], 8),
                identifier(batch, span["parent_span_id_offset"], 8),
                text(batch, span, "trace_state"),
                text(batch, span, "name"),
                int(span["kind"]),
                int(span["start_time_unix_nano"]),
                int(span["end_time_unix_nano"]),
                int(span["status_code"]),
                text(batch, span, "status_message"),
                int(span["flags"]),
                attribute_list(batch, span),
                int(span["dropped_attributes_count"]),
                int(span["dropped_events_count"]),
                int(span["dropped_links_count"]),
                [
                    (
                        int(e["time_unix_nano"]),
                        text(batch, e, "name"),
                        attribute_list(batch, e),
                        int(e["dropped_attributes_count"]),
                    )
                    for e in events
                ],
                [
                    (
                        identifier(batch, e["trace_id_offset"], e["trace_id_length"]),
                        identifier(batch, e["span_id_offset"], e["span_id_length"]),
                        text(batch, e, "trace_state"),
                        attribute_list(batch, e),
                        int(e["dropped_attributes_count"]),
                        int(e["flags"]),
                    )
                    for e in links
                ],
            )
        )
    return found


def is_accepted(span: Any) -> bool:
    return (
        len(span.trace_id) == 16
        and any(span.trace_id)
        and len(span.span_id) == 8
        and any(span.span_id)
        and len(span.parent_span_id) in (0, 8)
    )


def expected(request: ExportTraceServiceRequest) -> list[Any]:
    found = []
    for resource_spans in request.resource_spans:
        resource = resource_spans.resource
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope
            found += [
                (
                    expected_attributes(resource.attributes),
                    resource.dropped_attributes_count,
                    resource_spans.schema_url,
                    Resource(entity_refs=resource.entity_refs).SerializeToString(),
                    scope.name,
                    scope.version,
                    scope_spans.schema_url,
                    expected_attributes(scope.attributes),
                    scope.dropped_attributes_count,
                    span.trace_id,
                    span.span_id,
                    span.parent_span_id if any(span.parent_span_id) else b"",
                    span.trace_state,
                    span.name,
                    span.kind,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code,
                    span.status.message,
                    span.flags,
                    expected_attributes(span.attributes),
                    span.dropped_attributes_count,
                    span.dropped_events_count,
                    span.dropped_links_count,
                    [
                        (e.time_unix_nano, e.name, expected_attributes(e.attributes), e.dropped_attributes_count)
                        for e in span.events
                    ],
                    [
                        (
                            e.trace_id,
                            e.span_id,
                            e.trace_state,
                            expected_attributes(e.attributes),
                            e.dropped_attributes_count,
                            e.flags,
                        )
                        for e in span.links
                    ],
                )
                for span in scope_spans.spans
                if is_accepted(span)
            ]
    return found


@pytest.mark.parametrize("name", each_trace())
def test_every_real_trace_decodes_to_what_the_protobuf_library_reads(name: str) -> None:
    body = read_trace(name).body
    assert described(decode(body).batch) == expected(ExportTraceServiceRequest.FromString(body))


@pytest.mark.parametrize("seed", range(5))
def test_every_field_and_type_of_value_is_decoded(seed: int) -> None:
    request = every_value_request(seed=seed)
    assert described(decode(request.SerializeToString()).batch) == expected(request)


@given(st.integers(0, 2**32), st.lists(st.integers(0, 255), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_mutated_requests_are_read_as_the_protobuf_library_reads_them(seed: int, replacement: list[int]) -> None:
    randomness = random.Random(seed)
    body = bytearray(every_value_request(seed=seed % 7).SerializeToString())
    for byte in replacement:
        body[randomness.randrange(len(body))] = byte
    assert_agreement(bytes(body))


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_bytes_never_do_more_than_refuse(body: bytes) -> None:
    assert_agreement(body)


def assert_agreement(body: bytes) -> None:
    """Where both accept, they agree; where only one does, it is for a reason that is written down."""
    try:
        mine: Decoded | None = decode(body)
    except MalformedRequest:
        mine = None
    try:
        theirs: ExportTraceServiceRequest | None = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        theirs = None
    if mine is not None and theirs is not None and theirs.SerializeToString() == body:
        # Bytes that the library would write otherwise hold merged messages or unknown fields, of which it keeps more.
        assert described(mine.batch) == expected(theirs)
    if theirs is None and mine is not None:
        # The library refuses text that is not UTF-8; we repair it. Whatever is left must be readable.
        for span in mine.batch.spans:
            text(mine.batch, span, "name")


def test_every_truncation_is_refused_or_read() -> None:
    body = every_value_request().SerializeToString()
    for length in range(len(body)):
        assert_agreement(body[:length])


def test_pb_01_unknown_fields_and_groups_are_skipped() -> None:
    for suffix in ("980601", "a306a406"):
        assert len(decode(V1 + bytes.fromhex(suffix)).batch) == 1


def test_pb_02_reserved_numbers_are_skipped() -> None:
    request = ExportTraceServiceRequest.FromString(V1)
    resource_spans = request.resource_spans[0].SerializeToString() + bytes.fromhex("c23e00")
    body = b"\x0a" + bytes([len(resource_spans)]) + resource_spans
    assert len(decode(body).batch) == 1


@pytest.mark.parametrize(
    "body", [V1[:-3], bytes.fromhex("0a05"), bytes.fromhex("0a" + "ff" * 9 + "01"), bytes.fromhex("98" + "80" * 10 + "01")]
)
def test_pb_03_corrupt_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        decode(body)


def test_pb_04_concatenated_messages_merge_and_the_last_value_wins() -> None:
    assert len(decode(V1 + V1).batch) == 2
    request = one_span_request()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    del span.attributes[:]
    span.attributes.append(KeyValue(key="k", value=AnyValue.FromString(bytes.fromhex("0a01611805"))))
    assert attribute_list(decode(request.SerializeToString()).batch, decode(request.SerializeToString()).batch.spans[0]) == [
        ("k", 3, 5)
    ]


def test_pb_05_invalid_utf_8_is_repaired_and_sinks_nothing() -> None:
    batch = decode(bytes.fromhex("0a231221121f0a105b8efff798038103d269b633813fc60c1208eee19b7ec3c1b1762a01ff")).batch
    assert text(batch, batch.spans[0], "name") == "\ufffd"


def test_entity_references_are_kept_as_they_stand_up_to_one_that_cannot_be_handed_on() -> None:
    whole, other = bytes.fromhex("1a0612046e6f6465"), bytes.fromhex("1a0612046e6f646f")
    broken, dropped = bytes.fromhex("1a03120180"), bytes.fromhex("1001")

    def kept(*fields: bytes) -> bytes:
        resource = b"".join(fields)
        part = b"\x0a" + bytes([len(resource)]) + resource
        batch = decode(b"\x0a" + bytes([len(part) + len(V1) - 2]) + part + V1[2:]).batch
        return entity_refs(batch, batch.resources[0])

    assert kept(whole, other) == whole + other
    assert kept(dropped, whole, other, dropped) == whole + other
    assert kept(broken, whole) == whole
    assert kept(whole, broken, other) == kept(whole, dropped, other) == whole
    with pytest.raises(MalformedRequest):
        kept(bytes.fromhex("1a021205"))


@given(st.binary(min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_pb_05_repaired_text_is_what_python_would_make_of_it(raw: bytes) -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.name = "n" * len(raw)
    body = request.SerializeToString().replace(b"n" * len(raw), raw)
    batch = decode(body).batch
    assert text(batch, batch.spans[0], "name") == raw.decode(errors="replace")


def test_pb_06_set_but_zero_members_keep_their_types() -> None:
    request = one_span_request()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    del span.attributes[:]
    for index, value in enumerate(["0a00", "1000", "1800", "3a00", "2a00", "3200", ""]):
        span.attributes.append(KeyValue(key=str(index), value=AnyValue.FromString(bytes.fromhex(value))))
    batch = decode(request.SerializeToString()).batch
    assert [kind for _, kind, _ in attribute_list(batch, batch.spans[0])] == [1, 2, 3, 7, 5, 6, 0]


def test_pb_07_unknown_enum_numbers_survive() -> None:
    body = V1.replace(bytes.fromhex("3002"), bytes.fromhex("3009"))
    assert decode(body).batch.spans["kind"].tolist() == [9]


def test_pb_08_a_known_field_with_another_wire_type_is_skipped() -> None:
    batch = decode(V1.replace(bytes.fromhex("2a016e"), bytes.fromhex("28e801"))).batch
    assert text(batch, batch.spans[0], "name") == ""


def test_data_01_spans_with_impossible_ids_are_refused_alone() -> None:
    body = bytes.fromhex(
        "0a57125512330a105b8efff798038103d269b633813fc60c1208eee19b7ec3c1b1742a016e300239004859e3faeb6f15410012f41efbeb6f15"
        "121e0a0f5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b1208eee19b7ec3c1b1752a0162"
    )
    decoded = decode(body)
    assert len(decoded.batch) == 1
    assert decoded.rejected == {"trace_id_length": 1}
    assert decoded.first_rejected == "resource_spans[0].scope_spans[0].spans[1]"
    zero = decode(bytes.fromhex("0a231221121f0a1000000000000000000000000000000000120800000000000000002a017a"))
    assert len(zero.batch) == 0
    assert zero.rejected == {"trace_id_zero": 1}


@pytest.mark.parametrize(("parent", "accepted"), [(b"", True), (b"p" * 8, True), (bytes(8), True), (b"p" * 7, False)])
def test_data_02_a_parent_is_absent_or_eight_bytes(parent: bytes, accepted: bool) -> None:
    request = one_span_request()
    request.resource_spans[0].scope_spans[0].spans[0].parent_span_id = parent
    decoded = decode(request.SerializeToString())
    assert len(decoded.batch) == accepted
    assert decoded.rejected == ({} if accepted else {"parent_span_id_length": 1})


def nested(levels: int, *, as_object: bool = False) -> AnyValue:
    """A value inside so many lists."""
    value = AnyValue(int_value=1)
    for _ in range(levels):
        outer = AnyValue()
        if as_object:
            outer.kvlist_value.values.append(KeyValue(key="k", value=value))
        else:
            outer.array_value.values.append(value)
        value = outer
    return value


@pytest.mark.parametrize("as_object", [False, True])
def test_limit_08_forty_levels_of_values_are_accepted(as_object: bool) -> None:
    request = one_span_request()
    levels = 40 if not as_object else 30
    request.resource_spans[0].scope_spans[0].spans[0].attributes.append(
        KeyValue(key="deep", value=nested(levels, as_object=as_object))
    )
    assert len(decode(request.SerializeToString()).batch) == 1


def test_limit_08_a_hundred_thousand_levels_are_refused() -> None:
    def field(number: int, content: bytes) -> bytes:
        length = len(content)
        encoded = bytearray([number << 3 | 2])
        while length >= 0x80:
            encoded.append(length & 0x7F | 0x80)
            length >>= 7
        return bytes(encoded) + bytes([length]) + content

    value = b""
    for _ in range(2000):
        value = field(5, field(1, value))
    span = field(1, b"t" * 16) + field(2, b"s" * 8) + field(9, field(1, b"k") + field(2, value))
    with pytest.raises(MalformedRequest, match="64 levels"):
        decode(field(1, field(2, field(2, span))))


def test_limit_09_large_counts_and_values_are_accepted() -> None:
    request = one_span_request()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for index in range(100_000):
        span.attributes.append(KeyValue(key=f"k{index}", value=any_value(index)))
    span.attributes.append(KeyValue(key="long", value=any_value("x" * 10_000_000)))
    batch = decode(request.SerializeToString()).batch
    assert int(batch.spans["attributes_count"][0]) == len(span.attributes)


def test_joined_batches_hold_the_spans_of_each_in_order() -> None:
    bodies = [every_value_request(seed=seed).SerializeToString() for seed in range(3)]
    batches = [decode(body, workspace).batch for body, workspace in zip(bodies, ["a", "b", "a"], strict=True)]
    joined = concatenate(batches)
    assert described(joined) == [span for batch in batches for span in described(batch)]
    names = [
        joined.workspaces[joined.resources[joined.scopes[scope]["resource"]]["workspace"]] for scope in joined.spans["scope"]
    ]
    assert names == [batch.workspaces[0] for batch in batches for _ in range(len(batch))]


def test_selected_spans_keep_all_that_belongs_to_them() -> None:
    batch = decode(generated_request().SerializeToString()).batch
    rows = np.array([5, 3, 200])
    whole = described(batch)
    assert described(batch.select(rows)) == [whole[row] for row in rows]
    assert described(batch.select(batch.spans["kind"] == 3)) == [
        span for span, kind in zip(whole, batch.spans["kind"], strict=True) if kind == 3
    ]
