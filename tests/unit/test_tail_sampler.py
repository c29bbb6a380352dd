"""Whole traces are kept or dropped: against a plain sampler on random streams, and late spans, bounds and marks one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector.metrics import TAIL_AGE_SECONDS, TAIL_POLICY_MICROSECONDS, TAIL_TRACES, TAIL_VOTES
from collector.processors.tail_sampling import combining, held_spans, policies
from collector.processors.tail_sampling.decided import Decided, trace_key
from collector.processors.tail_sampling.policies import Policy, Traces
from collector.processors.tail_sampling.sampler import SHUTDOWN, TRACE_TOO_LARGE, TailSampler
from collector.processors.tail_sampling.span_rules import Matched, SpanRules
from collector.telemetry import Telemetry
from config.tail_sampling import PlainPolicy, TailSamplingProcessor
from proto.adjusted_count import adjusted_counts
from proto.edit import Mask
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support.batches import numbered, numbers
from tests.support.requests import EPOCH, key_values, spans_of
from tests.support.scarce import let_memory_be_short
from tests.support.tail_oracle import PlainPolicies, PlainSpan, PlainTailSampler

SECOND = 1_000_000_000
ALWAYS = {"name": "all", "type": "always_sample"}
ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}


def sampler(*policies: Any, **keys: Any) -> TailSampler:
    return TailSampler(TailSamplingProcessor.model_validate({"policies": policies or [ALWAYS], **keys}))


def batch_of(spans: Sequence[PlainSpan], workspace: str = "default") -> SpanBatch:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "shop"}))
    for span in spans:
        resource_spans.scope_spans.add().spans.append(
            Span(
                trace_id=span.trace_id,
                span_id=(span.number + 1).to_bytes(8, "big"),
                parent_span_id=b"" if span.is_root else b"parent!!",
                name=str(span.number),
                start_time_unix_nano=span.start,
                end_time_unix_nano=span.end,
                status=Status(code=Status.StatusCode.Value(f"STATUS_CODE_{span.status}")),
                attributes=key_values(dict(span.attributes)),
            )
        )
    return decode(request.SerializeToString(), workspace).batch


def drain(decided: Decided | None, into: tuple[set[int], set[int]]) -> None:
    for spans, parts in zip(into, (decided.kept, decided.dropped) if decided else (), strict=False):
        for part in parts:
            new = set(numbers(part.spans))
            assert not new & spans
            spans |= new


def all_decided(tail: TailSampler, now: int) -> tuple[set[int], set[int]]:
    """What is kept and dropped at a time, in as many decisions as it takes."""
    into: tuple[set[int], set[int]] = (set(), set())
    while (decided := tail.decide(now)) is not None:
        drain(decided, into)
    return into


class Faulty:
    """A policy that fails whenever it is asked about a trace with so many spans."""

    def __init__(self, policy: Policy, spans: int) -> None:
        self._policy = policy
        self._spans = spans
        self.asked = 0

    def is_for(self, traces: Traces, asked: Mask) -> Mask:
        self.asked += 1
        if (traces.spans == self._spans).any():
            raise ZeroDivisionError("a slip")
        return self._policy.is_for(traces, asked)


def fail_for(monkeypatch: pytest.MonkeyPatch, spans: int) -> list[Faulty]:
    """Have all policies from now on fail for traces of so many spans."""
    made: list[Faulty] = []

    def faulty(settings: PlainPolicy, rules: SpanRules) -> Faulty:
        made.append(Faulty(policies.build(settings, rules), spans))
        return made[-1]

    monkeypatch.setattr(combining, "build", faulty)
    return made


def traces_of(sizes: Sequence[int], status: str = "OK") -> list[PlainSpan]:
    """Spans of traces of these sizes, numbered through; only the roots have the status."""
    spans: list[PlainSpan] = []
    for trace, size in enumerate(sizes):
        for place in range(size):
            spans.append(
                PlainSpan(
                    number=len(spans),
                    trace_id=(trace + 1).to_bytes(16, "big"),
                    is_root=not place,
                    start=EPOCH,
                    end=EPOCH,
                    status="UNSET" if place else status,
                )
            )
    return spans


NEVER = {"name": "never", "type": "span_count", "span_count": {"min_spans": 100}}


def test_a_trace_about_which_a_policy_fails_is_kept_and_the_others_are_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_for(monkeypatch, spans=3)
    tail = sampler(NEVER, decision_wait="1s")
    sizes = [1] * 50 + [3] + [2] * 50 + [3]
    tail.add(batch_of(traces_of(sizes)), 1, 0)
    decided = tail.decide(2 * SECOND)
    assert decided is not None
    assert sorted(number for part in decided.kept for number in numbers(part.spans)) == [50, 51, 52, 153, 154, 155]
    assert {part.reason for part in decided.kept} == {"internal_error"}
    assert decided.failures == {"internal_error": 2}
    assert isinstance(decided.fault, ZeroDivisionError)
    (batch,) = [decided.batch()]
    assert batch is not None
    assert adjusted_counts(batch).tolist() == [1.0] * 6
    assert tail.decide(2 * SECOND) is None
    # A late span follows.
    tail.add(batch_of([replace(traces_of(sizes)[50], number=900)]), 2, 3 * SECOND)
    assert all_decided(tail, 5 * SECOND) == ({900}, set())


def test_where_policies_fail_for_all_traces_the_end_comes_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fail_for(monkeypatch, spans=1)
    tail = sampler(NEVER, decision_wait="1s")
    tail.add(batch_of(traces_of([1] * 2000)), 1, 0)
    assert all_decided(tail, 2 * SECOND) == (set(range(2000)), set())
    assert made[0].asked < 200


def test_traces_with_spans_that_rules_fail_on_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    match = SpanRules.match

    def faulty(rules: SpanRules, batch: SpanBatch) -> Matched:
        if {7, 8} & set(numbers(batch)):
            raise ZeroDivisionError("a slip")
        return match(rules, batch)

    monkeypatch.setattr(SpanRules, "match", faulty)
    tail = sampler(ERRORS, decision_wait="1s")
    spans = traces_of([3, 3, 3, 3])
    spans[9] = replace(spans[9], status="ERROR")
    tail.add(batch_of(spans), 1, 0)
    decided = tail.decide(2 * SECOND)
    assert decided is not None
    assert {part.reason: numbers(part.spans) for part in decided.kept} == {"internal_error": [6, 7, 8], "errors": [9, 10, 11]}
    assert isinstance(decided.fault, ZeroDivisionError)
    assert decided.failures == {"internal_error": 1}


def test_a_policy_that_fails_while_spans_come_loses_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_for(monkeypatch, spans=2)
    tail = sampler(ERRORS, decision_wait="1s")
    tail.add(batch_of(traces_of([2, 1], status="ERROR")), 1, 0)
    assert all_decided(tail, 2 * SECOND) == ({0, 1, 2}, set())


PLAIN: list[dict[str, Any]] = [
    ALWAYS,
    ERRORS,
    {"name": "slow", "type": "latency", "latency": {"threshold_ms": 3}},
    {"name": "middling", "type": "latency", "latency": {"threshold_ms": 2, "upper_threshold_ms": 5}},
    {"name": "tenant", "type": "string_attribute", "string_attribute": {"key": "tenant", "values": ["a", "b"]}},
    {"name": "other", "type": "string_attribute", "string_attribute": {"key": "tenant", "values": ["a"], "invert_match": True}},
    {"name": "code", "type": "numeric_attribute", "numeric_attribute": {"key": "code", "min_value": 1, "max_value": 2}},
    {"name": "many", "type": "span_count", "span_count": {"min_spans": 3}},
    {"name": "some", "type": "span_count", "span_count": {"min_spans": 2, "max_spans": 3}},
    {"name": "half", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}},
    {"name": "quarter", "type": "probabilistic", "probabilistic": {"sampling_percentage": 25, "hash_salt": "other"}},
]
LIMIT: dict[str, Any] = {"name": "limit", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 4}}
INNER = [policy for policy in PLAIN if policy["name"] != "all"]


def renamed(policies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [policy | {"name": f"p{place}"} for place, policy in enumerate(policies)]


@st.composite
def policy_sets(draw: st.DrawFn) -> list[dict[str, Any]]:
    some = st.lists(st.sampled_from([*INNER, LIMIT]), min_size=1, max_size=3).map(renamed)
    negated = st.sampled_from(INNER).map(lambda inner: {"name": "", "type": "not", "not": {"not_sub_policy": inner}})
    several = st.one_of(some, st.tuples(some, negated).map(lambda pair: renamed([*pair[0], pair[1]])))
    composed = some.map(
        lambda inner: {
            "name": "",
            "type": "composite",
            "composite": {
                "max_total_spans_per_second": 12,
                "policy_order": [each["name"] for each in reversed(inner)],
                "composite_sub_policy": inner,
            },
        }
    )
    every = st.one_of(
        st.sampled_from([*PLAIN, LIMIT]),
        negated,
        several.map(lambda inner: {"name": "", "type": "and", "and": {"and_sub_policy": inner}}),
        several.map(lambda inner: {"name": "", "type": "drop", "drop": {"drop_sub_policy": inner}}),
        composed,
    )
    return renamed(draw(st.lists(every, min_size=1, max_size=4)))


@st.composite
def pieces(draw: st.DrawFn) -> list[tuple[int, list[PlainSpan]]]:
    """Pieces of spans of a few traces, and how long after the piece before each comes, in tenths of a second."""
    stream = []
    number = 0
    for _ in range(draw(st.integers(1, 8))):
        spans = []
        for _ in range(draw(st.integers(1, 8))):
            start = EPOCH + draw(st.integers(0, 3)) * 1_000_000
            spans.append(
                PlainSpan(
                    number,
                    trace_id=bytes([draw(st.integers(1, 9))]) * 16,
                    start=start,
                    end=start + draw(st.integers(-1, 4)) * 1_000_000,
                    status=draw(st.sampled_from(["UNSET", "UNSET", "OK", "ERROR"])),
                    attributes=draw(
                        st.sampled_from([(), (("tenant", "a"),), (("tenant", "c"),), (("code", 2),), (("code", "2"),)])
                    ),
                    is_root=draw(st.booleans()),
                )
            )
            number += 1
        stream.append((draw(st.integers(0, 25)), spans))
    return stream


@settings(max_examples=200, deadline=None)
@given(policy_sets(), pieces(), st.sampled_from([1, 2, 4, 9]), st.sampled_from([0, 5]), st.booleans())
def test_random_streams_are_decided_as_by_a_plain_sampler(
    policies: list[dict[str, Any]],
    stream: list[tuple[int, list[PlainSpan]]],
    num_traces: int,
    after_root: int,
    first_match: bool,
) -> None:
    plain_policies = PlainPolicies(policies, first_match=first_match)
    if plain_policies.kinds() & {"rate_limiting", "composite"}:
        after_root = 0  # who comes first where several roots come at once is not laid down
    tail = sampler(
        *policies,
        decision_wait="2s",
        decision_wait_after_root_received=f"{after_root * 100}ms",
        num_traces=num_traces,
        sample_on_first_match=first_match,
    )
    tick = SECOND // 10 * (after_root or 20) // 30
    plain = PlainTailSampler(
        plain_policies, wait=2 * SECOND, tick=tick, num_traces=num_traces, wait_after_root=after_root * SECOND // 10
    )
    now = 1_000 * SECOND
    for piece, (pause, drawn) in enumerate(stream):
        # Nor is it laid down which of traces is the oldest that were brought forward together.
        spans = drawn if num_traces == 9 else [replace(span, is_root=False) for span in drawn]
        now += pause * SECOND // 10
        tail.add(batch_of(spans), piece, now)
        plain.add(spans, now)
        assert all_decided(tail, now) == plain.decide(now)
        assert tail.pending_spans == sum(len(trace.spans) for trace in plain.held.values())
    now += 10 * SECOND
    assert all_decided(tail, now) == plain.decide(now)
    assert tail.pending_spans == tail.pending_bytes == tail.pending_traces == 0
    assert tail.next_deadline_ns is None


def test_a_trace_is_decided_when_its_time_is_up() -> None:
    tail = sampler(ERRORS, decision_wait="30s")
    tail.add(numbered(0, 3), 7, 100 * SECOND)
    assert tail.next_deadline_ns == 130 * SECOND
    assert tail.decide(130 * SECOND - 1) is None
    assert (tail.pending_spans, tail.pending_traces) == (3, 3)
    decided = tail.decide(130 * SECOND)
    assert decided is not None
    assert decided.finished == (7,)
    assert not decided.kept
    assert [(part.piece, part.reason, numbers(part.spans)) for part in decided.dropped] == [(7, "not_sampled", [0, 1, 2])]
    assert decided.ages_ns.tolist() == [30 * SECOND] * 3
    assert tail.decide(130 * SECOND) is None


def test_a_piece_is_finished_once_none_of_its_spans_is_held() -> None:
    tail = sampler(decision_wait="1s", decision_wait_after_root_received="500ms")
    tail.add(batch_of([PlainSpan(0, b"a" * 16, EPOCH, EPOCH), PlainSpan(1, b"b" * 16, EPOCH, EPOCH)]), 1, 0)
    tail.add(batch_of([PlainSpan(2, b"a" * 16, EPOCH, EPOCH, is_root=True)]), 2, 0)
    first = tail.decide(SECOND // 10)
    assert first is not None
    assert first.finished == (2,)
    second = tail.decide(2 * SECOND)
    assert second is not None
    assert second.finished == (1,)


def decided_once(tail: TailSampler, batch: SpanBatch) -> None:
    tail.add(batch, 1, 0)
    assert tail.decide(100 * SECOND) is not None


def trace(*numbers: int, status: str = "UNSET") -> SpanBatch:
    return batch_of([PlainSpan(number, b"t" * 16, EPOCH, EPOCH, status) for number in numbers])


@pytest.mark.parametrize("status", ["UNSET", "ERROR"])
def test_late_spans_follow_the_decision_that_is_remembered(status: str) -> None:
    tail = sampler(ERRORS)
    decided_once(tail, trace(0, status=status))
    # By itself, each would be decided the other way.
    tail.add(trace(1, status="UNSET" if status == "ERROR" else "ERROR"), 2, 200 * SECOND)
    decided = tail.decide(201 * SECOND)
    assert decided is not None
    assert decided.verdicts.late.tolist() == [True]
    assert decided.verdicts.kept.tolist() == [status == "ERROR"]
    (part,) = decided.kept or decided.dropped
    assert part.reason == ("errors" if status == "ERROR" else "not_sampled")


def test_late_spans_of_a_trace_that_was_forgotten_are_judged_alone() -> None:
    tail = sampler(ERRORS, num_traces=1, decision_cache={"non_sampled_cache_size": 2})
    decided_once(tail, trace(0))
    tail.add(numbered(10, 2), 2, 200 * SECOND)
    assert all_decided(tail, 300 * SECOND) == (set(), {10, 11})
    tail.add(trace(1, status="ERROR"), 3, 400 * SECOND)
    assert tail.decide(401 * SECOND) is None
    assert all_decided(tail, 500 * SECOND) == ({1}, set())


def test_the_oldest_traces_are_decided_early_where_there_are_too_many() -> None:
    tail = sampler(ERRORS, num_traces=2)
    tail.add(numbered(0, 5), 1, 0)
    decided = tail.decide(0)
    assert decided is not None
    assert decided.early == 3
    assert numbers(decided.dropped[0].spans) == [0, 1, 2]
    assert tail.decide(0) is None
    assert tail.has_room


def test_with_block_on_overflow_there_is_no_room_until_enough_is_decided() -> None:
    tail = sampler(ERRORS, num_traces=2, block_on_overflow=True)
    tail.add(numbered(0, 5), 1, 0)
    assert not tail.has_room
    assert tail.decide(0) is None
    assert tail.next_deadline_ns == 30 * SECOND
    assert all_decided(tail, 30 * SECOND) == (set(), {0, 1, 2, 3, 4})
    assert tail.has_room


def test_what_is_held_stays_within_max_bytes() -> None:
    tail = sampler(ERRORS, max_bytes=400_000, num_traces=10_000)
    early = 0
    for piece in range(100):
        tail.add(numbered(100 * piece, 100), piece, piece)
        while (decided := tail.decide(piece)) is not None:
            early += decided.early
        assert tail.pending_bytes <= 400_000
    # No more than was needed is given up.
    assert early == 10_000 - tail.pending_traces
    assert tail.pending_bytes > 300_000


def test_a_few_held_spans_do_not_hold_all_bytes_of_their_piece() -> None:
    tail = sampler(decision_wait="1s", decision_wait_after_root_received="100ms")
    spans = [PlainSpan(number, bytes([number + 1]) * 16, EPOCH, EPOCH, is_root=number % 50 != 0) for number in range(200)]
    batch = batch_of(spans)
    tail.add(batch, 1, 0)
    before = tail.pending_bytes
    assert tail.decide(SECOND // 2) is not None
    assert tail.pending_spans == 4
    assert tail.pending_bytes < before / 20
    decided = tail.decide(SECOND)
    assert decided is not None
    assert numbers(decided.kept[0].spans) == [0, 50, 100, 150]
    kept = decided.batch()
    assert kept is not None
    wanted = batch.select(np.array([0, 50, 100, 150]))
    assert encode_request(kept) == encode_request(wanted)


def test_without_memory_to_hold_spans_apart_from_others_they_are_held_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    let_memory_be_short(monkeypatch, held_spans, "compact", {1, 2})
    tail = sampler(decision_wait="1s", decision_wait_after_root_received="100ms")
    spans = [PlainSpan(number, bytes([number + 1]) * 16, EPOCH, EPOCH, is_root=number % 50 != 0) for number in range(200)]
    batch = batch_of(spans * 10).select(slice(0, 200))
    tail.add(batch, 1, 0)
    before = tail.pending_bytes
    assert tail.decide(SECOND // 2) is not None
    assert (tail.pending_spans, tail.pending_bytes) == (4, before)
    decided = tail.decide(SECOND)
    assert decided is not None
    assert (numbers(decided.kept[0].spans), tail.pending_bytes) == ([0, 50, 100, 150], 0)


def test_a_trace_that_is_too_large_is_dropped_at_once_with_what_comes_later() -> None:
    tail = sampler(maximum_trace_size_bytes=500)
    tail.add(trace(0), 1, 0)
    assert tail.decide(2 * SECOND) is None
    tail.add(trace(*range(1, 10)), 2, 2 * SECOND)
    decided = tail.decide(3 * SECOND)
    assert decided is not None
    assert {part.reason for part in decided.dropped} == {TRACE_TOO_LARGE}
    assert decided.finished == (1, 2)
    tail.add(trace(11), 3, 4 * SECOND)
    assert all_decided(tail, 5 * SECOND) == (set(), {11})


def test_traces_of_two_workspaces_with_one_id_are_two() -> None:
    tail = sampler(ERRORS)
    ours = PlainSpan(0, b"t" * 16, EPOCH, EPOCH)
    theirs = PlainSpan(1, b"t" * 16, EPOCH, EPOCH, "ERROR")
    tail.add(batch_of([ours], "ours"), 1, 0)
    tail.add(batch_of([theirs], "theirs"), 2, 0)
    decided = tail.decide(30 * SECOND)
    assert decided is not None
    assert [numbers(part.spans) for part in decided.kept] == [[1]]
    assert [numbers(part.spans) for part in decided.dropped] == [[0]]
    kept = decided.verdicts.keys[decided.verdicts.kept]
    assert kept.tobytes() == trace_key("theirs", b"t" * 16)


@pytest.mark.parametrize("drops", [False, True])
def test_at_the_end_all_is_decided_by_what_is_there_or_dropped(drops: bool) -> None:
    tail = sampler(ALWAYS, drop_pending_traces_on_shutdown=drops)
    tail.add(numbered(0, 3), 1, 0)
    decided = tail.decide_all(1)
    assert decided is not None
    (part,) = decided.kept or decided.dropped
    assert part.reason == (SHUTDOWN if drops else "all")
    assert bool(decided.dropped) == drops
    assert tail.decide_all(1) is None


def test_decisions_that_are_applied_anew_give_the_same_spans() -> None:
    half = {"name": "half", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}}
    batches = [numbered(10 * piece, 10, trace_of=lambda number: 2**127 // (number % 17 + 3)) for piece in range(4)]
    one = sampler(half, record_policy=True)
    for piece, batch in enumerate(batches):
        one.add(batch, piece, 0)
    decided = one.decide(30 * SECOND)
    other = sampler(ERRORS, record_policy=True)
    for piece, batch in enumerate(batches):
        other.add(batch, piece, 55)
    assert decided is not None
    again = other.apply(decided.verdicts, 3)
    assert [(part.piece, part.reason, numbers(part.spans)) for part in again.kept] == [
        (part.piece, part.reason, numbers(part.spans)) for part in decided.kept
    ]
    first, second = decided.batch(), again.batch()
    assert first is not None
    assert second is not None
    assert encode_request(first) == encode_request(second)
    assert np.array_equal(adjusted_counts(first), adjusted_counts(second))
    assert other.pending_spans == 0


def test_spans_of_later_pieces_follow_decisions_that_are_applied_anew() -> None:
    one, other = sampler(), sampler(ERRORS)
    one.add(trace(0), 1, 0)
    decided = one.decide(30 * SECOND)
    assert decided is not None
    other.add(trace(0), 1, 0)
    other.add(trace(1), 2, 0)
    assert [part.piece for part in other.apply(decided.verdicts, 1).kept] == [1]
    later = other.decide(0)
    assert later is not None
    assert [(part.piece, part.reason) for part in later.kept] == [(2, "all")]
    assert later.verdicts.late.tolist() == [True]


def test_decisions_are_restored() -> None:
    one, other = sampler(), sampler(ERRORS)
    one.add(trace(0), 1, 0)
    decided = one.decide(30 * SECOND)
    assert decided is not None
    other.restore(decided.verdicts)
    other.add(trace(1), 1, 0)
    assert all_decided(other, SECOND) == ({1}, set())


def test_it_is_told_how_late_spans_are_where_that_is_known() -> None:
    one, other = sampler(), sampler(ERRORS)
    one.add(trace(0), 1, 0)
    decided = one.decide(30 * SECOND)
    assert decided is not None
    assert not len(decided.late_ages_ns)
    other.restore(decided.verdicts)
    for tail, late in ((one, [40 * SECOND]), (other, [])):
        tail.add(trace(1), 2, 70 * SECOND)
        later = tail.decide(71 * SECOND)
        assert later is not None
        assert later.late_ages_ns.tolist() == late
        assert tail.counted(later).late_ages.total_s == sum(late) / SECOND


def test_a_successor_decides_about_what_was_held_and_remembers_what_was_decided() -> None:
    one = sampler()
    one.add(trace(0), 1, 0)
    assert all_decided(one, 30 * SECOND)[0]
    one.add(trace(1), 2, 31 * SECOND)
    one.add(batch_of([PlainSpan(2, b"u" * 16, EPOCH, EPOCH, "UNSET")]), 3, 32 * SECOND)
    errors = TailSamplingProcessor.model_validate({"policies": [ERRORS]})
    other = one.successor(errors)
    for held in one.held():
        other.add(held.batch, held.piece, held.came_ns)
    other.handed_over(one)
    assert (other.pending_spans, other.pending_traces) == (2, 2)
    late, rest = other.decide(33 * SECOND), other.decide(62 * SECOND)
    assert late is not None
    assert rest is not None
    # By itself the first would be dropped, too. It waits no longer than it would have.
    assert [(part.piece, part.reason) for part in (*late.kept, *rest.dropped)] == [(2, "all"), (3, "not_sampled")]
    assert late.late_ages_ns.tolist() == [SECOND]
    assert (late.opened, rest.opened) == (1, 0)


def kept_spans(*policies: Any, trace_states: Sequence[str] = ("",), **keys: Any) -> tuple[list[Span], list[float]]:
    """The spans that are kept of traces with one span each, and how many each stands for."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number, state in enumerate(trace_states):
        # Random, but such that they are kept at any threshold.
        trace_id = np.random.default_rng(number).bytes(9) + bytes([255]) * 7
        spans.add(trace_id=trace_id, span_id=b"12345678", name="s", start_time_unix_nano=EPOCH, trace_state=state)
    tail = sampler(*policies, **keys)
    tail.add(decode(request.SerializeToString()).batch, 1, 0)
    decided = tail.decide(30 * SECOND)
    assert decided is not None
    batch = decided.batch()
    assert batch is not None
    kept = ExportTraceServiceRequest.FromString(encode_request(batch))
    return list(spans_of(kept)), adjusted_counts(batch).tolist()


