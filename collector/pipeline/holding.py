"""Holds spans back until their traces are decided, and stores what is kept exactly once, whatever ends the process meanwhile.

It stands between the processors in front of `tail_sampling` and those behind it. A piece that comes is held by the sampler; now
and then the sampler decides about traces, which may have spans in many pieces. What it decides is an emission: that is written
down (`collector/queues/held.py`), then what is kept is sent under the emission's own name. A piece is delivered when all of its
spans are dropped, or sent and stored.

Other settings may come while spans are held. A sampler by those settings is then given all that is held, and decides about it
from then on. What a piece meets behind this place is settled when it comes here.

After a restart the batcher hands on again what was cut and not committed. When all of that is back, the emissions of the former
process are carried out anew in their order, each on the pieces that had come when it was decided. So each is made of the same
spans as before, and is sent again if it may not have been stored. What then is still held goes on waiting for its decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

import structlog

from collector.clock import Clock
from collector.pipeline.emitting import Emitting, lost, sampler_failed
from collector.pipeline.held_pieces import HeldPieces, Piece
from collector.pipeline.holding_settings import HoldingSettings
from collector.pipeline.plans import Plan, planned, stops
from collector.pipeline.verdicts import decode, encode
from collector.processors.tail_sampling.decided import Decided
from collector.processors.tail_sampling.recent import Explanation, RecentDecisions
from collector.processors.tail_sampling.sampler import TailSampler
from collector.queues.held import Emission, HeldLog, new_name
from collector.spaced_log import SpacedLog
from collector.trace_decisions import HeldReaders, TraceDecisions
from exporters.base import Delivery, Destination
from exporters.tally import spans_by_owner
from proto.spans import SpanBatch

_log = structlog.get_logger(__name__)

_OVERFULL: Final = "more is held than num_traces or max_bytes allow"
_NS: Final = 1_000_000_000

T = TypeVar("T")


class Holding:
    """A `collector.pipeline.batcher.Holder`; `run` must be running.

    Args:
        settings: how traces are held back, until there are others.
        log: where decisions are written down.
        in_flight: how many batches are on their way at once. While they are, nothing is decided and no piece is taken.
        executor: threads for the sampler's work.
        clock: the time.
        lasts: whether what is not decided when all is over is there for the next process; else it is decided then.
    """

    def __init__(
        self, settings: HoldingSettings, log: HeldLog, in_flight: int, executor: Executor, clock: Clock, *, lasts: bool
    ) -> None:
        self._settings = settings
        self._wanted = settings
        """What is to be in force from the next decision on."""
        self._sampler = TailSampler(settings.sampler())
        self._log = log
        self._executor = executor
        self._clock = clock
        self._lasts = lasts
        self._show()
        self._turn = asyncio.Condition()
        """Held by whoever changes what the sampler holds, until that is carried out."""
        self._in_use = asyncio.Lock()
        """Held while a thread works with the sampler."""
        self._recent = RecentDecisions()
        self._warnings = SpacedLog(_log, clock.monotonic)
        self._came = asyncio.Event()
        self._all_back = asyncio.Event()
        self._over = asyncio.Event()
        self._closed = False
        self._restored = False
        self._back: dict[str, tuple[Piece, SpanBatch]] = {}
        self._pieces = HeldPieces()
        self._emitting = Emitting(self._pieces, log, in_flight, lambda decided: self._in_thread(decided.batch))
        self._next_piece = log.next_piece
        self._unnamed: list[str] = []
        """Names of pieces that are in no emission yet; their numbers are the last before the next one."""

    def use(self, settings: HoldingSettings) -> None:
        """Have what is held, and what comes, decided by other settings, as soon as what was decided before is on its way."""
        self._wanted = settings
        self._show()

    @property
    def awaits(self) -> bool:
        return self._log.unfinished

    def resume(self) -> None:
        self._all_back.set()

    def close(self) -> None:
        self._closed = True

    def finish(self) -> None:
        self._over.set()

    async def hold(self, batch: SpanBatch, name: str, behind: Destination) -> Delivery:
        """Hold the spans of a piece; those that are kept go on to `behind`. The caller waits only for there to be room."""
        if not self._log.is_held(name):
            return await behind.deliver(batch, name)
        piece = Piece(name, len(batch), behind, asyncio.get_running_loop().create_future())
        if not self._all_back.is_set():
            self._back[name] = piece, batch
        elif self._closed and self._leaves:
            # The next process gets it, and more to decide by.
            piece.settled.cancel()
        else:
            async with self._turn:
                await self._turn.wait_for(lambda: self._restored and (self._sampler.has_room or self._closed))
                await self._take_over()
                await self._add(piece, batch)
        return Delivery(later=[piece.settled])

    @property
    def held_spans(self) -> int:
        """Spans that wait for a decision."""
        return self._sampler.pending_spans

    async def explain(self, key: bytes) -> Explanation:
        """What is known of the trace with this key (`trace_key`)."""
        pending = await self._in_thread(partial(self._sampler.holds, key))
        return Explanation(pending, tuple(self._recent.of(key)))

    async def run(self) -> None:
        """Decide and send until `finish` was called and all is stored that is decided."""
        await self._all_back.wait()
        async with asyncio.TaskGroup() as sends:
            await self._restore(sends)
            while not self._over.is_set():
                await self._pause()
                await self._decide(sends)
            if not self._leaves:
                await self._decide(sends, at_end=True)
        self._pieces.leave()

    async def _pause(self) -> None:
        """Return when there may be something to decide, or all is over."""
        if not self._pieces:
            self._came.clear()
            over = asyncio.create_task(self._over.wait())
            came = asyncio.create_task(self._came.wait())
            try:
                await asyncio.wait((over, came), return_when=asyncio.FIRST_COMPLETED)
            finally:
                over.cancel()
                came.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), self._settings.pause_s)

    @property
    def _leaves(self) -> bool:
        """Whether what is not decided when all is over is left to the next process."""
        return self._lasts and self._wanted.sampling is not None

    # When other settings come.

    def _show(self) -> None:
        """Tell `/metrics` what is held, where anything is to be."""
        if self._wanted.sampling is not None:
            traces, spans, nbytes = (
                lambda: self._sampler.pending_traces,
                lambda: self._sampler.pending_spans,
                lambda: self._sampler.pending_bytes,
            )
            self._wanted.telemetry.holds(HeldReaders(traces, spans, nbytes))

    async def _take_over(self) -> None:
        """Go over to the settings that are wanted, if they are others; to be called in turn."""
        before, self._settings = self._settings, self._wanted
        if self._settings.sampler() == before.sampler():
            return
        predecessor = self._sampler
        successor = await self._in_thread(partial(predecessor.successor, self._settings.sampler()))
        for held in await self._in_thread(predecessor.held):
            await self._into(successor, held.piece, held.batch, held.came_ns)
        successor.handed_over(predecessor)
        self._sampler = successor

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Do something with the sampler; it is over when this returns, even when that is because of a cancellation."""
        async with self._in_use:
            working = asyncio.get_running_loop().run_in_executor(self._executor, work)
            try:
                return await asyncio.shield(working)
            except asyncio.CancelledError:
                await asyncio.wait((working,))
                raise

    def _now_ns(self) -> int:
        return int(self._clock.monotonic() * _NS)

    async def _add(self, piece: Piece, batch: SpanBatch, number: int | None = None) -> None:
        """Give a piece to the sampler, under the next number or the one that it had."""
        if number is None:
            number = self._next_piece
            self._next_piece += 1
            self._unnamed.append(piece.name)
        self._pieces.add(number, piece)
        self._settings.telemetry.processed(len(batch), 0)
        await self._into(self._sampler, number, batch, self._now_ns())
        self._came.set()

    async def _into(self, sampler: TailSampler, number: int, batch: SpanBatch, came_ns: int) -> None:
        """Give spans to a sampler; where it fails, they are dropped, for nobody can decide about them."""
        try:
            await self._in_thread(partial(sampler.add, batch, number, came_ns))
        except Exception:  # noqa: BLE001 - whatever it is, the spans behind these must go on
            sampler_failed(self._settings, len(batch))
            self._pieces.settle(number, lost(self._settings, spans_by_owner(batch)))

    async def _decide(self, sends: asyncio.TaskGroup, *, at_end: bool = False) -> None:
        """Let the sampler decide what is due, or all if it is the end or nothing is to be held, and carry out what it does."""
        async with self._turn:
            await self._take_over()
            all_is_due = at_end or self._settings.sampling is None
            work = self._sampler.decide_all if all_is_due else self._sampler.decide
            took_s = 0.0
            while (timed := await self._timed_plan(work))[0] is not None:
                took_s += timed[1]
                await self._emit(timed[0], sends)
            if took_s:
                self._settings.telemetry.decision_took(took_s)
            self._turn.notify_all()

    async def _timed_plan(self, work: Callable[[int], Decided | None]) -> tuple[Plan | None, float]:
        """What is to be done next, and in how many seconds that was found."""
        started_s = self._clock.monotonic()
        plan = await self._in_thread(partial(self._next_plan, work, self._now_ns()))
        return plan, self._clock.monotonic() - started_s

    def _next_plan(self, work: Callable[[int], Decided | None], now_ns: int) -> Plan | None:
        decided = work(now_ns)
        return None if decided is None else planned(decided, stops(decided.kept, self._settings.limits, self._behind))

    def _behind(self, number: int) -> Destination:
        """Where kept spans of a piece go."""
        return self._pieces[number].behind

    async def _emit(self, plan: Plan, sends: asyncio.TaskGroup) -> None:
        """Write a decision down, and carry it out."""
        verdicts = plan.decided.verdicts
        counts = self._sampler.counted(plan.decided)
        emission = Emission(
            name=new_name(),
            first=self._next_piece - len(self._unnamed),
            pieces=self._unnamed,
            stops=plan.stops,
            kept=counts.traces[True],
            dropped=counts.traces[False],
            late=sum(counts.late.values()),
            decisions=encode(verdicts),
            time_ns=self._clock.now(),
        )
        await self._log.record(emission)
        self._unnamed = []
        self._recent.add(emission.time_ns, verdicts, self._sampler.policies, plan.decided.votes)
        self._count(plan.decided, counts)
        await self._emitting.carry_out(plan, emission.name, self._settings, sends)

    def _count(self, decided: Decided, counts: TraceDecisions) -> None:
        name = self._settings.name
        self._settings.telemetry.traces_decided(counts)
        if counts.early:
            self._warnings.warning("traces_decided_early", name, traces=counts.early, note=_OVERFULL)
        if decided.fault is not None:
            self._warnings.unexpected("policies_failed", decided.fault, processor=name, consequence="their traces are kept")
        for policy, reason in decided.reasons.items():
            self._warnings.warning("rule_not_evaluated", f"{name}: {policy}", error=reason)

    # What a former process has left.

    async def _restore(self, sends: asyncio.TaskGroup) -> None:
        """Go through what a former process decided; what it had not is then held as before."""
        async with self._turn:
            for recorded in self._log.recorded():
                emission = recorded.emission
                for number, name in enumerate(emission.pieces, emission.first):
                    if name in self._back:
                        await self._add(*self._back.pop(name), number)
                plan = await self._in_thread(partial(self._plan_again, emission))
                self._recent.add(emission.time_ns, plan.decided.verdicts)
                if recorded.shares is None:
                    await self._emitting.carry_out(plan, emission.name, self._settings, sends)
                else:
                    self._emitting.settle(plan, recorded.shares, self._settings)
            for piece, batch in self._back.values():
                await self._add(piece, batch)
            self._back.clear()
            self._restored = True
            self._turn.notify_all()

    def _plan_again(self, emission: Emission) -> Plan:
        return planned(self._sampler.apply(decode(emission.decisions), emission.through), emission.stops)
