"""Attributes are found by their keys as a look at one after the other finds them, and texts that differ are told apart."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from proto.attribute_search import find_attributes
from proto.otlp_decode import decode
from proto.spans import ABSENT
from proto.texts import Texts, distinct_texts

# Around the eight bytes that are compared at once, with heads and tails in common.
KEYS = st.sampled_from(
    [head * length + tail for head in "ab" for length in (0, 1, 6, 7, 8, 9, 15, 16, 23) for tail in ("x", "y")]
)


@settings(deadline=None)
@given(st.lists(st.lists(KEYS, max_size=6), max_size=5), st.lists(KEYS, max_size=4, unique=True))
def test_the_first_attribute_with_each_key_is_found(spans: list[list[str]], wanted: list[str]) -> None:
    request = ExportTraceServiceRequest()
    scope_spans = request.resource_spans.add().scope_spans.add()
    for keys in spans:
        span = scope_spans.spans.add(trace_id=b"\1" * 16, span_id=b"\1" * 8)
        for key in keys:
            span.attributes.add(key=key)
    batch = decode(request.SerializeToString()).batch
    found = find_attributes(batch, batch.spans, [key.encode() for key in wanted])
    assert found.shape == (len(wanted), len(spans))
    for row, keys in enumerate(spans):
        start = int(batch.spans["attributes_start"][row])
        assert found[:, row].tolist() == [start + keys.index(key) if key in keys else ABSENT for key in wanted]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"", b"a", b"aaaaaaaab"])), st.integers(0, 1))
def test_texts_that_differ_come_in_the_order_in_which_they_first_do(texts: list[bytes], repetitions: int) -> None:
    texts = texts * (1 + 300 * repetitions) + [b"%d" % number for number in range(300 * repetitions)]
    lengths = np.array([len(text) for text in texts], np.int32)
    offsets = np.cumsum(lengths, dtype=np.int32) - lengths
    data = np.frombuffer(b"".join(texts), np.uint8)
    codes, distinct = distinct_texts(Texts(data, offsets, lengths))
    found = [data[start : start + length].tobytes() for start, length in zip(distinct.offsets, distinct.lengths, strict=True)]
    assert found == list(dict.fromkeys(texts))
    assert [found[code] for code in codes] == texts