STATES = ("", "ot=th:8", "a=b,ot=th:c;x:y", "ot=rv:ffffffffffffff")
UNSET = {"name": "unset", "type": "status_code", "status_code": {"status_codes": ["UNSET"]}}


def test_what_is_kept_whatever_it_is_keeps_its_threshold() -> None:
    spans, counts = kept_spans(ALWAYS, trace_states=STATES)
    assert [span.trace_state for span in spans] == list(STATES)
    assert counts == [1, 2, 4, 1]


def test_a_threshold_is_erased_by_policies_that_look_at_traces_and_still_counts() -> None:
    spans, counts = kept_spans(UNSET, trace_states=STATES)
    assert [span.trace_state for span in spans] == ["", "", "ot=x:y,a=b", "ot=rv:ffffffffffffff"]
    assert counts == [1, 2, 4, 1]


def test_a_threshold_that_cannot_be_true_is_erased_and_does_not_count() -> None:
    spans, counts = kept_spans(ALWAYS, trace_states=("ot=th:8;rv:00000000000000", "ot=th:8;rv:80000000000000"))
    assert [span.trace_state for span in spans] == ["ot=rv:00000000000000", "ot=th:8;rv:80000000000000"]
    assert counts == [1, 2]


def test_a_rate_limit_erases_thresholds() -> None:
    limit = {"name": "limit", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 100}}
    spans, counts = kept_spans(limit, trace_states=STATES)
    assert [span.trace_state for span in spans] == ["", "", "ot=x:y,a=b", "ot=rv:ffffffffffffff"]
    assert counts == [1, 2, 4, 1]


