"""Requests that are decoded one behind the other are those that are decoded alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from exporters.tally import spans_by_owner
from proto.arena import close_arena
from proto.compact import compact
from proto.errors import MalformedRequest
from proto.join import concatenate
from proto.native_encode import encode
from proto.otlp_decode import Decoder, decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from proto.weights import stored_bytes
from tests.support.requests import Shape, every_value_request, generated_request, one_span_request


def with_refused_spans() -> bytes:
    """Among good spans some that are refused, and one resource without any span."""
    request = every_value_request()
    request.resource_spans.add().resource.attributes.add(key="service.name").value.string_value = "idle"
    for seed in range(6):
        request.MergeFrom(one_span_request(seed=seed))
        span = request.resource_spans[-1].scope_spans[0].spans[0]
        span.attributes.add(key="number").value.int_value = seed
        span.events.add(name="retry")
        if seed % 2:
            span.trace_id = b"short"
    return request.SerializeToString()


def of_many(resources: int) -> bytes:
    """More resources than an arena has room for at first."""
    request = ExportTraceServiceRequest()
    for seed in range(resources):
        request.MergeFrom(one_span_request(seed=seed))
    return request.SerializeToString()


BROKEN_TEXT = one_span_request(seed=3).SerializeToString().replace(b"GET", b"G\xffT")
BODIES = {
    "usual": generated_request(Shape(spans=60), seed=1).SerializeToString(),
    "other": generated_request(Shape(spans=9), seed=2).SerializeToString(),
    "one span": one_span_request(seed=4).SerializeToString(),
    "every value": every_value_request().SerializeToString(),
    "refused spans": with_refused_spans(),
    "many resources": of_many(200),
    "broken text": BROKEN_TEXT,
    "empty": b"",
    "malformed": generated_request(Shape(spans=9), seed=5).SerializeToString()[:-3],
}


def are_the_same(made: SpanBatch, alone: SpanBatch) -> None:
    """Whether two batches are stored, sent on and counted alike."""
    assert encode_request(made) == encode_request(alone)
    assert bytes(encode(compact(made)).data) == bytes(encode(compact(alone)).data)
    assert spans_by_owner(made) == spans_by_owner(alone)
    assert np.array_equal(stored_bytes(made), stored_bytes(alone))


names = st.sampled_from(sorted(BODIES))
requests = st.tuples(names, st.sampled_from(["red", "blue"]), st.sampled_from(["keep", "keep", "keep", "leave", "close"]))


@settings(deadline=None, max_examples=150)
@given(st.lists(requests, max_size=25), st.integers(1, 8))
def test_requests_behind_each_other_are_those_that_are_alone(sent: list[tuple[str, str, str]], together: int) -> None:
    decoder = Decoder()
    made: list[SpanBatch] = []
    alone: list[SpanBatch] = []
    for name, workspace, then in sent:
        if name == "malformed":
            with pytest.raises(MalformedRequest):
                decoder.decode(BODIES[name], workspace)
            continue
        expected = decode(BODIES[name], workspace)
        decoded = decoder.decode(BODIES[name], workspace)
        assert (decoded.rejected, decoded.first_rejected) == (expected.rejected, expected.first_rejected)
        assert decoded.batch.request.tobytes() == BODIES[name]
        if then != "leave":
            made.append(decoded.batch)
            alone.append(expected.batch)
        if then == "close":
            close_arena(decoded.batch)
    # Only now: what was decoded first must be as it was.
    for one, other in zip(made, alone, strict=True):
        are_the_same(one, other)
    for start in range(0, len(made), together):
        are_the_same(concatenate(made[start : start + together]), concatenate(alone[start : start + together]))


def test_a_batch_of_neighbours_is_not_copied() -> None:
    decoder = Decoder()
    batches = [decoder.decode(BODIES["usual"]).batch for _ in range(3)]
    joined = concatenate(batches)
    for table in ("data", "spans", "events", "attributes"):
        assert np.shares_memory(getattr(joined, table), getattr(batches[0], table))
    assert joined.nbytes == sum(batch.nbytes for batch in batches)


def test_what_comes_after_an_arena_was_closed_lies_elsewhere() -> None:
    decoder = Decoder()
    first = decoder.decode(BODIES["usual"]).batch
    close_arena(first)
    second = decoder.decode(BODIES["usual"]).batch
    assert not np.shares_memory(first.data, second.data)
    assert second.nbytes == first.nbytes


@pytest.mark.parametrize(("spans", "requests"), [(60, 200), (512, 16), (1, 500)])
def test_arenas_become_as_large_as_batches_are_and_small_again(spans: int, requests: int) -> None:
    decoder = Decoder()
    body = generated_request(Shape(spans=spans)).SerializeToString()

    def batch_of(requests: int) -> SpanBatch:
        batches = [decoder.decode(body).batch for _ in range(requests)]
        close_arena(batches[-1])
        return concatenate(batches)

    def room() -> int:
        origin = batch_of(1).origin
        assert origin is not None
        assert origin.arena is not None
        return sum(table.nbytes for table in origin.arena.tables.values())

    at_first = room()
    for _ in range(6):
        batch_of(requests)
    assert batch_of(requests).origin is not None, "it lies in more than one arena"
    large = room()
    assert large > 2 * at_first
    for _ in range(30):
        batch_of(1)
    assert room() < large / 2


def test_one_request_may_need_more_than_any_arena_has() -> None:
    decoder = Decoder()
    body = of_many(3000)
    are_the_same(decoder.decode(body).batch, decode(body).batch)
    assert len(decoder.decode(BODIES["usual"]).batch) == 60


def test_what_is_not_to_be_stored_keeps_no_place_between_others() -> None:
    decoder = Decoder()
    refused = one_span_request(seed=1)
    refused.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    first = decoder.decode(BODIES["usual"]).batch
    assert len(decoder.decode(refused.SerializeToString()).batch) == 0
    second = decoder.decode(BODIES["usual"]).batch
    assert np.shares_memory(concatenate([first, second]).spans, first.spans)


def test_no_arena_is_begun_while_requests_may_be_refused_for_want_of_room() -> None:
    pressed = False
    decoder = Decoder(lambda: pressed)
    first = decoder.decode(BODIES["usual"]).batch
    close_arena(first)
    pressed = True
    alone = decoder.decode(BODIES["usual"]).batch
    assert alone.origin is not None
    assert alone.origin.arena is None
    pressed = False
    again = decoder.decode(BODIES["usual"]).batch
    assert again.origin is not None
    assert again.origin.arena is not None
