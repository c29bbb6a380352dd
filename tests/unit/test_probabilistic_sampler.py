"""The share of spans that is kept: exact figures, a plain reckoning of every mode, and statistics on random ids."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.processors.base import Processed
from collector.processors.probabilistic_sampler import Sampler
from config.sampling import ProbabilisticSampler
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support.requests import EPOCH, key_values, spans_of

M = 1 << 56
FIRST = "0af7651916cd43dd8448eb211c80319c"  # randomness 0.2848 of 2**56
SECOND = "4bf92f3577b34da6a3ce929d0e0e4736"  # 0.8069


def sampler(**settings: Any) -> Sampler:
    return Sampler(ProbabilisticSampler(**settings))


def batch_of(*spans: Span) -> SpanBatch:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return decode(request.SerializeToString()).batch


def span(trace_id: str, trace_state: str = "", **attributes: Any) -> Span:
    return Span(
        trace_id=bytes.fromhex(trace_id),
        span_id=b"spanspan",
        trace_state=trace_state,
        name="s",
        start_time_unix_nano=EPOCH,
        attributes=key_values({key.replace("_", "."): value for key, value in attributes.items()}),
    )


def states(processed: Processed) -> list[str]:
    """The trace states of the spans that are left."""
    request = ExportTraceServiceRequest.FromString(encode_request(processed.batch))
    return [span.trace_state for span in spans_of(request)]


def kept(processed: Processed) -> bool:
    return len(processed.batch) == 1


@pytest.mark.parametrize(
    ("trace_id", "seed", "answers"),
    [
        (FIRST, 0, (False, False, False, True)),
        (FIRST, 22, (False, True, True, True)),
        (SECOND, 0, (True, True, True, True)),
        (SECOND, 22, (False, False, False, False)),
    ],
)
def test_a_hash_decides_as_in_the_collector(trace_id: str, seed: int, answers: tuple[bool, ...]) -> None:
    for percentage, answer in zip((1, 10, 25, 50), answers, strict=True):
        assert kept(sampler(hash_seed=seed, sampling_percentage=percentage).process(batch_of(span(trace_id)))) is answer


def test_the_hash_is_written_as_threshold_and_randomness() -> None:
    (state,) = states(sampler(sampling_percentage=50).process(batch_of(span(FIRST, "a=1"))))
    member, other = state.split(",")
    threshold, randomness = member.removeprefix("ot=").split(";")
    assert (threshold, other) == ("th:8", "a=1")
    assert int(randomness.removeprefix("rv:"), 16) >> 42 == 16383 - 7652


@pytest.mark.parametrize("mode", ["proportional", "equalizing"])
@pytest.mark.parametrize(
    ("trace_id", "percentage", "answer"), [(FIRST, 75, True), (FIRST, 50, False), (SECOND, 25, True), (SECOND, 10, False)]
)
def test_the_low_bits_of_a_trace_id_decide(mode: str, trace_id: str, percentage: float, answer: bool) -> None:
    assert kept(sampler(mode=mode, sampling_percentage=percentage).process(batch_of(span(trace_id)))) is answer


@pytest.mark.parametrize(
    ("mode", "percentage", "before", "after"),
    [
        ("proportional", 25, "ot=th:8", "ot=th:e"),
        ("proportional", 100, "", "ot=th:0"),
        ("equalizing", 25, "ot=th:8", "ot=th:c"),
        ("equalizing", 50, "ot=th:c", "ot=th:c"),
        ("equalizing", 50, "", "ot=th:8"),
        ("equalizing", 50, "v=1,ot=p:1;rv:ffffffffffffff", "ot=th:8;rv:ffffffffffffff;p:1,v=1"),
    ],
)
def test_a_threshold_is_raised_and_never_lowered(mode: str, percentage: float, before: str, after: str) -> None:
    """The trace id has the highest randomness that there is."""
    processed = sampler(mode=mode, sampling_percentage=percentage).process(batch_of(span("f" * 32, before)))
    assert states(processed) == [after]


def test_a_proportion_below_the_smallest_probability_keeps_nothing() -> None:
    processed = sampler(mode="proportional", sampling_percentage=50).process(batch_of(span("f" * 32, "ot=th:" + "f" * 14)))
    assert len(processed.batch) == 0


def test_an_explicit_randomness_decides_in_place_of_the_trace_id() -> None:
    low, high = span(SECOND, "ot=rv:" + "0" * 14), span(FIRST, "ot=rv:" + "f" * 14)
    processed = sampler(mode="equalizing", sampling_percentage=50).process(batch_of(low, high))
    assert states(processed) == ["ot=th:8;rv:ffffffffffffff"]


@pytest.mark.parametrize(
    ("mode", "before", "after", "rule"),
    [
        ("equalizing", "ot=th:8", "", "threshold"),
        ("proportional", "ot=th:8;x:1,v=1", "ot=x:1,v=1", "threshold"),
        ("proportional", "ot=th:zz", "ot=th:zz", "trace_state"),
        ("hash_seed", "ot=th:1", "ot=th:1", "already_sampled"),
        ("hash_seed", "ot=rv:ffffffffffffff", "ot=rv:ffffffffffffff", "already_sampled"),
        ("hash_seed", "broken", "broken", "trace_state"),
    ],
)
def test_what_cannot_be_judged_is_dropped_or_kept_as_configured(mode: str, before: str, after: str, rule: str) -> None:
    """A threshold that cannot be true of a span that is here is erased; anything else stays."""
    batch = batch_of(span(FIRST, before))
    closed = sampler(mode=mode, sampling_percentage=99).process(batch)
    assert closed.failed is not None
    assert (len(closed.batch), len(closed.failed), closed.dropped, closed.failures) == (0, 1, None, {rule: 1})
    opened = sampler(mode=mode, sampling_percentage=0, fail_closed=False).process(batch)
    assert (states(opened), opened.failed, opened.failures) == ([after], None, {rule: 1})


@pytest.mark.parametrize(
    ("priority", "at_none", "at_all"),
    [
        (0, False, False),
        (1, True, True),
        (-1, False, True),
        ("0", False, False),
        ("1", True, True),
        ("2.5e0", True, True),
        ("-1", False, True),
        ("high", False, True),
        ("1_0", False, True),
        ("", False, True),
        (0.0, False, False),
        (1.0, True, True),
        (float("nan"), False, True),
        (True, False, True),
    ],
)
@pytest.mark.parametrize("mode", ["hash_seed", "proportional", "equalizing"])
def test_a_priority_overrides_the_decision(mode: str, priority: Any, at_none: bool, at_all: bool) -> None:
    batch = batch_of(span(FIRST, sampling_priority=priority))
    assert kept(sampler(mode=mode, sampling_percentage=0).process(batch)) is at_none
    assert kept(sampler(mode=mode, sampling_percentage=100).process(batch)) is at_all


def test_a_priority_is_written_as_certainty_and_lowers_nothing() -> None:
    spans = (
        span(FIRST, sampling_priority=1),
        span("f" * 32, "ot=th:c", sampling_priority=1),
        span(FIRST, "ot=th:8", sampling_priority=1),
    )
    assert states(sampler(mode="equalizing", sampling_percentage=1).process(batch_of(*spans))) == ["ot=th:0", "ot=th:c", ""]


def test_all_and_none() -> None:
    batch = batch_of(span(FIRST), span(SECOND))
    for mode in ("hash_seed", "proportional", "equalizing"):
        none = sampler(mode=mode, sampling_percentage=0).process(batch)
        assert (len(none.batch), none.dropped is not None and len(none.dropped)) == (0, 2)
        all_of_them = sampler(mode=mode, sampling_percentage=250).process(batch)
        assert (len(all_of_them.batch), all_of_them.dropped) == (2, None)
    empty = batch.select(slice(0, 0))
    assert sampler(sampling_percentage=50).process(empty).batch is empty


@pytest.mark.parametrize(
    ("mode", "decisions"),
    [
        (
            "hash_seed",
            {
                ("sampling_priority", True): 1,
                ("sampling_priority", False): 1,
                ("trace_id_hash", True): 1,
                ("trace_id_hash", False): 2,
            },
        ),
        (
            "equalizing",
            {
                ("sampling_priority", True): 1,
                ("sampling_priority", False): 1,
                ("sampling_randomness", True): 1,
                ("trace_id_w3c", True): 1,
                ("trace_id_w3c", False): 1,
            },
        ),
    ],
)
def test_what_decided_is_counted(mode: str, decisions: dict[tuple[str, bool], int]) -> None:
    spans = [
        span(SECOND, sampling_priority=1),
        span(SECOND, sampling_priority=0),
        span(FIRST, "ot=rv:ffffffffffffff"),
        span(FIRST),
        span(SECOND),
    ]
    assert sampler(mode=mode, sampling_percentage=25).process(batch_of(*spans)).decisions == decisions


def plainly(trace_id: bytes, mode: str, percentage: float, th: int | None, rv: int | None, seed: int) -> bool:
    """The decision in a few lines of arithmetic, one span at a time."""
    if mode == "hash_seed":
        state = 0x811C9DC5
        for byte in seed.to_bytes(4, "little") + trace_id:
            state = (state ^ byte) * 0x01000193 % 2**32
        return th is None and rv is None and state % 16384 < int(np.float32(percentage) * np.float32(163.84))
    randomness = int.from_bytes(trace_id[-7:], "big") if rv is None else rv
    if th is not None and randomness < th:
        return False
    share = float(np.float32(percentage)) / 100
    if mode == "proportional" and th is not None:
        share *= (M - th) / M
    return share >= 2**-56 and randomness >= M - round(share * M)


@settings(deadline=None)
@given(
    st.sampled_from(["hash_seed", "proportional", "equalizing"]),
    st.sampled_from([0, 0.01, 1, 10, 33.3, 50, 75, 100]),
    st.integers(0, 2**32 - 1),
    st.lists(
        st.tuples(
            st.binary(min_size=16, max_size=16).filter(any),
            st.none() | st.integers(0, M - 1),
            st.none() | st.integers(0, M - 1),
        ),
        min_size=1,
        max_size=20,
    ),
)
def test_every_decision_is_that_of_plain_arithmetic(
    mode: str, percentage: float, seed: int, spans: list[tuple[bytes, int | None, int | None]]
) -> None:
    def text(th: int | None, rv: int | None) -> str:
        entries = [] if th is None else [f"th:{f'{th:014x}'.rstrip('0') or '0'}"]
        entries += [] if rv is None else [f"rv:{rv:014x}"]
        return f"ot={';'.join(entries)}" if entries else ""

    batch = batch_of(*(span(trace_id.hex(), text(th, rv)) for trace_id, th, rv in spans))
    processed = sampler(mode=mode, sampling_percentage=percentage, hash_seed=seed, sampling_precision=14).process(batch)
    expected = [trace_id for trace_id, th, rv in spans if plainly(trace_id, mode, percentage, th, rv, seed)]
    left = ExportTraceServiceRequest.FromString(encode_request(processed.batch))
    assert [each.trace_id for each in spans_of(left)] == expected
    gone = sum(len(part) for part in (processed.dropped, processed.failed) if part is not None)
    assert gone + len(expected) == len(spans)


@pytest.fixture(scope="module")
def many() -> SpanBatch:
    random = Random(1)
    return batch_of(*(span(random.randbytes(16).hex()) for _ in range(20_000)))


def trace_ids(batch: SpanBatch) -> set[bytes]:
    return {batch.data[offset : offset + 16].tobytes() for offset in batch.spans["trace_id_offset"].tolist()}


@pytest.mark.parametrize("mode", ["hash_seed", "proportional", "equalizing"])
def test_a_lower_percentage_keeps_a_part_of_what_a_higher_one_keeps(mode: str, many: SpanBatch) -> None:
    before = trace_ids(many)
    for percentage in (90, 50, 10, 1):
        now = trace_ids(sampler(mode=mode, sampling_percentage=percentage).process(many).batch)
        assert now < before
        # Five standard deviations.
        share = percentage / 100
        assert abs(len(now) - share * len(many)) < 5 * (share * (1 - share) * len(many)) ** 0.5
        before = now


@pytest.mark.parametrize("mode", ["hash_seed", "proportional", "equalizing"])
def test_a_trace_id_gets_the_same_answer_in_every_batch(mode: str, many: SpanBatch) -> None:
    chosen = sampler(mode=mode, sampling_percentage=30)
    whole = trace_ids(chosen.process(many).batch)
    parts = [trace_ids(chosen.process(many.select(slice(start, start + 777))).batch) for start in range(0, len(many), 777)]
    assert set().union(*parts) == whole


def test_stages_behind_each_other_multiply_or_equalize(many: SpanBatch) -> None:
    half = sampler(mode="proportional", sampling_percentage=50).process(many).batch
    quarter = sampler(mode="proportional", sampling_percentage=50).process(half)
    assert trace_ids(quarter.batch) == trace_ids(sampler(mode="equalizing", sampling_percentage=25).process(many).batch)
    assert set(states(quarter)) == {"ot=th:c"}
    assert len(sampler(mode="equalizing", sampling_percentage=50).process(half).batch) == len(half)
    hashed = sampler(sampling_percentage=50).process(many).batch
    further = sampler(mode="equalizing", sampling_percentage=10).process(hashed).batch
    # What a hash has sampled is sampled on by the randomness that it has written.
    assert 0.07 < len(further) / len(many) < 0.13
