"""Conditions on columns say of each span and event what plain Python says of it."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.processors.ottl.evaluate import Evaluator, attribute_keys
from collector.processors.ottl.fields import Fields
from config.ottl import Context, OttlError, read_condition
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support import ottl_oracle as oracle
from tests.support.requests import EPOCH, every_value_request, generated_request, key_values

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 2**53 + 1, -(2**63), 0.0, 0.5, 1.0, -2.5, float("inf"), float("nan"), float(2**53)),
    *("", "a", "ab", "b", "1", "é", "true", b"", b"a", b"b", [], [1, "a"], [[1.0]], {}, {"a": 1}, {"a": {"b": [None, "x"]}}),
]
KEYS = ("a", "b", "long.key.of.an.attribute")


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    """A few spans with a few attributes of all types."""
    attributes = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(1, 2))):
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.extend(key_values(draw(attributes)))
        for _ in range(draw(st.integers(1, 2))):
            scope_spans = resource_spans.scope_spans.add()
            scope_spans.scope.name = draw(st.sampled_from(["", "a", "b"]))
            for number in range(draw(st.integers(0, 3))):
                start = EPOCH + draw(st.integers(0, 2))
                span = scope_spans.spans.add(
                    trace_id=bytes([1 + number]) * 16,
                    span_id=bytes([1 + number]) * 8,
                    parent_span_id=draw(st.sampled_from([b"", b"\1" * 8, b"\2" * 8])),
                    name=draw(st.sampled_from(["", "a", "ab"])),
                    kind=draw(st.sampled_from([0, 1, 2, 3])),
                    start_time_unix_nano=start,
                    end_time_unix_nano=start + draw(st.integers(0, 2)),
                    trace_state=draw(st.sampled_from(["", "a=1", "b=2, a=x"])),
                    attributes=key_values(draw(attributes)),
                )
                span.status.code = draw(st.sampled_from([0, 1, 2]))
                for _ in range(draw(st.integers(0, 2))):
                    span.events.add(
                        name=draw(st.sampled_from(["", "a"])), time_unix_nano=start, attributes=key_values(draw(attributes))
                    )
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\1" * 16, span_id=b"\1" * 8)
    return request


ANYTHING = [f'{owner}.attributes["{key}"]' for owner in ("span", "resource") for key in KEYS[:2]]
ANYTHING += [f'span.attributes["{KEYS[2]}"]', 'span.attributes["absent"]', 'scope.attributes["a"]']
CONSTANTS = ["nil", "true", "false", "0", "1", "-1", "0.5", "1.0", '""', '"a"', '"ab"', '"1"', "0x61", '[1, "a"]', '{"a": 1}']
TEXTS = ["span.name", "scope.name", 'span.trace_state["a"]', "span.kind.string", "span.parent_span_id.string", '"a"', '""']
WHOLE = ["span.kind", "span.status.code", "span.dropped_events_count", "1", "0", "-3"]
SIGNS = ["==", "!=", "<", "<=", ">", ">="]

values = st.sampled_from([*ANYTHING, *ANYTHING, *CONSTANTS])
texts = st.sampled_from([*ANYTHING, *TEXTS])
whole = st.one_of(
    st.sampled_from([*ANYTHING, *WHOLE]),
    st.builds("Len({})".format, texts),
    st.builds("Int({})".format, values),
)
worked_out = st.one_of(
    values,
    texts,
    st.builds("({} {} {})".format, whole, st.sampled_from("+-*/"), whole),
    st.builds("({} {} {})".format, st.sampled_from(ANYTHING), st.sampled_from("+-*/"), st.sampled_from(["0.5", "0.0"])),
    st.builds("(span.end_time - span.start_time + {})".format, st.sampled_from(['Duration("1ns")'])),
    st.builds('Concat([{}, {}], "-")'.format, values, texts),
    st.builds("Coalesce([{}, {}, {}])".format, st.sampled_from(ANYTHING), st.sampled_from(ANYTHING), values),
    st.builds("Substring({}, 0, {})".format, texts, st.sampled_from([1, 2])),
    st.builds('Split({}, "b")[0]'.format, texts),
    st.builds("ToUpperCase({})".format, texts),
    st.builds('{}["a"]'.format, st.sampled_from(ANYTHING)),
    st.builds("{}[1]".format, st.sampled_from(ANYTHING)),
)
tests_of_values = st.one_of(
    st.builds("{} {} {}".format, worked_out, st.sampled_from(SIGNS), worked_out),
    st.builds("{} {} {}".format, whole, st.sampled_from(SIGNS), whole),
    st.builds("IsMatch({}, {})".format, values, st.sampled_from(['"a"', '"^a$"', '"1"', '"^$"', '"e"'])),
    st.builds("{}({})".format, st.sampled_from(["IsString", "IsInt", "IsDouble", "IsBool", "IsMap", "IsList"]), values),
    st.builds("{}({}, {})".format, st.sampled_from(["HasPrefix", "HasSuffix"]), texts, texts),
    st.sampled_from(
        [
            "IsRootSpan()",
            "span.parent_span_id == SpanID(0x0101010101010101)",
            "span.parent_span_id == SpanID(0x0000000000000000)",
            "span.parent_span_id < span.span_id",
            "span.end_time > span.start_time",
            "Coalesce([nil, span.end_time]) > span.start_time",
            'span.end_time - span.start_time <= Duration("1ns")',
            "span.end_time_unix_nano - span.start_time_unix_nano == 1",
            "Len(span.events) > 1",
            "Len(span.attributes) == Len(resource.attributes)",
            "true",
        ]
    ),
)
conditions = st.recursive(
    tests_of_values,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)


def verdicts(batch: SpanBatch, text: str, context: Context) -> list[bool | None]:
    """What columns say: whether the condition holds, None where it fails."""
    condition = read_condition(text, context)
    truth = Evaluator(Fields(batch, attribute_keys([condition]))).evaluate(condition)
    assert not (truth.holds & truth.failed).any()
    assert truth.failure or not truth.failed.any()
    return [None if failed else bool(holds) for holds, failed in zip(truth.holds, truth.failed, strict=True)]


def expected(request: ExportTraceServiceRequest, text: str, context: Context) -> list[bool | None]:
    """What the oracle says."""
    root = read_condition(text, context).root
    subjects = oracle.spans(request) if context == "span" else oracle.events(request)
    return [oracle.verdict(root, subject) for subject in subjects]


@settings(max_examples=400, deadline=None)
@given(requests(), conditions)
def test_spans_are_judged_as_by_the_oracle(request: ExportTraceServiceRequest, text: str) -> None:
    try:
        read_condition(text, "span")
    except OttlError:
        return
    batch = decode(request.SerializeToString()).batch
    assert verdicts(batch, text, "span") == expected(request, text, "span")


@settings(max_examples=200, deadline=None)
@given(requests(), conditions, st.sampled_from(["attributes", "spanevent.attributes"]))
def test_events_are_judged_as_by_the_oracle(request: ExportTraceServiceRequest, text: str, of_event: str) -> None:
    request.resource_spans[0].scope_spans[0].spans.add(trace_id=b"\1" * 16, span_id=b"\1" * 8).events.add(name="a")
    text = f'{text} and (name == "a" or {of_event}["a"] == {of_event}["b"] or event_index > 0)'
    text = text.replace("span.attributes", of_event, 1)
    try:
        read_condition(text, "spanevent")
    except OttlError:
        return
    batch = decode(request.SerializeToString()).batch
    assert verdicts(batch, text, "spanevent") == expected(request, text, "spanevent")


@pytest.mark.parametrize("left", VALUES, ids=repr)
def test_every_pair_of_types_is_compared_by_the_rules(left: Any) -> None:
    """The comparison matrix: every value against every value, with every operator, as attributes of spans."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for right in VALUES:
        spans.add(trace_id=b"\1" * 16, span_id=b"\1" * 8, attributes=key_values({"a": left, "b": right}))
    batch = decode(request.SerializeToString()).batch
    for sign in SIGNS:
        text = f'attributes["a"] {sign} attributes["b"]'
        assert verdicts(batch, text, "span") == [oracle.compare(sign, left, right) for right in VALUES], sign


