"""Spans that are held back until their traces are decided: what is kept is stored once, over restarts at any moment."""

from __future__ import annotations

import asyncio
import errno
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector import metrics
from collector.journal import decisions, lasting
from collector.journal.decisions import DecisionLog
from collector.ledger import Account
from collector.pipeline.batcher import Remainder
from collector.pipeline.batching import BatchLimits
from collector.pipeline.course import Course
from collector.processors.tail_sampling.combining import Outcome, Policies
from collector.processors.tail_sampling.decided import Decided, trace_key
from collector.processors.tail_sampling.policies import Traces
from collector.processors.tail_sampling.recent import Explanation
from collector.processors.tail_sampling.sampler import TailSampler
from collector.queues.held import Emission
from exporters.base import Delivery
from proto.spans import SpanBatch
from proto.warm import warm
from tests.support.batches import numbers
from tests.support.held_lines import ALL, EXPORTER, OWNER, WAIT_S, Killed, assert_settled, course, is_kept, kept, line, trace_of
from tests.support.journals import Deposit, crash_image
from tests.support.scarce import let_memory_be_short
from tests.support.waiting import until


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Compile beforehand: the tests' deadlines are meant for states, not for compilers."""
    warm()


@pytest.mark.parametrize("lasting", [False, True])
async def test_spans_wait_for_the_decision_about_their_trace_and_then_those_of_kept_traces_are_stored(
    tmp_path: Path, lasting: bool
) -> None:
    deposit = Killed(Deposit())
    async with line(deposit, tmp_path if lasting else None) as held:
        for first in range(0, 90, 5):
            await held.put(first, 5)
        await held.until_held(90)
        assert (deposit.numbers, held.batcher.statistics().spans) == ([], 90)
        await held.settle()
        assert deposit.numbers == kept(held.numbers)
        assert_settled(held.account, held.numbers)


class Mindful(Killed):
    """Has something to forget about every batch, and notes what had been committed when it did."""

    account: Account

    def __init__(self, store: Deposit) -> None:
        super().__init__(store)
        self.forgotten: dict[str, int] = {}

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        delivery = await super().deliver(batch, name)
        delivery.afterwards.append(lambda: self.forgotten.setdefault(name, self.account.settled.stored.total()))
        return delivery


async def test_what_the_destination_remembers_of_a_batch_is_forgotten_when_that_cannot_come_again(tmp_path: Path) -> None:
    deposit = Mindful(Deposit())
    limits = BatchLimits(min_spans=1, max_spans=40, max_bytes=1 << 20, timeout_s=0.0)
    async with line(deposit, tmp_path, limits=limits, sampling={"policies": [ALL]}) as held:
        deposit.account = held.account
        for first in range(0, 120, 20):
            await held.put(first, 20)
            await held.until_held(first + 20)
        assert not deposit.forgotten
        # The time of all is up at once, however long it took to put them.
        held.clock.passed_s += WAIT_S
        await held.settle()
        await until(lambda: len(deposit.forgotten) == 3)
    assert sorted(deposit.forgotten) == sorted(deposit.given)
    assert min(deposit.forgotten.values()) > 0


async def test_late_spans_follow_the_decision_at_once(tmp_path: Path) -> None:
    deposit = Killed(Deposit())
    async with line(deposit, tmp_path) as held:
        await held.put(0, 20)
        await held.until_held(20)
        await held.settle()
        await held.put(20, 10)
        await until(lambda: not held.batcher.statistics().spans)
        assert deposit.numbers == kept(held.numbers)


async def test_what_is_kept_is_sent_in_batches_within_the_limits_and_spans_of_a_piece_stay_together(tmp_path: Path) -> None:
    deposit = Killed(Deposit())
    limits = BatchLimits(min_spans=1, max_spans=40, max_bytes=1 << 20, timeout_s=0.0)
    async with line(deposit, tmp_path, limits=limits, sampling={"policies": [ALL]}) as held:
        for first in range(0, 120, 20):
            await held.put(first, 20)
            await held.until_held(first + 20)
        # As above.
        held.clock.passed_s += WAIT_S
        await held.settle()
    assert sorted(map(len, deposit.stored.values())) == [40, 40, 40]


