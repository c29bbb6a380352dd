"""Broken OTLP/JSON: whatever the bytes, there is a valid protobuf request or a MalformedRequest, in bounded space."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from proto.errors import MalformedRequest
from proto.otlp_json import json_to_protobuf

CORPUS = Path(__file__).parents[1] / "corpus" / "otlp_json"
SAMPLES = {path.stem: path.read_bytes().strip() for path in sorted(CORPUS.glob("*.json"))}
TOKENS = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"null", b"true", b"-", b"0", b"1e9", b"\\ud800", b"\xff", b"\0", b" "]


def is_refused(body: bytes) -> bool:
    """Whether the body is malformed. If not, what comes out must be a request, of at most three bytes for each of the body."""
    try:
        converted = json_to_protobuf(body)
    except MalformedRequest:
        return True
    ExportTraceServiceRequest.FromString(converted.protobuf)
    assert len(converted.protobuf) <= 3 * len(body)
    return False


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_accepted(name: str) -> None:
    assert not is_refused(SAMPLES[name])


@pytest.mark.parametrize("name", SAMPLES)
def test_every_truncation_is_refused(name: str) -> None:
    sample = SAMPLES[name]
    assert [length for length in range(len(sample)) if not is_refused(sample[:length])] == []


@pytest.mark.parametrize("name", SAMPLES)
def test_what_json_refuses_after_a_change_of_one_byte_is_refused(name: str) -> None:
    """The library's `json.loads` is the judge of syntax: it accepts more than JSON only in NaN and the infinities."""
    sample = SAMPLES[name]
    random = np.random.default_rng(len(sample))
    for position in range(len(sample)):
        token = TOKENS[random.integers(len(TOKENS))]
        changed = sample[:position] + token + sample[position + 1 :]
        try:
            json.loads(changed.decode(errors="replace"))
        except ValueError:
            assert is_refused(changed), changed
        else:
            is_refused(changed)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 40), st.sampled_from(TOKENS)), max_size=6),
)
def test_any_mutation_is_converted_or_refused(name: str, edits: list[tuple[int, int, bytes]]) -> None:
    body = SAMPLES[name]
    for position, length, token in edits:
        position %= len(body) + 1
        body = body[:position] + token + body[position + length :]
    is_refused(body)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*TOKENS, b'"resourceSpans":[', b'"scopeSpans":[', b'"spans":[', b'"attributes":[', b'"value":{', b'"k":']
        ),
        max_size=30,
    )
)
def test_any_sequence_of_tokens_is_converted_or_refused(tokens: list[bytes]) -> None:
    is_refused(b"{" + b"".join(tokens))


@given(st.binary(max_size=200))
def test_any_bytes_are_converted_or_refused(body: bytes) -> None:
    is_refused(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceSpans":[' + b",".join([b"{}"] * 5000) + b"]}",
        b'{"resourceSpans":[{"schemaUrl":"' + b"\xff" * 5000 + b'"}]}',
        b'{"resourceSpans":[{"resource":{"attributes":[{"value":{"arrayValue":{"values":['
        + b",".join([b"{}", b"null"] * 2500)
        + b"]}}}]}}]}",
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b",".join([b'{"flags":0,"kind":-1}'] * 2000) + b"]}]}]}",
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b",".join([b'{"spanId":1}'] * 2000) + b"]}]}]}",
        b'{"resourceSpans":[{"resource":{"attributes":[{"value":'
        + b'{"arrayValue":{"values":[' * 40
        + b",".join([b"{}", b'{"arrayValue":{}}'] * 1000)
        + b"]}}" * 40
        + b"}]}}]}",
    ],
    ids=["empty messages", "broken text", "empty values", "small numbers", "refused spans", "deep messages"],
)
def test_no_text_grows_to_more_than_three_times_its_length(body: bytes) -> None:
    assert not is_refused(body)