def test_what_a_share_is_kept_of_stands_for_the_others_too() -> None:
    quarter = {"name": "quarter", "type": "probabilistic", "probabilistic": {"sampling_percentage": 25}}
    spans, counts = kept_spans(quarter, trace_states=("ot=th:8",) * 60)
    assert 5 < len(spans) < 30
    assert counts == pytest.approx([8] * len(spans))
    assert {span.trace_state for span in spans} == {""}


def test_adjusted_counts_are_true_on_average() -> None:
    """Errors are kept always, others by a tenth: both are estimated without bias."""
    tenth = {"name": "tenth", "type": "probabilistic", "probabilistic": {"sampling_percentage": 10}}
    random = np.random.default_rng(3)
    spans = [
        PlainSpan(number, random.bytes(16), EPOCH, EPOCH, "ERROR" if number % 20 == 0 else "UNSET") for number in range(8_000)
    ]
    tail = sampler(ERRORS, tenth)
    tail.add(batch_of(spans), 1, 0)
    decided = tail.decide(30 * SECOND)
    assert decided is not None
    batch = decided.batch()
    assert batch is not None
    failed = batch.spans["status_code"] == 2
    counts = adjusted_counts(batch)
    assert counts[failed].tolist() == [1] * 400
    deviation = 10 * (7_600 * 0.1 * 0.9) ** 0.5
    assert abs(counts[~failed].sum() - 7_600) < 5 * deviation