async def test_while_batches_cannot_be_sent_no_more_than_they_are_decided_and_nothing_more_is_held(tmp_path: Path) -> None:
    deposit, gate = Killed(Deposit()), asyncio.Event()
    deposit.before = lambda _: gate.wait()
    limits = BatchLimits(min_spans=1, max_spans=10, max_bytes=1 << 20, timeout_s=0.0)
    async with line(deposit, tmp_path, limits=limits) as held:
        for first in range(0, 300, 10):
            await held.put(first, 10)
        await held.until_held(300)
        held.clock.passed_s += WAIT_S
        await until(lambda: len(deposit.given) == 2)
        for first in range(300, 400, 10):
            await held.put(first, 10)
        await until(lambda: held.batcher.statistics().batches > 30 and not held.held_spans)
        assert len(deposit.given) == 2
        gate.set()
        await held.settle()
        assert deposit.numbers == kept(held.numbers)


async def test_without_room_what_comes_waits_until_something_is_decided() -> None:
    deposit = Killed(Deposit())
    async with line(deposit, sampling={"num_traces": 2, "block_on_overflow": True}) as held:
        await held.put(0, 20)
        await held.until_held(20)
        for first in range(20, 90, 10):
            await held.put(first, 10)
        await until(lambda: not held.queue.waiting().spans)
        assert held.held_spans == 20
        await held.settle()
        assert deposit.numbers == kept(held.numbers)


async def test_that_traces_are_decided_before_their_time_is_told_of_in_the_log() -> None:
    with capture_logs() as logs:
        async with line(Killed(Deposit()), sampling={"num_traces": 2}) as held:
            await held.put(0, 30)
            await until(lambda: 0 < held.held_spans < 30)
            await held.settle()
    (told,) = (entry for entry in logs if entry["event"] == "traces_decided_early")
    assert told["traces"] == 1


@pytest.mark.parametrize("drops", [False, True])
async def test_at_the_end_what_is_not_decided_is_decided_or_dropped_where_it_would_be_lost(drops: bool) -> None:
    deposit = Killed(Deposit())
    async with line(deposit, sampling={"drop_pending_traces_on_shutdown": drops}) as held:
        await held.put(0, 60)
        await held.until_held(60)
        assert await held.batcher.drain(10.0) == Remainder(0, 0)
        assert deposit.numbers == ([] if drops else kept(held.numbers))
        assert held.account.settled.dropped["tail_sampling"].total() == 60 - len(deposit.numbers)


@pytest.mark.parametrize("lasting", [False, True])
async def test_at_the_end_nothing_waits_for_room(tmp_path: Path, lasting: bool) -> None:
    deposit = Killed(Deposit())
    async with line(deposit, tmp_path if lasting else None, sampling={"num_traces": 2, "block_on_overflow": True}) as held:
        await held.put(0, 20)
        await held.until_held(20)
        for first in range(20, 90, 10):
            await held.put(first, 10)
        await until(lambda: not held.queue.waiting().spans)
        if held.journal is not None:
            held.journal.close()
        left = await held.batcher.drain(600.0)
    assert left.spans == (90 if lasting else 0)
    assert deposit.numbers == ([] if lasting else kept(held.numbers))


async def test_what_is_not_decided_when_the_daemon_stops_waits_in_the_journal(tmp_path: Path) -> None:
    first, numbers = Killed(Deposit()), list(range(60))
    async with line(first, tmp_path) as held:
        for start in range(0, 60, 5):
            await held.put(start, 5)
        await held.until_held(60)
    assert first.given == []
    async with line(first, tmp_path) as held:
        await held.until_held(60)
        await held.settle()
        assert_settled(held.account, numbers)
    assert first.numbers == kept(numbers)


