"""What becomes of an emission: what a decision drops is counted, and what it keeps is sent in batches of the emission's name."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from collector.pipeline.held_pieces import HeldPieces
from collector.pipeline.holding_settings import HoldingSettings
from collector.pipeline.plans import Plan
from collector.pipeline.shares import apportion
from collector.processors.base import INTERNAL_ERROR
from collector.processors.tail_sampling.decided import Decided
from collector.queues.held import HeldLog
from collector.scarce_memory import MOST_TRIES, once_there_is_memory
from collector.spaced_log import SpacedLog
from exporters.base import Delivery
from proto.spans import SpanBatch

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Sending:
    """An emission of which something is on its way.

    Attributes:
        name: of the emission.
        batches: number of those that are not stored.
        shares: number of a piece → what became of its spans.
        unlike: name of a piece → the same, where it is not that all are stored.
    """

    name: str
    batches: int
    shares: dict[int, Delivery] = field(default_factory=dict)
    unlike: dict[str, Delivery] = field(default_factory=dict)


class Emitting:
    """Carries out what was decided about spans of held pieces, after that was written down.

    Args:
        pieces: those that are held.
        log: is told when all of an emission is settled.
        in_flight: how many batches are on their way at once; while they are, `carry_out` waits.
        join: makes a batch of what a decision keeps, in a thread.
    """

    def __init__(
        self, pieces: HeldPieces, log: HeldLog, in_flight: int, join: Callable[[Decided], Awaitable[SpanBatch | None]]
    ) -> None:
        self._pieces = pieces
        self._log = log
        self._places = asyncio.Semaphore(in_flight)
        self._join = join
        self._failures = SpacedLog(_log, time.monotonic)

    async def carry_out(self, plan: Plan, name: str, settings: HoldingSettings, sends: asyncio.TaskGroup) -> None:
        """Drop what is not kept, and begin to send the rest, as the emission with this name."""
        settings.telemetry.processed(0, sum(len(part.spans) for part in plan.decided.kept))
        self._drop(plan, settings)
        batches = plan.batches()
        if plan.stops and not batches:
            # All that it kept is lost to damage.
            self._log.done(name, {})
        sending = _Sending(name, len(batches))
        for index, parts in batches.items():
            await self._places.acquire()
            owners_by_piece = {part.piece: plan.kept[part.piece] for part in parts}
            batch = await self._joined(dataclasses.replace(plan.decided, kept=tuple(parts)), settings)
            sends.create_task(self._send(sending, index, batch, owners_by_piece, settings))

    def settle(self, plan: Plan, shares: Mapping[str, Delivery], settings: HoldingSettings) -> None:
        """Have an emission that a former process carried out settled.

        Args:
            plan: what followed from the decision, then as now.
            shares: as in `collector.queues.held.Recorded`.
        """
        self._drop(plan, settings)
        for number, owners in plan.kept.items():
            self._pieces.settle(number, shares.get(self._pieces[number].name, Delivery(Counter(owners))))

    def _drop(self, plan: Plan, settings: HoldingSettings) -> None:
        for number, owners in plan.dropped.items():
            self._pieces.settle(number, Delivery(dropped={settings.name: Counter(owners)}))

    async def _joined(self, decided: Decided, settings: HoldingSettings) -> SpanBatch | None:
        """What is kept, in one batch; None where that fails, for it would again, whenever it is made anew."""
        spans = sum(len(part.spans) for part in decided.kept)
        waits = partial(self._failures.error, "processor_waits_for_memory", processor=settings.name, spans=spans)
        try:
            return await once_there_is_memory(partial(self._join, decided), waits, MOST_TRIES)
        except Exception:  # noqa: BLE001 - whatever it is, the spans behind these must go on
            sampler_failed(settings, spans)
            return None

    async def _send(
        self,
        sending: _Sending,
        index: int,
        batch: SpanBatch | None,
        pieces: Mapping[int, Mapping[str, int]],
        settings: HoldingSettings,
    ) -> None:
        """Store one batch of an emission, if it could be made; with the last of them, the emission is done."""
        try:
            if batch is None:
                delivery = lost(settings, sum(map(Counter, pieces.values()), Counter()))
            else:
                # After a restart all pieces of a former process go to the same place, whatever its batches are made of.
                behind = self._pieces[next(iter(pieces))].behind
                delivery = await behind.deliver(batch, f"{sending.name}-{index}")
                await delivery.complete()
        finally:
            self._places.release()
        shares = apportion(pieces, delivery)
        # When the first of them is committed, the emission is done.
        next(iter(shares.values())).afterwards += delivery.afterwards
        for number, share in shares.items():
            sending.shares[number] = share
            if share != Delivery(Counter(pieces[number])):
                sending.unlike[self._pieces[number].name] = share
        sending.batches -= 1
        if not sending.batches:
            # Before any piece is delivered: what is committed does not come back, so the emission could not be made again.
            self._log.done(sending.name, sending.unlike)
            for number, share in sending.shares.items():
                self._pieces.settle(number, share)


def sampler_failed(settings: HoldingSettings, spans: int) -> None:
    """Tell of spans that are dropped, as the sampler failed on them by a fault of its own. Called where that is handled."""
    _log.exception("processor_failed", processor=settings.name, spans=spans)
    settings.telemetry.failed(INTERNAL_ERROR, spans)


def lost(settings: HoldingSettings, owners: Mapping[str, int]) -> Delivery:
    """What became of these spans, owner → spans."""
    return Delivery(dropped={f"{settings.name}: error": Counter(owners)})
