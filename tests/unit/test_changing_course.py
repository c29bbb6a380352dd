"""Processors change while spans pass: each span meets those of one configuration, and what is held is decided by the new one."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.metrics import TAIL_NEW_TRACES
from collector.pipeline.batching import BatchLimits
from collector.processors.attributes import SpanAttributes
from collector.processors.base import Processor
from collector.processors.tail_sampling.decided import trace_key
from config.attribute_actions import AttributesProcessor
from exporters.base import Delivery
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from proto.warm import warm
from tests.support.held_lines import ALL, EXPORTER, OWNER, WAIT_S, Killed, course, kept, line, trace_of
from tests.support.journals import Deposit
from tests.support.requests import spans_of
from tests.support.waiting import until

AT_ONCE = BatchLimits(min_spans=1, max_spans=0, max_bytes=1 << 20, timeout_s=0.0)
NEVER = BatchLimits(min_spans=1 << 20, max_spans=0, max_bytes=1 << 30, timeout_s=3600.0)
LASTING = pytest.mark.parametrize("lasting", [False, True])


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Compile beforehand: the tests' deadlines are meant for states, not for compilers."""
    warm()


def mark(key: str, value: int) -> Processor:
    """Writes a number into every span."""
    action = {"key": key, "action": "upsert", "value": value}
    return SpanAttributes(AttributesProcessor.model_validate({"actions": [action]}))


class Marked(Killed):
    """Notes the marks of each span that comes."""

    def __init__(self, store: Deposit) -> None:
        super().__init__(store)
        self.marks: defaultdict[int, list[dict[str, int]]] = defaultdict(list)

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        for span in spans_of(ExportTraceServiceRequest.FromString(encode_request(batch))):
            self.marks[int(span.name)].append({entry.key: entry.value.int_value for entry in span.attributes})
        return await super().deliver(batch, name)


@LASTING
async def test_traces_that_are_held_are_decided_by_the_policies_that_come(tmp_path: Path, lasting: bool) -> None:
    deposit = Killed(Deposit())
    async with line(deposit, tmp_path if lasting else None) as held:
        await held.put(0, 60)
        await held.until_held(60)
        held.way.use(course({"policies": [ALL]}))
        await held.put(60, 30)
        await held.until_held(90)
        await held.settle()
        assert deposit.numbers == held.numbers
        assert held.account.settled == Delivery(Counter({OWNER: 90}))


@LASTING
async def test_late_spans_follow_what_was_decided_by_the_policies_before(tmp_path: Path, lasting: bool) -> None:
    deposit = Killed(Deposit())
    async with line(deposit, tmp_path if lasting else None) as held:
        await held.put(0, 15)
        await held.until_held(15)
        await held.settle()
        held.way.use(course({"policies": [ALL]}))
        await held.put(15, 15)
        await held.settle()
        assert deposit.numbers == kept(held.numbers)
        (late, first) = (await held.explain(trace_key("default", trace_of(0).to_bytes(16, "big")))).decisions
        assert (late.late, late.kept, late.decided_by) == (True, first.kept, first.decided_by)


@LASTING
async def test_time_that_a_trace_has_waited_counts(tmp_path: Path, lasting: bool) -> None:
    deposit = Killed(Deposit())
    async with line(deposit, tmp_path if lasting else None) as held:
        await held.put(0, 30)
        await held.until_held(30)
        held.clock.passed_s += WAIT_S / 2
        held.way.use(course({"policies": [ALL], "decision_wait": f"{WAIT_S / 4}s"}))
        await until(lambda: len(deposit.numbers) == 30)


@LASTING
async def test_without_a_sampler_what_is_held_is_let_on_and_what_comes_passes(tmp_path: Path, lasting: bool) -> None:
    deposit = Killed(Deposit())
    async with line(deposit, tmp_path if lasting else None) as held:
        await held.put(0, 60)
        await held.until_held(60)
        held.way.use(course(samples=False))
        await held.put(60, 30)
        await until(lambda: len(deposit.numbers) == 90)
        held.way.use(course())
        await held.put(90, 30)
        await held.until_held(30)
        await held.settle()
        assert deposit.numbers == [*range(90), *kept(list(range(90, 120)))]


async def test_where_there_was_no_sampler_one_can_come() -> None:
    deposit = Killed(Deposit())
    async with line(deposit, samples=False) as held:
        await held.put(0, 30)
        await until(lambda: len(deposit.numbers) == 30)
        held.way.use(course())
        await held.put(30, 60)
        await held.until_held(60)
        await held.settle()
    assert deposit.numbers == [*range(30), *kept(list(range(30, 90)))]


MARKS: Sequence[Mapping[str, Sequence[str]]] = (
    {"front": ["a"], "behind": ["b"]},
    {"front": ["a", "b"], "behind": []},
    {"front": [], "behind": ["a", "b"]},
    {"front": ["b"], "behind": ["a"]},
)


@LASTING
async def test_each_span_meets_the_processors_of_one_configuration_on_both_sides_of_the_sampler(
    tmp_path: Path, lasting: bool
) -> None:
    deposit = Marked(Deposit())
    async with line(deposit, tmp_path if lasting else None, samples=False) as held:
        for number in range(20):
            marks = MARKS[number % len(MARKS)]
            sides = {side: {f"attributes/{key}": mark(key, number) for key in keys} for side, keys in marks.items()}
            held.way.use(course({"policies": [ALL]}, samples=number % 5 > 0, limits=AT_ONCE, **sides))
            await held.put(30 * number, 30)
            if number % 3:
                held.clock.passed_s += WAIT_S / 2
                # Some are taken before the next change, and others after it.
                await asyncio.sleep(0.001 * (number % 4))
        await held.settle()
        assert sorted(deposit.marks) == held.numbers
        assert held.account.settled == Delivery(Counter({OWNER: len(held.numbers)}))
    for number, (marks,) in deposit.marks.items():
        assert (marks.keys(), len(set(marks.values()))) == ({"a", "b"}, 1), number


async def test_a_batch_that_waits_goes_by_the_limits_that_come() -> None:
    deposit = Killed(Deposit())
    async with line(deposit, samples=False, limits=NEVER) as held:
        await held.put(0, 30)
        assert not deposit.given
        held.way.use(course(samples=False, limits=AT_ONCE))
        await until(lambda: len(deposit.numbers) == 30)


async def test_what_is_held_counts_as_new_once() -> None:
    deposit = Killed(Deposit())
    async with line(deposit) as held:
        await held.put(0, 60)
        await held.until_held(60)
        held.way.use(course({"policies": [ALL]}))
        await held.settle()
        traces = len({trace_of(number) for number in held.numbers})
        assert held.telemetry.value(TAIL_NEW_TRACES, "tail_sampling", EXPORTER) == traces