@dataclass
class Lives:
    """Processes that are killed, each of which finds what the one before it has left.

    Attributes:
        directory: of the journal that the next one finds.
        store: where all of them store.
        numbers: of the spans that were acknowledged.
    """

    directory: Path
    chance: random.Random
    store: Deposit = field(default_factory=Deposit)
    numbers: list[int] = field(default_factory=list)
    _lives: int = 0

    async def live(self, *, samples: bool = True, changes: Sequence[Course] = ()) -> None:
        """Put spans, let time pass, go over to any of `changes` now and then, and be killed at some moment."""
        chance = self.chance
        self._lives += 1
        way = Killed(self.store, chance.choice([0.0, 0.02]), chance.randrange(1 << 30))
        most_spans = chance.choice([0, 7, 30])
        limits = BatchLimits(chance.choice([1, 20]), most_spans, 1 << 20, chance.choice([0.0, 0.01]))
        image = self.directory.with_name(f"life-{self._lives}")
        async with line(way, self.directory, samples=samples, limits=limits, drain_s=0.0) as held:
            for _ in range(chance.randrange(1, 25)):
                first = len(self.numbers)
                await held.put(first, count := chance.randrange(1, 12))
                self.numbers.extend(range(first, first + count))
                held.clock.passed_s += chance.choice([0.0, WAIT_S / 8])
                await asyncio.sleep(chance.choice([0.0, 0.002, 0.02]))
                if changes and chance.random() < 0.3:
                    held.way.use(chance.choice(changes))
                held.check()
            crash_image(self.directory, image)
            way.cut.set()
        self.directory = image

    async def end(self, *, samples: bool = True) -> Account:
        """Let a last process store what is left."""
        async with line(Killed(self.store), self.directory, samples=samples) as held:
            await held.settle()
            return held.account


@pytest.mark.parametrize("seed", range(6))
async def test_whenever_processes_are_killed_all_spans_of_kept_traces_are_stored_once_and_none_of_others(
    tmp_path: Path, seed: int
) -> None:
    lives = Lives(tmp_path / "start", random.Random(seed))
    for _ in range(5):
        await lives.live()
    account = await lives.end()
    assert lives.store.numbers == kept(lives.numbers)
    assert_settled(account, lives.numbers)


@pytest.mark.parametrize("seed", range(6))
async def test_sampling_that_comes_and_goes_between_kills_loses_and_doubles_nothing(tmp_path: Path, seed: int) -> None:
    lives = Lives(tmp_path / "start", random.Random(seed))
    for _ in range(6):
        await lives.live(samples=lives.chance.random() < 0.5)
    account = await lives.end(samples=False)
    stored = lives.store.numbers
    assert len(set(stored)) == len(stored)
    assert set(kept(lives.numbers)) <= set(stored)
    assert account.settled.stored == {OWNER: len(stored)}
    assert account.settled.came() == {OWNER: len(lives.numbers)}


@pytest.mark.parametrize("seed", range(6))
async def test_sampling_that_changes_while_traces_are_held_and_processes_are_killed_loses_and_doubles_nothing(
    tmp_path: Path, seed: int
) -> None:
    lives = Lives(tmp_path / "start", random.Random(seed))
    few = BatchLimits(min_spans=1, max_spans=5, max_bytes=1 << 20, timeout_s=0.0)
    changes = [course({"policies": [ALL]}), course({"num_traces": 2}, limits=few), course(samples=False)]
    for _ in range(5):
        await lives.live(samples=lives.chance.random() < 0.5, changes=changes)
    account = await lives.end()
    stored = lives.store.numbers
    assert len(set(stored)) == len(stored)
    # Where policies change, a trace may meet both: nothing but what no policy was for is dropped.
    assert set(kept(lives.numbers)) <= set(stored)
    assert account.settled.stored == {OWNER: len(stored)}
    assert account.settled.came() == {OWNER: len(lives.numbers)}