def test_with_record_policy_spans_say_who_decided() -> None:
    spans, _ = kept_spans(ERRORS, UNSET, record_policy=True)
    assert {entry.key: entry.value.string_value for entry in spans[0].attributes} == {"tailsampling.policy": "unset"}
    tail = sampler(record_policy=True)
    decided_once(tail, trace(0))
    tail.add(trace(1), 2, 200 * SECOND)
    decided = tail.decide(201 * SECOND)
    assert decided is not None
    batch = decided.batch()
    assert batch is not None
    (span,) = spans_of(ExportTraceServiceRequest.FromString(encode_request(batch)))
    values = {entry.key: entry.value for entry in span.attributes}
    assert values["tailsampling.policy"].string_value == "all"
    assert values["tailsampling.cached_decision"].bool_value


def test_with_record_policy_spans_say_who_decided_within_a_composite() -> None:
    own = {"max_total_spans_per_second": 9, "policy_order": ["all"], "composite_sub_policy": [ALWAYS]}
    composite = {"name": "budget", "type": "composite", "composite": own}
    spans, _ = kept_spans(composite, record_policy=True)
    assert {entry.key: entry.value.string_value for entry in spans[0].attributes} == {
        "tailsampling.policy": "budget",
        "tailsampling.composite_policy": "all",
    }


