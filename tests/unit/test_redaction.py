"""The processor `redaction` against plain Python over messages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import SecretStr

from collector.processors.redaction import Redaction
from config.redaction import RedactionProcessor
from proto.native_encode import encode
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support import redaction as plainly
from tests.support.drawn_requests import drawn_request
from tests.support.messages import canonical_spans
from tests.support.requests import key_values, spans_of

SUMMARY_KEYS = ("redaction.masked.count", "redaction.masked.keys", "redaction.redacted.keys")
KEYS = ("a", "b", "ab", "user.password", "service.name", *SUMMARY_KEYS)
TEXTS = (
    *("", "a", "card 4111111111111111, card 4222222222222222", "x1", "me@example.org", "you@example.org", "grüße 12", "b,a"),
    *("a\nx1 4111111111111111", "12\n\nb"),
)
VALUES = st.one_of(
    st.sampled_from(TEXTS),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([4111111111111111, 12, True, 0.5, b"\x00\xff", None, [1, "a"], {"k": "x1"}]),
)
ATTRIBUTES = st.dictionaries(st.sampled_from(KEYS), VALUES)
KEY_PATTERNS = st.lists(st.sampled_from(["^a", "password", "b$", "nothing"]), max_size=2)
VALUE_PATTERNS = st.lists(
    st.sampled_from(["[0-9]{16}", "[0-9]+", r"\S+@\S+", "^a$", "ü", r"\*+", r"x\d\s", "nothing"]), max_size=3
)
CHOSEN_KEYS = st.lists(st.sampled_from(KEYS), max_size=4)
HASHES = st.sampled_from(["", "", "md5", "SHA1", "sha3", "hmac-sha256", "hmac-sha512"])


@st.composite
def redactions(draw: st.DrawFn) -> RedactionProcessor:
    hash_function = draw(HASHES)
    return RedactionProcessor(
        allow_all_keys=draw(st.booleans()),
        allowed_keys=tuple(draw(CHOSEN_KEYS)),
        ignored_keys=tuple(draw(CHOSEN_KEYS)[:1]),
        ignored_key_patterns=tuple(draw(KEY_PATTERNS)[:1]),
        redact_all_types=draw(st.booleans()),
        blocked_key_patterns=tuple(draw(KEY_PATTERNS)),
        blocked_values=tuple(draw(VALUE_PATTERNS)),
        allowed_values=tuple(draw(VALUE_PATTERNS)[:1]),
        hash_function=hash_function,
        hmac_key=SecretStr("k" * 32 if hash_function.startswith("hmac") else ""),
        summary=draw(st.sampled_from(["silent", "info", "debug"])),
    )


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    request = drawn_request(draw, ATTRIBUTES)
    for span in spans_of(request):
        span.events.add(name="e", attributes=key_values(draw(ATTRIBUTES)))
        span.links.add(trace_id=span.trace_id, span_id=span.span_id, attributes=key_values(draw(ATTRIBUTES)))
    return request


def comparable(request: ExportTraceServiceRequest) -> list[tuple[str, bytes]]:
    """The order of attributes means nothing."""
    for attributes in plainly.attributes_of(request):
        attributes.sort(key=lambda entry: entry.key)
    return sorted(canonical_spans(request))


def read_back(batch: SpanBatch) -> list[tuple[str, bytes]]:
    encode(batch)
    return comparable(ExportTraceServiceRequest.FromString(encode_request(batch)))


@settings(deadline=None, max_examples=400)
@given(requests(), redactions(), redactions())
def test_it_hides_what_plain_python_hides(
    request: ExportTraceServiceRequest, first: RedactionProcessor, second: RedactionProcessor
) -> None:
    batch = decode(request.SerializeToString()).batch
    before = read_back(batch)
    edited = Redaction(second).process(Redaction(first).process(batch).batch).batch
    plainly.redact(first, request)
    plainly.redact(second, request)
    assert read_back(edited) == comparable(request)
    assert read_back(batch) == before


def redacted(attributes: dict[str, Any], **keys: Any) -> dict[str, Any]:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.extend(key_values(attributes))
    batch = decode(request.SerializeToString()).batch
    left = ExportTraceServiceRequest.FromString(
        encode_request(Redaction(RedactionProcessor.model_validate(keys)).process(batch).batch)
    )
    (attributes_left,) = (list(each) for each in plainly.attributes_of(left) if len(each)) if attributes else ([],)
    return {entry.key: getattr(entry.value, entry.value.WhichOneof("value")) for entry in attributes_left}


def test_an_empty_list_of_allowed_keys_removes_all() -> None:
    assert redacted({"a": 1, "b": "x"}, summary="info") == {"redaction.redacted.count": 2}


def test_what_is_ignored_is_not_masked_though_it_is_blocked() -> None:
    blocked = {"allow_all_keys": True, "blocked_key_patterns": ["a"], "blocked_values": ["x"]}
    assert redacted({"a": "x", "b": "x"}, **blocked) == {"a": "****", "b": "****"}
    assert redacted({"a": "x", "b": "x"}, **blocked, ignored_keys=["a"]) == {"a": "x", "b": "****"}


def test_what_is_allowed_is_not_masked_though_it_is_blocked() -> None:
    keys = {"allow_all_keys": True, "blocked_values": [".+@.+"], "allowed_values": ["@example.org$"]}
    assert redacted({"a": "me@example.org", "b": "me@example.com"}, **keys) == {"a": "me@example.org", "b": "****"}


@pytest.mark.parametrize(("pattern", "left"), [("x*", "****a****ü****"), ("x", "a********ü"), ("^", "****axxü")])
def test_patterns_that_find_nothing_are_put_where_go_puts_them(pattern: str, left: str) -> None:
    assert redacted({"k": "axxü"}, allow_all_keys=True, blocked_values=[pattern])["k"] == left


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["(?P<n>x)", "(?P<n>y)"], ["a****", "b****", "c"]),
        (["^b", r"x\z"], ["a****", "****y", "c"]),
        (["(?-m:^c$)", "[^b]x"], ["****", "by", "****"]),
        (["a[^z]*", "y$"], ["****", "b****", "c"]),
    ],
)
def test_every_value_is_looked_at_as_a_text_of_its_own(patterns: list[str], left: list[str]) -> None:
    found = redacted({"1": "ax", "2": "by", "3": "c"}, allow_all_keys=True, blocked_values=patterns)
    assert list(found.values()) == left


def test_a_summary_names_keys_in_order() -> None:
    found = redacted({"b": "x", "a": "x", "c": "y"}, allow_all_keys=True, blocked_values=["x"], summary="debug")
    assert (found["redaction.masked.keys"], found["redaction.masked.count"]) == ("a,b", 2)


def test_a_key_that_stands_twice_is_masked_twice() -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.extend([*key_values({"k": "secret one"}), *key_values({"k": "secret two"})])
    processor = Redaction(RedactionProcessor(allow_all_keys=True, blocked_values=("secret.*",)))
    assert b"secret" not in encode_request(processor.process(decode(request.SerializeToString()).batch).batch)


def test_nothing_changes_where_nothing_is_blocked() -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    batch = decode(request.SerializeToString()).batch
    assert Redaction(RedactionProcessor()).process(batch).batch is batch