async def test_what_was_sent_as_it_was_before_there_was_sampling_is_sent_so_again(tmp_path: Path) -> None:
    store = Deposit()
    way, answered = Killed(store), asyncio.Event()
    async with line(way, tmp_path / "first", samples=False, drain_s=0.0) as held:
        way.before = lambda _: None if answered.is_set() else answered.wait()
        await held.put(0, 60)
        await until(lambda: bool(way.given))
        image = crash_image(tmp_path / "first", tmp_path / "second")
        # It is stored, but nobody is told.
        store.stored[way.given[0]] = list(range(60))
        way.cut.set()
        answered.set()
    async with line(Killed(store), image) as held:
        await until(lambda: not held.batcher.statistics().spans)
        assert held.account.settled == Delivery(Counter({OWNER: 60}))
    assert store.numbers == list(range(60))


async def test_an_emission_that_was_being_sent_is_sent_again_under_its_names_though_policies_have_changed(tmp_path: Path) -> None:
    store = Deposit()
    way, again, gate = Killed(store), Killed(store), asyncio.Event()
    way.before = lambda _: gate.wait()
    in_tens = BatchLimits(min_spans=1, max_spans=10, max_bytes=1 << 20, timeout_s=0.0)
    async with line(way, tmp_path / "first", limits=in_tens, drain_s=0.0) as held:
        await held.put(0, 60)
        await held.until_held(60)
        held.clock.passed_s += WAIT_S
        await until(lambda: len(way.given) == 2)
        image = crash_image(tmp_path / "first", tmp_path / "second")
        way.cut.set()
    decided = kept(list(range(60)))
    async with line(again, image, sampling={"policies": [ALL]}) as held:
        await until(lambda: not held.batcher.statistics().spans)
        assert again.numbers == decided
        # What had not come is decided by the policy of now, and late spans as their traces were.
        await held.put(60, 33)
        await held.settle()
    assert {name: again.offered[name] for name in way.offered} == way.offered
    assert again.numbers == [*decided, *range(60, 93)]


def decision_logs(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("*.decisions")]


async def test_an_exporter_that_takes_the_place_of_another_goes_on_with_its_decisions(tmp_path: Path) -> None:
    store = Deposit()
    async with line(Killed(store), tmp_path) as held:
        await held.put(0, 20)
        await held.until_held(20)
        await held.settle()
        await held.put(20, 40)
        # Late ones go at once; the others wait for the next process.
        await held.until_held(30)
    async with line(Killed(store), tmp_path, exporter="clickhouse/renamed", sampling={"policies": [ALL]}) as held:
        await held.until_held(30)
        await held.put(60, 3)
        await held.settle()
    assert store.numbers == [*kept(list(range(30))), *range(30, 63)]
    assert decision_logs(tmp_path) == ["clickhouse%2Frenamed.decisions"]


