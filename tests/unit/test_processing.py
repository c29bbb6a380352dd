"""Processors in front of a destination: their order, what is counted, and what a fault of theirs leads to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from collector import scarce_memory
from collector.processors import base
from collector.processors.base import Processed, Processing, Stage
from exporters.base import Delivery, DerivedRows
from exporters.tally import spans_by_owner
from proto.spans import SpanBatch
from tests.support.batches import numbered, numbers

OWNER = "default/numbers"


class Kept:
    """A destination that keeps what it is given."""

    def __init__(self) -> None:
        self.given: list[tuple[str, list[int]]] = []
        self.rows: list[tuple[str, str]] = []

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        self.given.append((name, numbers(batch)))
        return Delivery(Counter(spans_by_owner(batch)))

    async def deliver_rows(self, rows: DerivedRows, name: str) -> None:
        self.rows.append((rows.table, name))


class Counted:
    """What a processor counted."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int]] = []
        self.failures: list[tuple[str, int]] = []

    def processed(self, incoming: int, outgoing: int) -> None:
        self.spans.append((incoming, outgoing))

    def failed(self, rule: str, count: int) -> None:
        self.failures.append((rule, count))


class Step:
    """A processor that is a function."""

    def __init__(self, function: Callable[[SpanBatch], Processed]) -> None:
        self.process = function


def only(test: Callable[[int], bool]) -> Step:
    """Lets on the spans whose numbers pass a test."""

    def process(batch: SpanBatch) -> Processed:
        stays = np.array([test(number) for number in numbers(batch)], np.bool_)
        return Processed(batch.select(stays), batch.select(~stays))

    return Step(process)


async def delivered(steps: Sequence[Step], batch: SpanBatch) -> tuple[Kept, Delivery, list[Counted]]:
    """What became of a batch, named "7-0"."""
    kept, counted = Kept(), [Counted() for _ in steps]
    stages = [Stage(f"step/{number}", step, counted[number]) for number, step in enumerate(steps)]
    with ThreadPoolExecutor(1) as executor:
        delivery = await Processing(stages, kept, executor).deliver(batch, "7-0")
    return kept, delivery, counted


async def test_processors_work_in_their_order_and_the_rest_keeps_its_name() -> None:
    even, small = only(lambda number: number % 2 == 0), only(lambda number: number < 5)
    kept, delivery, counted = await delivered([even, small], numbered(0, 10))
    assert kept.given == [("7-0", [0, 2, 4])]
    assert delivery.stored == {OWNER: 3}
    assert delivery.dropped == {"step/0": {OWNER: 5}, "step/1": {OWNER: 2}}
    assert [each.spans for each in counted] == [[(10, 5)], [(5, 3)]]


async def test_what_is_dropped_whole_goes_nowhere() -> None:
    nothing = only(lambda number: False)
    kept, delivery, counted = await delivered([nothing, nothing], numbered(0, 3))
    assert kept.given == []
    assert delivery.dropped == {"step/0": {OWNER: 3}}
    assert [each.spans for each in counted] == [[(3, 0)], []]


async def test_a_fault_of_a_processor_drops_its_spans_and_says_so() -> None:
    """They must not get past it: it may be there to remove what nobody should see."""

    def fail(batch: SpanBatch) -> Processed:
        raise ZeroDivisionError

    kept, delivery, counted = await delivered([Step(fail)], numbered(0, 3))
    assert kept.given == []
    assert delivery.dropped == {"step/0: error": {OWNER: 3}}
    assert counted[0].failures == [("internal_error", 3)]


@pytest.mark.parametrize(("failures", "outcome"), [(3, ([("7-0", [0, 1, 2])], {})), (9, ([], {"step/0: error": {OWNER: 3}}))])
async def test_a_processor_without_memory_tries_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch, failures: int, outcome: tuple[object, object]
) -> None:
    monkeypatch.setattr(scarce_memory, "AGAIN_S", 0.0)
    monkeypatch.setattr(base, "MOST_TRIES", 5)
    scarce = [MemoryError() for _ in range(failures)]

    def process(batch: SpanBatch) -> Processed:
        if scarce:
            raise scarce.pop()
        return Processed(batch)

    kept, delivery, _ = await delivered([Step(process)], numbered(0, 3))
    assert (kept.given, delivery.dropped) == outcome


async def test_spans_that_are_given_up_with_a_failed_rule_are_counted_apart() -> None:
    def give_up(batch: SpanBatch) -> Processed:
        return Processed(batch.select(slice(1, None)), None, {"rule[0]": 1}, batch.select(slice(0, 1)), {"rule[0]": "why"})

    kept, delivery, counted = await delivered([Step(give_up)], numbered(0, 3))
    assert kept.given == [("7-0", [1, 2])]
    assert delivery.dropped == {"step/0: error": {OWNER: 1}}
    assert counted[0].failures == [("rule[0]", 1)]


async def test_rows_that_were_made_of_spans_go_on_under_names_of_their_own_even_if_no_span_does() -> None:
    def derive(batch: SpanBatch) -> Processed:
        tables = ("one", "two")
        return Processed(batch, derived=[DerivedRows(table, [], np.array([0])) for table in tables])

    nothing = only(lambda number: False)
    kept, delivery, _ = await delivered([Step(derive), nothing, Step(derive)], numbered(0, 3))
    assert kept.rows == [("one", "7-0-step/0"), ("two", "7-0-step/0")]
    assert kept.given == []
    assert delivery.dropped == {"step/1": {OWNER: 3}}