FORMS = [
    'span.attributes["url.path"] == "/healthz"',
    'IsMatch(span.name, "^(GET|HEAD) /internal/")',
    'resource.attributes["service.name"] == "load-tester"',
    'span.attributes["http.route"] == "/ping" and span.status.code != STATUS_CODE_ERROR',
    'span.name == "readyz" or span.name == "livez"',
    'not IsMatch(resource.attributes["k8s.namespace.name"], "^prod-")',
    'span.attributes["tenant.id"] != nil',
    'resource.attributes["service.version"] == nil',
    "span.kind == SPAN_KIND_INTERNAL",
    "span.status.code == STATUS_CODE_ERROR",
    'span.attributes["http.response.status_code"] >= 500',
    'Int(span.attributes["http.status_code"]) >= 400',
    '(span.end_time - span.start_time) < Duration("1ns")',
    "IsRootSpan()",
    "span.parent_span_id == SpanID(0x0000000000000000)",
    'Substring("a", 0, 2) == Split(span.attributes["a"], "b")[0]',
    'instrumentation_scope.name == "io.example.jdbc"',
    'IsString(span.attributes["user"]) and Len(span.attributes["user"]) > 64',
    'HasPrefix(span.name, "SELECT ")',
]


@pytest.mark.parametrize("text", FORMS)
def test_the_usual_forms_are_judged_as_by_the_oracle_over_joined_requests(text: str) -> None:
    messages = [generated_request(seed=1), every_value_request(), generated_request(seed=2)]
    batch = concatenate([decode(message.SerializeToString()).batch for message in messages])
    said = [verdict for message in messages for verdict in expected(message, text, "span")]
    assert verdicts(batch, text, "span") == said
    # Of a piece of a batch the same is said, though its tables hold the others as well.
    assert verdicts(batch.select(slice(500, 530)), text, "span") == said[500:530]