class Dropping(Killed):
    """A way on which every other span that is kept is dropped by another rule, and services are given another name."""

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        delivery = await super().deliver(batch, name)
        stored, dropped = (
            Counter({"default/renamed": len(batch) - len(batch) // 2}),
            Counter({"default/renamed": len(batch) // 2}),
        )
        became = Delivery(stored, {"rule": dropped})
        became.rename(delivery.stored, stored + dropped)
        return became


async def test_what_became_of_kept_spans_behind_the_sampler_is_accounted_for_once_over_restarts(tmp_path: Path) -> None:
    store = Deposit()
    first, second = Dropping(store), Dropping(store)
    async with line(first, tmp_path) as held:
        await held.put(0, 20)
        await held.until_held(20)
        held.clock.passed_s += WAIT_S / 2
        # Late spans of the same traces, in a piece that is not delivered before others are decided.
        await held.put(20, 20)
        await held.until_held(40)
        held.clock.passed_s += WAIT_S / 2
        await until(lambda: held.held_spans == 10 and held.account.settled.came().total() == 20)
    async with line(second, tmp_path) as held:
        await held.settle()
        account = held.account
    assert not set(first.given) & set(second.given), "what is stored is sent again"
    settled, stored = account.settled, len(kept(list(range(40))))
    assert settled.dropped["tail_sampling"] == {OWNER: 40 - stored}
    assert settled.dropped["rule"].total() == sum(len(numbers) // 2 for numbers in store.stored.values())
    assert settled.stored.total() + settled.dropped["rule"].total() == stored
    assert settled.renamed == {OWNER: -stored, "default/renamed": stored}
    assert account.waiting() == 0
    assert store.numbers == kept(list(range(40)))


async def test_nothing_is_sent_while_decisions_cannot_be_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deposit, append, failures = Killed(Deposit()), DecisionLog.append, []

    def failing(log: DecisionLog, emission: Emission) -> None:
        assert deposit.given == []
        if len(failures) < 2:
            failures.append(emission.name)
            raise OSError(errno.ENOSPC, "no space left on device")
        append(log, emission)

    monkeypatch.setattr(DecisionLog, "append", failing)
    monkeypatch.setattr(lasting, "RETRY_S", 0.01)
    async with line(deposit, tmp_path) as held:
        await held.put(0, 60)
        await held.until_held(60)
        await held.settle()
    assert len(set(failures)) == 1, "the same emission is tried again"
    assert deposit.numbers == kept(list(range(60)))


async def test_pieces_that_are_lost_to_damage_hold_nothing_up(tmp_path: Path) -> None:
    store = Deposit()
    way, gate = Killed(store), asyncio.Event()
    way.before = lambda _: gate.wait()
    async with line(way, tmp_path / "first", drain_s=0.0) as held:
        for first in range(0, 60, 20):
            await held.put(first, 20)
            await held.until_held(first + 20)
        held.clock.passed_s += WAIT_S
        await until(lambda: bool(way.given))
        image = crash_image(tmp_path / "first", tmp_path / "second")
        way.cut.set()
    (file,) = image.glob("*.journal")
    content = bytearray(file.read_bytes())
    content[content.index(b"\x2a\x0225") + 1] ^= 0xFF  # the name of a span in the second request
    file.write_bytes(content)
    async with line(Killed(store), image) as held:
        await held.settle()
        assert held.account.settled.dropped["journal_damaged"].total() == 20
    assert store.numbers == kept([*range(20), *range(40, 60)])


async def test_decisions_leave_the_disk_when_nobody_needs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "_SEGMENT_BYTES", 2000)
    deposit = Killed(Deposit())
    async with line(deposit, tmp_path, sync_interval_s=0.01, sampling={"num_traces": 10}) as held:
        for first in range(0, 1200, 60):
            await held.put(first, 60)
            await held.until_held(60)
            await held.settle()
        directory = tmp_path / f"{EXPORTER}.decisions"
        await until(lambda: len(list(directory.iterdir())) < 12)
    assert deposit.numbers == kept(held.numbers)


async def test_of_the_decisions_to_be_remembered_those_that_late_spans_follow_are_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, decided = DecisionLog.append, []

    def noting(log: DecisionLog, emission: Emission) -> None:
        decided.append(emission.kept + emission.dropped)
        append(log, emission)

    monkeypatch.setattr(DecisionLog, "append", noting)
    async with line(Killed(Deposit()), tmp_path) as held:
        for first in range(0, 30, 10):
            await held.put(first, 10)
            await held.until_held(10)
            await held.settle()
    assert len(decided) == 3
    assert sum(decided) == len({trace_of(number) for number in range(30)})


async def test_each_decision_can_be_explained_also_after_a_restart(tmp_path: Path) -> None:
    numbers = list(range(60))
    traces = {trace_of(number) for number in numbers}
    keys = {trace: trace_key("default", trace.to_bytes(16, "big")) for trace in traces}
    unknown = trace_key("elsewhere", trace_of(0).to_bytes(16, "big"))
    async with line(Killed(Deposit()), tmp_path) as held:
        await held.put(0, 60)
        await held.until_held(60)
        assert all([(await held.explain(key)).pending for key in keys.values()])
        await held.settle()
        for trace, key in keys.items():
            explanation = await held.explain(key)
            (decision,) = explanation.decisions
            assert (explanation.pending, decision.kept, decision.votes) == (False, is_kept(trace), {"half": is_kept(trace)})
            assert decision.decided_by == ("half" if is_kept(trace) else "not_sampled")
        assert await held.explain(unknown) == Explanation(False, ())
    async with line(Killed(Deposit()), tmp_path) as held:

        async def decided(key: bytes) -> bool:
            return bool((await held.explain(key)).decisions)

        for trace, key in keys.items():
            await until(partial(decided, key))
            (decision,) = (await held.explain(key)).decisions
            assert (decision.kept, decision.votes) == (is_kept(trace), None)


async def test_spans_on_which_the_sampler_fails_are_dropped_as_such_and_those_behind_them_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, deposit = TailSampler.add, Killed(Deposit())

    def failing(sampler: TailSampler, batch: SpanBatch, piece: int, now_ns: int) -> None:
        if len(batch) == 7:
            raise RuntimeError("of no use")
        add(sampler, batch, piece, now_ns)

    monkeypatch.setattr(TailSampler, "add", failing)
    async with line(deposit, tmp_path) as held:
        await held.put(0, 60)
        await held.until_held(60)
        await held.put(60, 7)
        await held.settle()
        assert held.account.settled.dropped["tail_sampling: error"] == {OWNER: 7}
    assert deposit.numbers == kept(list(range(60)))


async def test_a_line_whose_policies_fail_goes_on_keeps_the_traces_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart the same traces come again: were it the end of the line, it would be so at each start."""

    def failing(policies: Policies, traces: Traces) -> Outcome:
        raise RuntimeError("of no use")

    deposit = Killed(Deposit())
    monkeypatch.setattr(Policies, "decide", failing)
    async with line(deposit, tmp_path) as held:
        await held.put(0, 60)
        await held.until_held(60)
    for first in (60, 90):
        async with line(deposit, tmp_path) as held:
            await held.put(first, 30)
            with capture_logs() as logs:
                await held.settle()
            assert [line["event"] for line in logs if line["log_level"] == "error"] == ["policies_failed"]
            assert metrics.TAIL_FAILURES.name.encode() in held.telemetry.exposition()
    assert deposit.numbers == list(range(120))
    assert held.account.settled.stored == {OWNER: 120}


async def test_kept_spans_for_which_there_is_no_memory_are_joined_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = let_memory_be_short(monkeypatch, Decided, "batch", range(1, 4))
    deposit = Killed(Deposit())
    async with line(deposit, tmp_path, sampling={"policies": [ALL]}) as held:
        await held.put(0, 60)
        await held.until_held(60)
        await held.settle()
        assert held.account.settled == Delivery(Counter({OWNER: 60}))
    assert (failed, deposit.numbers) == ([1, 2, 3], list(range(60)))


async def test_spans_that_cannot_be_marked_are_dropped_as_such_and_do_not_end_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_of, deposit = Decided.batch, Killed(Deposit())

    def failing(decided: Decided) -> SpanBatch | None:
        if any(7 in numbers(part.spans) for part in decided.kept):
            raise RuntimeError("of no use")
        return batch_of(decided)

    monkeypatch.setattr(Decided, "batch", failing)
    limits = BatchLimits(min_spans=1, max_spans=10, max_bytes=1 << 20, timeout_s=0.0)
    async with line(deposit, tmp_path, limits=limits, sampling={"policies": [ALL]}) as held:
        for first in range(0, 60, 10):
            await held.put(first, 10)
            await held.until_held(first + 10)
        await held.settle()
        assert held.account.settled.dropped == {"tail_sampling: error": {OWNER: 10}}
    assert deposit.numbers == list(range(10, 60))
