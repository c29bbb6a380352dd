"""The receiver contract's rules for OTLP/JSON, one by one, as the protobuf library and our own decoder read what comes out."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from proto.errors import MalformedRequest
from proto.otlp_decode import decode
from proto.otlp_json import OLD_LIBRARY_WARNING, json_to_protobuf

TRACE_ID = "5b8efff798038103d269b633813fc60c"
SPAN_ID = "eee19b7ec3c1b174"
ONE_SPAN = (
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",'
    b'"name":"n","kind":2,"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000"}]}]}]}'
)
ONE_SPAN_PROTOBUF = bytes.fromhex(
    "0a37123512330a105b8efff798038103d269b633813fc60c1208eee19b7ec3c1b1742a016e300239004859e3faeb6f15410012f41efbeb6f15"
)


def request_of(*spans: str | dict[str, Any]) -> bytes:
    """A request with these spans; one that is a text is put there as it is."""
    texts = ",".join(span if isinstance(span, str) else json.dumps(span) for span in spans)
    return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{texts}]}}]}}]}}'.encode()


def span_text(members: str = "") -> str:
    """A valid span with more members, given as JSON text."""
    return f'{{"traceId":"{TRACE_ID}","spanId":"{SPAN_ID}","name":"n"{"," if members else ""}{members}}}'


def parsed(body: bytes) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(json_to_protobuf(body).protobuf)


def spans_of(body: bytes) -> list[Span]:
    return [span for resource in parsed(body).resource_spans for scope in resource.scope_spans for span in scope.spans]


def span_of(members: str = "") -> Span:
    (span,) = spans_of(request_of(span_text(members)))
    return span


def value_of(text: str) -> AnyValue:
    """The value of the only attribute of a span, from the text of its `value`."""
    (attribute,) = span_of(f'"attributes":[{{"key":"k","value":{text}}}]').attributes
    return attribute.value


def rejected(members: str) -> dict[str, int]:
    """Why our decoder refuses a span with these members; a valid span beside it must survive."""
    body = json_to_protobuf(request_of(span_text(members), span_text()))
    ExportTraceServiceRequest.FromString(body.protobuf)
    decoded = decode(body.protobuf)
    assert len(decoded.batch) == 2 - sum(decoded.rejected.values())
    assert bool(body.warnings) == bool(decoded.rejected)
    return decoded.rejected


def test_json_01_the_protocols_own_span_becomes_its_protobuf_byte_for_byte() -> None:
    assert json_to_protobuf(ONE_SPAN).protobuf == ONE_SPAN_PROTOBUF
    assert json_to_protobuf(ONE_SPAN).warnings == ()


def test_json_02_keys_in_snake_case_are_known_too() -> None:
    snake = ONE_SPAN
    for camel, other in {
        b"resourceSpans": b"resource_spans",
        b"scopeSpans": b"scope_spans",
        b"traceId": b"trace_id",
        b"spanId": b"span_id",
        b"startTimeUnixNano": b"start_time_unix_nano",
        b"endTimeUnixNano": b"end_time_unix_nano",
    }.items():
        snake = snake.replace(camel, other)
    assert json_to_protobuf(snake).protobuf == ONE_SPAN_PROTOBUF
    assert (
        value_of('{"kvlist_value":{"values":[{"key":"a","value":{"int_value":1}}]}}').kvlist_value.values[0].value.int_value == 1
    )


def test_json_03_unknown_keys_are_skipped_at_every_level_with_all_that_is_in_them() -> None:
    junk = '"zzz":{"a":[1,{"spans":[{"name":"x"}],"b":[[],{},"\\u0041",true,false,null,-1.5e3]}]},"":0,"traceid":1'
    body = (
        f'{{{junk},"resourceSpans":[{{{junk},"resource":{{{junk},"attributes":[],"schemaUrl":"https://x/1"}},"scopeSpans":[{{'
        f'"scope":{{{junk},"name":"s"}},{junk},"spans":[{{{junk},"traceId":"{TRACE_ID}","spanId":"{SPAN_ID}",'
        f'"attributes":[{{{junk},"key":"k","value":{{{junk},"arrayValue":{{{junk},"values":[{{{junk},"intValue":1}}]}}}}}}],'
        f'"events":[{{{junk},"name":"e"}}],"links":[{{{junk},"traceState":"t"}}],"status":{{{junk},"code":1}}}}]}}]}}]}}'
    ).encode()
    (resource,) = parsed(body).resource_spans
    (span,) = resource.scope_spans[0].spans
    assert resource.scope_spans[0].scope.name == "s"
    assert span.attributes[0].value.array_value.values[0].int_value == 1
    assert (span.events[0].name, span.links[0].trace_state, span.status.code) == ("e", "t", 1)
    assert span.name == ""


@pytest.mark.parametrize("trace_id", [TRACE_ID, TRACE_ID.upper()])
def test_json_04_ids_are_hexadecimal_digits_of_any_case(trace_id: str) -> None:
    (span,) = spans_of(request_of({"traceId": trace_id, "spanId": SPAN_ID, "links": [{"traceId": trace_id, "spanId": SPAN_ID}]}))
    assert span.trace_id.hex() == TRACE_ID
    assert (span.links[0].trace_id.hex(), span.links[0].span_id.hex()) == (TRACE_ID, SPAN_ID)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ('"traceId":"cgXI6uihz643E6Zqq7Nl4w=="', "trace_id_length"),
        (f'"traceId":"{TRACE_ID[:-1]}"', "trace_id_length"),
        (f'"traceId":"{TRACE_ID}0"', "trace_id_length"),
        (f'"traceId":"{TRACE_ID[:-1]}g"', "trace_id_length"),
        ('"traceId":[91,142]', "trace_id_length"),
        ('"traceId":{"a":[1]}', "trace_id_length"),
        ('"traceId":17', "trace_id_length"),
        ('"traceId":true', "trace_id_length"),
        ('"spanId":"7uGbfsPBsXQ="', "span_id_length"),
        ('"spanId":[1,2,3]', "span_id_length"),
        ('"parentSpanId":"7uGbfsPBsXQ="', "parent_span_id_length"),
        ('"parentSpanId":false', "parent_span_id_length"),
        ('"links":[{"traceId":[1,2,3]}]', "trace_id_length"),
        ('"links":[{"spanId":"12"}]', "trace_id_length"),
    ],
)
def test_json_05_an_id_that_is_not_hexadecimal_refuses_its_span_alone(members: str, reason: str) -> None:
    assert rejected(members) == {reason: 1}


def test_json_05_a_refused_span_is_named_in_the_warning() -> None:
    bad = span_text('"spanId":"x"')
    warnings = json_to_protobuf(request_of(span_text(), bad, bad, span_text())).warnings
    named = "resourceSpans[0].scopeSpans[0].spans[1].spanId is not an id in hexadecimal digits"
    assert warnings == (f"{named}: its span is refused, and 1 more for like reasons",)


@pytest.mark.parametrize("members", ["", '"parentSpanId":""', '"parentSpanId":null', '"parentSpanId":"0000000000000000"'])
def test_json_06_an_empty_absent_null_or_zero_parent_makes_a_root(members: str) -> None:
    assert rejected(members) == {}
    assert not any(span_of(members).parent_span_id)


@pytest.mark.parametrize("value", [1544712660000000001, 2**53 + 1, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("form", ["{}", '"{}"'])
def test_json_07_times_are_exact_to_the_last_digit(value: int, form: str) -> None:
    assert span_of(f'"startTimeUnixNano":{form.format(value)}').start_time_unix_nano == value


@pytest.mark.parametrize("value", [-(2**63), 2**63 - 1, -1, 0, 2**53 + 1])
@pytest.mark.parametrize("form", ["{}", '"{}"'])
def test_json_07_integers_are_exact_to_the_last_digit(value: int, form: str) -> None:
    assert value_of(f'{{"intValue":{form.format(value)}}}').int_value == value


@pytest.mark.parametrize(("text", "value"), [("1.0", 1), ("1e3", 1000), ('"1e3"', 1000), ("-2.50e1", -25), ("-0", 0), ("0e5", 0)])
def test_json_08_whole_numbers_may_be_written_with_point_or_exponent(text: str, value: int) -> None:
    assert value_of(f'{{"intValue":{text}}}').int_value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e+21", 1e21),
        ("9223372036854775808", 2.0**63),
        ("-9223372036854775809", -(2.0**63)),
        ('"99999999999999999999"', 1e20),
        ("9223372036854775807000001", 9.223372036854776e24),
        ("1e400", math.inf),
    ],
)
def test_json_09_an_integer_beyond_64_bits_becomes_a_double(text: str, value: float) -> None:
    assert value_of(f'{{"intValue":{text}}}') == AnyValue(double_value=value)


def test_json_10_a_double_that_is_null_is_an_empty_value() -> None:
    assert value_of('{"doubleValue":null}') == AnyValue()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3.0),
        ("0.1", 0.1),
        ('"0.1"', 0.1),
        ("-0.0", -0.0),
        ('"Infinity"', math.inf),
        ('"-Infinity"', -math.inf),
        ("5e-324", 5e-324),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("9007199254740993.0000000000000000000000001", 9007199254740994.0),
        ("9007199254740993.0", 9007199254740992.0),
        ("1e400", math.inf),
    ],
)
def test_json_11_doubles_are_numbers_texts_or_names(text: str, value: float) -> None:
    found = value_of(f'{{"doubleValue":{text}}}')
    assert found.WhichOneof("value") == "double_value"
    assert math.copysign(1, found.double_value) == math.copysign(1, value)
    assert found.double_value == value


def test_json_11_not_a_number_has_a_name() -> None:
    assert math.isnan(value_of('{"doubleValue":"NaN"}').double_value)


def test_json_11_many_doubles_that_only_float_can_decide_do_not_disturb_what_is_around_them() -> None:
    hard = "9007199254740993.0"
    values = ",".join(f'{{"doubleValue":{hard}}},{{"stringValue":"{"x" * 200}"}}' for _ in range(50))
    elements = value_of(f'{{"arrayValue":{{"values":[{values}]}}}}').array_value.values
    assert [element.double_value for element in elements[::2]] == [9007199254740992.0] * 50
    assert {element.string_value for element in elements[1::2]} == {"x" * 200}


def test_json_12_null_is_absent_for_every_field() -> None:
    names = (
        "traceState",
        "parentSpanId",
        "flags",
        "name",
        "kind",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "attributes",
        "events",
        "links",
    )
    names += ("droppedAttributesCount", "droppedEventsCount", "droppedLinksCount", "status")
    body = request_of({"traceId": TRACE_ID, "spanId": SPAN_ID, **dict.fromkeys(names)})
    (span,) = spans_of(body)
    assert span == Span(trace_id=bytes.fromhex(TRACE_ID), span_id=bytes.fromhex(SPAN_ID))
    assert parsed(b'{"resourceSpans":null}') == ExportTraceServiceRequest()
    resource = parsed(
        b'{"resourceSpans":[{"resource":null,"scopeSpans":[{"scope":null,"spans":null,"schemaUrl":null}]}]}'
    ).resource_spans[0]
    assert not resource.HasField("resource")
    assert not resource.scope_spans[0].HasField("scope")


def test_json_12_null_among_the_elements_of_a_list_is_skipped() -> None:
    span = span_of('"attributes":[null,{"key":"a"},null],"events":[null],"links":[null]')
    assert [attribute.key for attribute in span.attributes] == ["a"]
    assert (len(span.events), len(span.links)) == (0, 0)


def test_json_12_an_attribute_whose_value_is_null_is_kept() -> None:
    (attribute,) = span_of('"attributes":[{"key":"a","value":null}]').attributes
    assert (attribute.key, attribute.HasField("value")) == ("a", False)


@pytest.mark.parametrize(
    ("text", "kind"), [("2", 2), ('"SPAN_KIND_SERVER"', 2), ('"2"', 2), ("9", 9), ('"SPAN_KIND_CONSUMER"', 5), ("-1", -1)]
)
def test_json_13_kinds_are_numbers_or_names(text: str, kind: int) -> None:
    assert span_of(f'"kind":{text}').kind == kind


@pytest.mark.parametrize(
    ("text", "code"), [("2", 2), ('"STATUS_CODE_ERROR"', 2), ('"STATUS_CODE_OK"', 1), ('"STATUS_CODE_UNSET"', 0)]
)
def test_json_13_status_codes_are_numbers_or_names(text: str, code: int) -> None:
    assert span_of(f'"status":{{"code":{text}}}').status.code == code


@pytest.mark.parametrize(
    "members",
    [
        '"kind":"FOO"',
        '"kind":"STATUS_CODE_OK"',
        '"kind":"name"',
        '"kind":""',
        '"kind":2147483648',
        '"status":{"code":"SPAN_KIND_SERVER"}',
    ],
)
def test_json_13_an_unknown_name_refuses_its_span_alone(members: str) -> None:
    assert rejected(members) == {"trace_id_length": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("AP8=", b"\x00\xff"),
        ("AP8", b"\x00\xff"),
        ("_-8=", b"\xff\xef"),
        ("", b""),
        ("\\/\\/8=", b"\xff\xff"),
        ("\\u002b\\u002b8=", b"\xfb\xef"),
        ("AA==", b"\x00"),
        ("AA", b"\x00"),
        ("AAEC", b"\x00\x01\x02"),
        ("A" * 400, b"\x00" * 300),
    ],
)
def test_json_14_bytes_are_base64_of_either_alphabet_padded_or_not(text: str, value: bytes) -> None:
    assert value_of(f'{{"bytesValue":"{text}"}}') == AnyValue(bytes_value=value)


@pytest.mark.parametrize("text", ["%%", "A", "AAAAA", "A===", "AA=", "AA=A", "A A=", "=", "AAA=="])
def test_json_14_what_is_not_base64_refuses_its_span_alone(text: str) -> None:
    assert rejected(f'"attributes":[{{"key":"k","value":{{"bytesValue":"{text}"}}}}]') == {"trace_id_length": 1}


def test_json_14_what_is_not_base64_outside_of_a_span_refuses_the_request() -> None:
    body = b'{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":{"bytesValue":"%%"}}]}}]}'
    with pytest.raises(MalformedRequest) as raised:
        json_to_protobuf(body)
    assert raised.value.field == "resourceSpans[0].resource.attributes[0].value.bytesValue"


def test_json_15_of_two_members_of_a_value_the_last_wins() -> None:
    assert value_of('{"stringValue":"a","intValue":"5"}') == AnyValue(int_value=5)
    assert value_of('{"intValue":"5","stringValue":"a"}') == AnyValue(string_value="a")


def test_json_15_of_two_equal_keys_the_last_wins() -> None:
    span = span_of(f'"name":"first","name":"last","kind":1,"kind":3,"traceId":"x","traceId":"{TRACE_ID}"')
    assert (span.name, span.kind) == ("last", 3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"[]",
        b"1234",
        b'"x"',
        b"null",
        b"true",
        b'{"x"',
        b"{",
        b'{"resourceSpans":',
        b'{"resourceSpans":{}}',
        b'{"resourceSpans":[[]]}',
        b'{"resourceSpans":[1]}',
        b'{"resourceSpans":"x"}',
        b'{"resourceSpans":true}',
        b'{"resourceSpans":[{"resource":[]}]}',
        b"{}x",
        b"{}{}",
        b"{} null",
        b"{,}",
        b'{"a":1,}',
        b'{"a":[1,]}',
        b'{"a":[1 2]}',
        b'{"a" 1}',
        b"{a:1}",
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":1.}',
        b'{"a":NaN}',
        b'{"a":tru}',
        b'{"a":nul}',
        b'{"a":"\n"}',
        b'{"a":"\\x"}',
        b'{"a":"\\u12g4"}',
        b'{"a":[1}',
        b'{"a":{]}',
        b"\xef\xbb\xbf{}",
        b'{"resourceSpans":[{"resource":{"droppedAttributesCount":-1}}]}',
    ],
)
def test_json_16_what_is_not_json_or_not_a_request_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        json_to_protobuf(body)


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ('"name":5', "name"),
        ('"name":true', "name"),
        ('"name":["n"]', "name"),
        ('"kind":true', "kind"),
        ('"kind":1.5', "kind"),
        ('"startTimeUnixNano":"x"', "startTimeUnixNano"),
        ('"startTimeUnixNano":""', "startTimeUnixNano"),
        ('"startTimeUnixNano":" 1"', "startTimeUnixNano"),
        ('"endTimeUnixNano":{}', "endTimeUnixNano"),
        ('"attributes":{}', "attributes"),
        ('"attributes":"x"', "attributes"),
        ('"status":1', "status"),
        ('"events":[1]', "events[0]"),
        ('"attributes":[{"key":"k"},{"key":"k","value":"v"}]', "attributes[1].value"),
        ('"attributes":[{"key":"k","value":{"boolValue":"true"}}]', "attributes[0].value.boolValue"),
        ('"attributes":[{"key":"k","value":{"boolValue":1}}]', "attributes[0].value.boolValue"),
        ('"attributes":[{"key":"k","value":{"intValue":1.5}}]', "attributes[0].value.intValue"),
        ('"attributes":[{"key":"k","value":{"intValue":"NaN"}}]', "attributes[0].value.intValue"),
        ('"attributes":[{"key":"k","value":{"doubleValue":"inf"}}]', "attributes[0].value.doubleValue"),
        ('"attributes":[{"key":"k","value":{"doubleValue":true}}]', "attributes[0].value.doubleValue"),
        ('"attributes":[{"key":"k","value":{"bytesValue":5}}]', "attributes[0].value.bytesValue"),
        ('"attributes":[{"key":"k","value":{"arrayValue":[]}}]', "attributes[0].value.arrayValue"),
        ('"attributes":[{"key":"k","value":{"arrayValue":{"values":[5]}}}]', "attributes[0].value.arrayValue.values[0]"),
    ],
)
def test_json_16_a_value_of_the_wrong_shape_refuses_the_request_and_is_named(members: str, field: str) -> None:
    with pytest.raises(MalformedRequest) as raised:
        json_to_protobuf(request_of(span_text(), span_text(members)))
    assert raised.value.field == f"resourceSpans[0].scopeSpans[0].spans[1].{field}"


def test_json_16_a_syntax_error_before_any_key_is_named_by_its_position() -> None:
    with pytest.raises(MalformedRequest) as raised:
        json_to_protobuf(b"  {!")
    assert raised.value.field == "byte 3"


@pytest.mark.parametrize("key", ["instrumentationLibrarySpans", "instrumentation_library_spans"])
def test_json_17_spans_in_the_way_before_2022_are_ignored_with_a_warning(key: str) -> None:
    body = f'{{"resourceSpans":[{{"{key}":[{{"spans":[{{"name":"n"}}]}}]}}]}}'.encode()
    assert spans_of(body) == []
    assert json_to_protobuf(body).warnings == (OLD_LIBRARY_WARNING,)


@pytest.mark.parametrize("form", ["{}", '"{}"'])
def test_json_18_numbers_of_32_bits_may_be_texts(form: str) -> None:
    largest = form.format(2**32 - 1)
    span = span_of(
        f'"droppedAttributesCount":{largest},"droppedEventsCount":{form.format(7)},"droppedLinksCount":{largest},"flags":{largest},'
        f'"links":[{{"flags":{form.format(0x301)},"droppedAttributesCount":{largest}}}],"events":[{{"droppedAttributesCount":{largest}}}]'
    )
    assert (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count) == (2**32 - 1, 7, 2**32 - 1)
    assert (span.flags, span.links[0].flags, span.links[0].dropped_attributes_count) == (2**32 - 1, 0x301, 2**32 - 1)
    assert span.events[0].dropped_attributes_count == 2**32 - 1


@pytest.mark.parametrize("members", ['"flags":-1', '"droppedEventsCount":4294967296', '"events":[{"droppedAttributesCount":-1}]'])
def test_json_18_a_number_beyond_32_bits_refuses_its_span_alone(members: str) -> None:
    assert rejected(members) == {"trace_id_length": 1}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a\\u0000b", "a\0b"),
        (b"\\ud83d\\ude00", "\U0001f600"),
        (b"\\uD83D\\uDE00!", "\U0001f600!"),
        (b"\\ud83d", "\ufffd"),
        (b"\\ude00x", "\ufffdx"),
        (b"\\ud83d\\u0041", "\ufffdA"),
        (b"\\ud83d\\ud83d\\ude00", "\ufffd\U0001f600"),
        (b"\\ud83d\\n", "\ufffd\n"),
        (b"\xff", "\ufffd"),
        (b"abcdefg\xc3\x28", "abcdefg\ufffd("),
        (b"\xf0\x9f\x98", "\ufffd"),
        ("é漢字😀".encode(), "é漢字😀"),
        (b'\\"\\\\\\/\\b\\f\\n\\r\\t', '"\\/\b\f\n\r\t'),
        (b"\\u00e9\\u6f22", "é漢"),
        (b"\x7f", "\x7f"),
    ],
)
@pytest.mark.parametrize("padding", [0, 3, 7, 8, 121, 127, 16_380])
def test_json_19_text_of_any_kind_is_kept_or_repaired(raw: bytes, text: str, padding: int) -> None:
    body = request_of(span_text()).replace(b'"name":"n"', b'"name":"' + b"p" * padding + raw + b'"')
    (span,) = spans_of(body)
    assert span.name == "p" * padding + text


def test_json_19_keys_and_ids_may_be_escaped() -> None:
    body = ONE_SPAN.replace(b'"name"', b'"n\\u0061me"').replace(b'"5b8e', b'"\\u0035b8e').replace(b'"1544', b'"\\u0031544')
    assert json_to_protobuf(body).protobuf == ONE_SPAN_PROTOBUF


def test_json_20_white_space_and_the_order_of_keys_do_not_matter() -> None:
    document = json.loads(ONE_SPAN)
    pretty = b"\r\n\t " + json.dumps(document, indent="\t", separators=(" , ", "\r\n: ")).encode() + b" \n"
    assert json_to_protobuf(pretty).protobuf == ONE_SPAN_PROTOBUF
    scope = b'"scopeSpans":[{"spans":[],"scope":{"name":"s"}}]'
    late = b'{"resourceSpans":[{"schemaUrl":"u",' + scope + b',"resource":{"droppedAttributesCount":1}}]}'
    (resource,) = parsed(late).resource_spans
    assert (resource.resource.dropped_attributes_count, resource.scope_spans[0].scope.name, resource.schema_url) == (1, "s", "u")


@pytest.mark.parametrize(
    "members",
    [
        '"endTimeUnixNano":"-1"',
        '"startTimeUnixNano":-5',
        '"endTimeUnixNano":18446744073709551616',
        '"events":[{"timeUnixNano":"-1"}]',
    ],
)
def test_json_21_a_time_that_cannot_be_refuses_its_span_alone(members: str) -> None:
    assert rejected(members) == {"trace_id_length": 1}


def test_http_17_requests_without_spans_are_valid() -> None:
    assert json_to_protobuf(b"{}").protobuf == b""
    assert json_to_protobuf(b'{"resourceSpans":[]}').protobuf == b""


def nested_array(levels: int) -> str:
    return '{"arrayValue":{"values":[' * levels + '{"stringValue":"deep"}' + "]}}" * levels


def nested_list(levels: int) -> str:
    return '{"kvlistValue":{"values":[{"key":"k","value":' * levels + '{"intValue":1}' + "}]}}" * levels


@pytest.mark.parametrize("nested", [nested_array, nested_list])
def test_limit_08_sixty_levels_of_values_are_converted_and_decoded(nested: Any) -> None:
    request = json_to_protobuf(request_of(span_text(f'"attributes":[{{"key":"k","value":{nested(60)}}}]')))
    assert len(decode(request.protobuf).batch) == 1


@pytest.mark.parametrize("nested", [nested_array, nested_list, lambda levels: "[" * levels, lambda levels: '{"x":' * levels])
@pytest.mark.parametrize("key", ["value", "unknown"])
def test_limit_08_a_hundred_thousand_levels_are_malformed(nested: Any, key: str) -> None:
    with pytest.raises(MalformedRequest):
        json_to_protobuf(request_of(span_text(f'"attributes":[{{"key":"k","{key}":{nested(100_000)}}}]')))


def test_limit_08_values_of_forty_levels_are_read_by_the_protobuf_library() -> None:
    value = value_of(nested_array(40))
    for _ in range(40):
        (value,) = value.array_value.values
    assert value.string_value == "deep"


def test_limit_09_large_strings_and_many_attributes_are_converted() -> None:
    attributes = json.dumps([{"key": f"k{index}", "value": {"intValue": index}} for index in range(1000)])
    span = span_of(f'"traceState":"{"x" * (1 << 20)}","attributes":{attributes}')
    assert len(span.trace_state) == 1 << 20
    assert [attribute.value.int_value for attribute in span.attributes] == list(range(1000))


def test_data_10_every_type_of_value_is_legal_everywhere_and_set_but_zero_is_not_empty() -> None:
    members = {"stringValue": "", "boolValue": False, "intValue": 0, "doubleValue": 0, "arrayValue": {}, "kvlistValue": {}}
    values = json.dumps([*({name: value} for name, value in members.items()), {"bytesValue": ""}, {}])
    (attribute,) = span_of(f'"attributes":[{{"key":"k","value":{{"arrayValue":{{"values":{values}}}}}}}]').attributes
    kinds = [value.WhichOneof("value") for value in attribute.value.array_value.values]
    expected = ["string_value", "bool_value", "int_value", "double_value", "array_value", "kvlist_value", "bytes_value", None]
    assert kinds == expected


def test_data_11_null_in_a_list_of_values_is_an_empty_value_in_its_place() -> None:
    elements = value_of('{"arrayValue":{"values":[null,{"intValue":1},{},null]}}').array_value.values
    assert [element.WhichOneof("value") for element in elements] == [None, "int_value", None, None]
    assert len(value_of('{"kvlistValue":{"values":[null,{"key":"a"}]}}').kvlist_value.values) == 1


def test_data_21_entity_references_are_no_reason_to_refuse() -> None:
    body = b'{"resourceSpans":[{"resource":{"entityRefs":[{"schemaUrl":"","type":"host","idKeys":["host.id"]}]}}]}'
    assert len(parsed(body).resource_spans) == 1


def test_err_a_message_tells_neither_paths_of_files_nor_more_of_the_text_than_its_keys() -> None:
    with pytest.raises(MalformedRequest) as raised:
        json_to_protobuf(b'{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":{"boolValue":"secret"}}]}}]}')
    assert str(raised.value) == (
        "not a valid OTLP/JSON trace request: a value is of another kind than its field, at byte 77"
        " (resourceSpans[0].resource.attributes[0].value.boolValue)"
    )