def test_votes_say_who_was_for_a_trace() -> None:
    tail = sampler(ERRORS, UNSET, {"name": "all", "type": "always_sample"})
    tail.add(numbered(0, 2), 1, 0)
    decided = tail.decide(30 * SECOND)
    assert decided is not None
    assert tail.policies == ("errors", "unset", "all")
    assert decided.votes.tolist() == [[False, True, True]] * 2


def test_conditions_that_fail_are_counted_with_the_next_decision() -> None:
    condition = {"name": "long", "type": "ottl_condition", "ottl_condition": {"span": ['Len(attributes["k"]) > 1']}}
    tail = sampler(condition)
    tail.add(numbered(0, 2), 1, 0)
    decided = tail.decide(30 * SECOND)
    assert decided is not None
    assert decided.failures == {"long": 2}
    assert list(decided.reasons) == ["long"]


def test_many_traces_at_once_are_decided_a_part_at_a_time_and_tables_grow() -> None:
    tail = sampler(num_traces=10)
    for piece in range(3):
        tail.add(numbered(30_000 * piece, 30_000), piece, 0)
    kept, dropped = all_decided(tail, 100 * SECOND)
    assert kept == set(range(90_000))
    assert not dropped


def test_what_was_decided_is_counted() -> None:
    drop = {"name": "drop", "type": "drop", "drop": {"drop_sub_policy": [ERRORS]}}
    inverted = {"key": "tenant", "values": ["a"], "invert_match": True}
    forbid = {"name": "forbid", "type": "string_attribute", "string_attribute": inverted}
    tail = sampler(drop, forbid, ALWAYS)
    spans = [
        PlainSpan(number, bytes([number + 1]) * 16, EPOCH, EPOCH, status, attributes)
        for number, (status, attributes) in enumerate(
            [("ERROR", ()), ("UNSET", (("tenant", "a"),)), ("UNSET", ()), ("UNSET", ())]
        )
    ]
    tail.add(batch_of(spans), 1, 0)
    decided = tail.decide(30 * SECOND)
    assert decided is not None
    counted = tail.counted(decided)
    assert counted.votes == {
        ("drop", "dropped", False): 1,
        ("drop", "not_sampled", False): 3,
        ("forbid", "inverted_sampled", True): 2,
        ("forbid", "inverted_not_sampled", False): 2,
        ("all", "sampled", True): 3,
        ("all", "not_sampled", False): 1,
    }
    assert counted.traces == {True: 2, False: 2}
    assert counted.spans == {("all", True): 2, ("drop", False): 1, ("forbid", False): 1}
    assert (counted.opened, counted.early, counted.late) == (4, 0, {True: 0, False: 0})
    assert (sum(counted.ages.counts), counted.ages.total_s) == (4, 120)
    assert set(counted.took_s) == {"drop", "forbid", "all"}
    telemetry = Telemetry("test")
    telemetry.processor("tail_sampling", "clickhouse").traces_decided(counted)
    asked = telemetry.histogram(TAIL_POLICY_MICROSECONDS, ("tail_sampling", "clickhouse", "forbid"))
    assert asked.cumulative()[-1] == ("+Inf", 1)
    assert telemetry.value(TAIL_TRACES, "tail_sampling", "clickhouse", "true") == 2
    assert telemetry.value(TAIL_VOTES, "tail_sampling", "clickhouse", "forbid", "true", "inverted_sampled") == 2
    assert (
        telemetry.histogram(TAIL_AGE_SECONDS, ("tail_sampling", "clickhouse")).cumulative()[-4:]
        == [
            ("30.0", 4),
            ("60.0", 4),
            ("120.0", 4),
            ("300.0", 4),
            ("+Inf", 4),
        ][-4:]
    )