def test_of_an_attribute_that_is_there_twice_the_first_counts() -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\1" * 16, span_id=b"\1" * 8)
    span.attributes.extend([*key_values({"x": 0, "a": 1}), *key_values({"a": 2})])
    assert verdicts(decode(request.SerializeToString()).batch, 'attributes["a"] == 1', "span") == [True]


def test_a_list_that_is_nested_too_deep_to_be_read_equals_nothing_and_harms_nothing() -> None:
    def field(number: int, *parts: bytes) -> bytes:
        content = b"".join(parts)
        assert len(content) < 1 << 14
        return bytes([number << 3 | 2, len(content) & 0x7F | 0x80, len(content) >> 7]) + content

    nested = b""
    for _ in range(60):
        nested = field(5, field(1, nested))
    ids = field(1, b"\1" * 16) + field(2, b"\1" * 8)
    attributes = [field(9, field(1, key), field(2, value)) for key, value in ((b"a", nested), (b"b", field(5, b"")))]
    body = field(1, field(2, field(2, ids, *attributes)))
    with pytest.raises(DecodeError):
        ExportTraceServiceRequest.FromString(body)
    batch = decode(body).batch
    for text, verdict in {
        'attributes["a"] == attributes["b"]': False,
        'attributes["a"] == []': False,
        'attributes["a"] != []': True,
        'IsList(attributes["a"])': True,
        'Len(attributes["a"]) > 5': None,
        'attributes["a"][0] == nil': None,
    }.items():
        assert verdicts(batch, text, "span") == [verdict], text


@pytest.mark.parametrize("many", [240, 256, 1000])
def test_functions_are_worked_out_for_as_many_values_as_there_are(many: int) -> None:
    request = ExportTraceServiceRequest()
    found = request.resource_spans.add().scope_spans.add().spans
    for number in range(many):
        given = {"n": str(number) if number % 3 else number, "t": [number], "u": None}
        found.add(trace_id=b"\1" * 16, span_id=(number + 1).to_bytes(8, "big"), name="s", attributes=key_values(given))
    batch = decode(request.SerializeToString()).batch
    for text in (
        'Int(attributes["n"]) >= 100',
        'span_id.string == "0000000000000064"',
        'Concat([attributes["n"], attributes["t"]], "") != "x"',
    ):
        assert verdicts(batch, text, "span") == expected(request, text, "span"), text
