"""The processors `attributes` and `resource`: their actions, and the spans they choose, against plain Python over messages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.processors.attributes import SpanAttributes
from collector.processors.resource import ResourceAttributes
from collector.processors.selection import Selection
from config.attribute_actions import AttributeAction, AttributesProcessor, ResourceProcessor
from config.selection import SpanMatch
from proto.attribute_search import find_attributes
from proto.join import concatenate
from proto.native_encode import encode
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support import attribute_actions as plainly
from tests.support.messages import canonical_spans
from tests.support.requests import EPOCH, key_values, spans_of

KEYS = ("a", "b", "ab", "service.name", "http.request.header.authorization")
TEXTS = ("", "a", "12", "-3", "1.5", "x=1,y=2", "GET /users/7", "9" * 30, "grüße")
VALUES = st.one_of(
    st.sampled_from(TEXTS),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.sampled_from([0.5, -2.25, 1000.0, 0.0]),
    st.just(b"\x00\xff"),
    st.none(),
    st.just([1, "a", None]),
    st.just({"k": "v"}),
)
SCALARS = st.one_of(st.sampled_from(TEXTS[1:]), st.integers(-5, 5), st.booleans(), st.sampled_from([0.5, 3.0]))
PATTERNS = st.sampled_from(["^a", "b$", "header", ".", "nothing", "^service"])
ACTIONS = st.one_of(
    st.builds(
        lambda action, key, value: AttributeAction(action=action, key=key, value=value),
        st.sampled_from(["insert", "update", "UPSERT"]),
        st.sampled_from(KEYS),
        SCALARS,
    ),
    st.builds(
        lambda action, key, source, default: AttributeAction(
            action=action, key=key, from_attribute=source, default_value=default
        ),
        st.sampled_from(["insert", "update", "upsert"]),
        st.sampled_from(KEYS),
        st.sampled_from(KEYS),
        st.none() | SCALARS,
    ),
    st.builds(
        lambda action, key, pattern: AttributeAction(action=action, key=key, pattern=pattern),
        st.sampled_from(["delete", "hash"]),
        st.sampled_from(("", *KEYS)),
        PATTERNS,
    ),
    st.builds(
        lambda action, key: AttributeAction(action=action, key=key), st.sampled_from(["delete", "hash"]), st.sampled_from(KEYS)
    ),
    st.builds(
        lambda key, pattern: AttributeAction(action="extract", key=key, pattern=pattern),
        st.sampled_from(KEYS),
        st.sampled_from([r"x=(?P<x>\d)(?:,z=(?P<z>\d))?", r"^(?P<ab>[A-Z]+) (?P<b>\S+)$", "(?P<a>.)"]),
    ),
    st.builds(
        lambda key, wanted: AttributeAction(action="convert", key=key, converted_type=wanted),
        st.sampled_from(KEYS),
        st.sampled_from(["int", "double", "string"]),
    ),
)
ATTRIBUTES = st.dictionaries(st.sampled_from((*KEYS, "c", "bb", "d.e")), VALUES)
NAMES = st.sampled_from(["GET /users/7", "get", ""])
SCOPES = st.tuples(st.sampled_from(["http", "db"]), st.sampled_from(["", "1.0"]), ATTRIBUTES)
SPANS = st.tuples(NAMES, st.integers(0, 5), ATTRIBUTES)


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    request, number = ExportTraceServiceRequest(), 0
    for attributes in draw(st.lists(ATTRIBUTES, min_size=1, max_size=3)):
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.extend(key_values(attributes))
        for name, version, scope_attributes in draw(st.lists(SCOPES, min_size=1, max_size=2)):
            scope_spans = resource_spans.scope_spans.add()
            scope_spans.scope.name, scope_spans.scope.version = name, version
            scope_spans.scope.attributes.extend(key_values(scope_attributes))
            for span_name, kind, span_attributes in draw(st.lists(SPANS, min_size=1, max_size=4)):
                number += 1
                span = scope_spans.spans.add(
                    trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), name=span_name, kind=kind
                )
                span.attributes.extend(key_values(span_attributes))
                span.events.add(time_unix_nano=EPOCH, name="e", attributes=key_values(span_attributes))
    return request


def batch_of(request: ExportTraceServiceRequest) -> SpanBatch:
    return decode(request.SerializeToString()).batch


def comparable(message: ExportTraceServiceRequest) -> list[tuple[str, bytes]]:
    """Every span with its resource and scope; the order of attributes means nothing."""
    for resource_spans in message.resource_spans:
        _sort(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                _sort(span.attributes)
    return sorted(canonical_spans(message))


def _sort(attributes: Any) -> None:
    entries = sorted(attributes, key=lambda entry: entry.key)
    copies = [type(entry).FromString(entry.SerializeToString()) for entry in entries]
    del attributes[:]
    attributes.extend(copies)


def read_back(batch: SpanBatch) -> list[tuple[str, bytes]]:
    # The block of an edited batch can be written as that of any other, and its resources still know their services.
    encode(batch)
    named = find_attributes(batch, batch.resources, [b"service.name"])[0]
    assert batch.resources["service_name"].tolist() == named.tolist()
    return comparable(ExportTraceServiceRequest.FromString(encode_request(batch)))


def lists_of(request: ExportTraceServiceRequest, owner: str) -> list[Any]:
    if owner == "resources":
        return [each.resource for each in request.resource_spans]
    return list(spans_of(request))


@settings(deadline=None, max_examples=300)
@given(requests(), st.lists(ACTIONS, min_size=1, max_size=6), st.sampled_from(["resources", "spans"]))
def test_actions_do_what_plain_python_does(
    request: ExportTraceServiceRequest, actions: list[AttributeAction], owner: str
) -> None:
    batch = batch_of(request)
    before = read_back(batch)
    chosen = tuple(actions)
    editor = (
        ResourceAttributes(ResourceProcessor(attributes=chosen))
        if owner == "resources"
        else SpanAttributes(AttributesProcessor(actions=chosen))
    )
    edited = editor.process(batch).batch
    for each in lists_of(request, owner):
        changed = plainly.apply(actions, each.attributes)
        del each.attributes[:]
        each.attributes.extend(changed)
    assert read_back(edited) == comparable(request)
    assert read_back(batch) == before
    assert (edited is batch) or edited.origin is None


@settings(deadline=None, max_examples=50)
@given(requests(), requests(), st.lists(ACTIONS, min_size=1, max_size=4), st.lists(ACTIONS, min_size=1, max_size=4))
def test_an_edited_batch_can_be_joined_and_edited_again(
    one: ExportTraceServiceRequest,
    other: ExportTraceServiceRequest,
    first: list[AttributeAction],
    second: list[AttributeAction],
) -> None:
    edit_first = SpanAttributes(AttributesProcessor(actions=tuple(first)))
    edit_second = ResourceAttributes(ResourceProcessor(attributes=tuple(second)))
    parts = [edit_first.process(batch_of(request)).batch for request in (one, other)]
    joined = edit_second.process(concatenate(parts)).batch
    expected = ExportTraceServiceRequest(resource_spans=[*one.resource_spans, *other.resource_spans])
    for owner, actions in (("spans", first), ("resources", second)):
        for each in lists_of(expected, owner):
            changed = plainly.apply(actions, each.attributes)
            del each.attributes[:]
            each.attributes.extend(changed)
    assert read_back(joined) == comparable(expected)


ATTRIBUTE_MATCHES = st.lists(st.fixed_dictionaries({"key": st.sampled_from(KEYS)}, optional={"value": SCALARS}), max_size=2)


@st.composite
def span_matches(draw: st.DrawFn) -> SpanMatch:
    strict = draw(st.booleans())
    asked = {
        "services": draw(st.lists(st.sampled_from(TEXTS), max_size=2)),
        "span_names": draw(st.lists(NAMES, max_size=2)),
        "span_kinds": draw(st.lists(st.sampled_from(["SPAN_KIND_SERVER", "SPAN_KIND_CLIENT"]), max_size=2)),
        "attributes": draw(ATTRIBUTE_MATCHES),
        "resources": draw(ATTRIBUTE_MATCHES),
        "libraries": draw(
            st.lists(
                st.fixed_dictionaries(
                    {"name": st.sampled_from(["http", "d"])}, optional={"version": st.sampled_from(["", "1.0", "1"])}
                ),
                max_size=2,
            )
        ),
    }
    if not strict:
        for matches in (asked["attributes"], asked["resources"]):
            for each in matches:
                if "value" in each:
                    each["value"] = draw(st.sampled_from(["a", "^1", "true", "."]))
    if not any(asked.values()):
        asked["span_names"] = ["get"]
    return SpanMatch(match_type="strict" if strict else "regexp", **{key: tuple(value) for key, value in asked.items()})


@settings(deadline=None, max_examples=300)
@given(requests(), st.none() | span_matches(), st.none() | span_matches())
def test_a_selection_is_that_of_plain_python(
    request: ExportTraceServiceRequest, include: SpanMatch | None, exclude: SpanMatch | None
) -> None:
    for resource_spans in request.resource_spans:
        for entry in resource_spans.resource.attributes:
            if entry.key == "service.name":
                entry.value.string_value = plainly.as_text(entry.value)
    expected = [
        (include is None or plainly.matches(include, span, scope_spans.scope, resource_spans.resource))
        and not (exclude is not None and plainly.matches(exclude, span, scope_spans.scope, resource_spans.resource))
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
    assert Selection(include, exclude).choose(batch_of(request)).tolist() == expected


def one_span(**attributes: Any) -> SpanBatch:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.extend(key_values(attributes))
    return batch_of(request)


def edited(batch: SpanBatch, *actions: dict[str, Any]) -> dict[str, Any]:
    processor = SpanAttributes(AttributesProcessor(actions=tuple(AttributeAction(**action) for action in actions)))
    request = ExportTraceServiceRequest.FromString(encode_request(processor.process(batch).batch))
    (span,) = spans_of(request)
    return {entry.key: getattr(entry.value, entry.value.WhichOneof("value") or "string_value") for entry in span.attributes}


def test_the_order_of_actions_counts() -> None:
    insert, delete = {"action": "insert", "key": "a", "value": 1}, {"action": "delete", "key": "a"}
    assert edited(one_span(a=0), insert, delete) == {}
    assert edited(one_span(a=0), delete, insert) == {"a": 1}


def test_a_missing_source_skips_the_action_unless_there_is_a_default() -> None:
    copy = {"action": "upsert", "key": "a", "from_attribute": "b"}
    assert edited(one_span(a=0), copy) == {"a": 0}
    assert edited(one_span(a=0), copy | {"default_value": "none"}) == {"a": "none"}


@pytest.mark.parametrize(
    ("value", "hashed"),
    [("me", "b1c1d8736f20db3fb6c1c66bb1455ed43909f0d8"), (1, "3da89ee273be13437e7ecf760f3fbd4dc0e8d1fe"), ("", "")],
)
def test_a_hash_is_that_of_the_bytes(value: Any, hashed: str) -> None:
    assert edited(one_span(a=value), {"action": "hash", "key": "a"}) == {"a": hashed}


def test_an_attribute_that_stands_twice_is_hashed_or_deleted_as_a_whole() -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.extend([*key_values({"secret": "first"}), *key_values({"secret": "second", "a": 1})])
    batch = batch_of(request)
    assert edited(batch, {"action": "delete", "key": "secret"}) == {"a": 1}
    assert edited(batch, {"action": "delete", "pattern": "^sec"}) == {"a": 1}
    for chosen in ({"key": "secret"}, {"pattern": "^sec"}):
        values = encode_request(
            SpanAttributes(AttributesProcessor(actions=(AttributeAction(action="hash", **chosen),))).process(batch).batch
        )
        assert b"first" not in values
        assert b"second" not in values


def test_what_cannot_be_converted_stays_and_is_counted() -> None:
    actions = (
        AttributeAction(action="convert", key="a", converted_type="int"),
        AttributeAction(action="convert", key="a", converted_type="double"),
    )
    processed = SpanAttributes(AttributesProcessor(actions=actions)).process(one_span(a="many"))
    assert processed.failures == {"actions[0]": 1, "actions[1]": 1}
    for value in (float("nan"), 1e300, [1], b"1", None, "1_0", "9" * 30):
        assert SpanAttributes(AttributesProcessor(actions=actions[:1])).process(one_span(a=value)).failures == {"actions[0]": 1}


def test_nothing_changes_where_nothing_is_chosen() -> None:
    batch = one_span(a=1)
    actions = (AttributeAction(action="update", key="b", value=1), AttributeAction(action="delete", pattern="^b"))
    assert SpanAttributes(AttributesProcessor(actions=actions)).process(batch).batch is batch
    empty = batch.select(slice(0, 0))
    assert SpanAttributes(AttributesProcessor(actions=actions)).process(empty).batch is empty
