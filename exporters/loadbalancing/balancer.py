"""Spread spans over several backends so that all of a trace, or of a service, are at the same one.

Each backend has a sender of its own, with its own retries and its own health. The queue is in front of the balancer: what waits
for a backend that goes, or that has failed for long, is handed back by its sender and goes to those that take its place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, Protocol

import numpy as np
import structlog
import xxhash

from exporters.base import Delivery, DerivedRows, Exporter
from exporters.loadbalancing.backend import Backend, BackendTelemetry, Health
from exporters.loadbalancing.resolver import ResolveError, Resolver
from exporters.loadbalancing.ring import Keys, Ring, key_of_text, keys_of_ids
from exporters.send import Sender
from exporters.tally import owner_of_resource, service_of
from proto.spans import SpanBatch

_log = structlog.get_logger(__name__)

RoutingKey = Literal["traceID", "service"]

_AT: Final = "~"
"""Stands in names of spans behind that of their batch."""

_ring: Final = lru_cache(maxsize=16)(Ring)
"""Rings that were made: a backend that is left alone for a while comes back."""


class BalancerTelemetry(BackendTelemetry, Protocol):
    """Where a balancer counts."""

    def resolved(self, success: bool) -> None:
        """It was asked which backends there are."""

    def backends(self, count: int) -> None:
        """So many there are from now on, which are not those that there were."""

    def rerouted(self, spans: int) -> None:
        """Spans go to another backend than the one they waited for."""

    def left(self, backend: str) -> None:
        """A backend is one no longer, and nothing is on its way to it, so it need not be shown any more."""


class Connect(Protocol):
    """Makes the exporter to a backend, and what ends its connections."""

    def __call__(self, address: str) -> tuple[Exporter, Callable[[], Awaitable[None]]]: ...


@dataclass(frozen=True, slots=True)
class BalancerSettings:
    """How spans are spread.

    Attributes:
        name: id of the exporter in the configuration.
        key: what decides where a span goes.
        reroute_after_s: seconds for which a backend may fail before others take over; 0 waits for it.
    """

    name: str
    key: RoutingKey = "traceID"
    reroute_after_s: float = 30.0


@dataclass(slots=True)
class _Member:
    """A backend and the way to it.

    Attributes:
        deliveries: how many are under way.
    """

    health: Health
    sender: Sender
    close: Callable[[], Awaitable[None]]
    deliveries: int = 0


class LoadBalancer:
    """A destination that gives each span to the backend that its key belongs to.

    Args:
        settings: how spans are spread.
        resolver: which backends there are.
        connect: makes the way to a backend.
        new_sender: makes the sender to a backend, of its name and an exporter.
        telemetry: where to count.
        executor: threads in which batches are divided.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        settings: BalancerSettings,
        resolver: Resolver,
        connect: Connect,
        new_sender: Callable[[str, Exporter], Sender],
        telemetry: BalancerTelemetry,
        executor: Executor,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._connect = connect
        self._new_sender = new_sender
        self._telemetry = telemetry
        self._executor = executor
        self._monotonic = monotonic
        self._log = _log.bind(exporter=settings.name)
        self._members: dict[str, _Member] = {}
        self._known = asyncio.Event()
        self._fault = "it is not known yet which backends there are"

    @property
    def trouble(self) -> str:
        """Why spans of some backend cannot be sent at the moment, as a sentence; empty when all can."""
        if not self._members:
            return self._fault
        used = (self._members[address] for address in self._usable())
        return next((f"{each.health.address}: {each.sender.trouble}" for each in used if each.sender.trouble), "")

    async def open(self) -> None:
        """Find out which backends there are, and keep that up to date; returns where it never changes."""
        while True:
            try:
                addresses = await self._resolver.resolve()
            except ResolveError as error:
                self._telemetry.resolved(False)
                if self._fault != str(error):
                    self._fault = str(error)
                    self._log.warning("backends_not_resolved", error=str(error), in_use=len(self._members))
            else:
                self._telemetry.resolved(True)
                self._fault = ""
                await self._change(addresses)
            if self._resolver.interval_s is None:
                return
            await asyncio.sleep(self._resolver.interval_s)

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        """As `Destination.deliver`; to each backend under a name made from this one."""
        await self._known.wait()
        loop = asyncio.get_running_loop()
        parts = await loop.run_in_executor(self._executor, self._divided, batch, _ring(tuple(self._usable())))
        async with asyncio.TaskGroup() as tasks:
            sent = [tasks.create_task(self._hand_over(address, part, name)) for address, part in parts]
        delivery = Delivery()
        for each in sent:
            delivery.add(each.result())
        return delivery

    async def deliver_rows(self, rows: DerivedRows, name: str) -> None:
        """Collectors have no tables."""

    async def close(self) -> None:
        """End all connections."""
        for member in self._members.values():
            await member.close()

    async def _hand_over(self, address: str, batch: SpanBatch, name: str) -> Delivery:
        """Deliver spans to a backend, and to others what comes back from it."""
        own_name = _name_at(address, name)
        member = self._members.get(address)
        if member is None:
            # It has gone while the batch was divided.
            return await self.deliver(batch, own_name)
        member.deliveries += 1
        try:
            delivery = await member.sender.deliver(batch, own_name)
        finally:
            member.deliveries -= 1
            await self._end_if_gone(member)
        returned, delivery.returned = delivery.returned, []
        if returned:
            # What else waits there need not wait for its time.
            member.sender.hurry()
        for spans, their_name in returned:
            self._telemetry.rerouted(len(spans))
            delivery.add(await self.deliver(spans, their_name))
        return delivery

    def _usable(self) -> list[str]:
        """The backends that are not left alone; all of them where there would be none."""
        now = self._monotonic()
        usable = [address for address, each in self._members.items() if now >= each.health.left_alone_until_s]
        return sorted(usable or self._members)

    def _has_others(self, health: Health) -> bool:
        now = self._monotonic()
        return any(each.health is not health and now >= each.health.left_alone_until_s for each in self._members.values())

    def _divided(self, batch: SpanBatch, ring: Ring) -> Sequence[tuple[str, SpanBatch]]:
        """The spans that belong to each backend."""
        owners = ring.owners(self._keys(batch))
        used = np.flatnonzero(np.bincount(owners, minlength=len(ring.backends))).tolist()
        if len(used) == 1:
            return [(ring.backends[used[0]], batch)]
        return [(ring.backends[owner], batch.select(owners == owner)) for owner in used]

    def _keys(self, batch: SpanBatch) -> Keys:
        if self._settings.key == "traceID":
            return keys_of_ids(batch.data, batch.spans["trace_id_offset"])
        resource_of_span = batch.scopes["resource"][batch.spans["scope"]]
        keys = np.zeros(len(batch.resources), np.uint64)
        for resource in np.unique(resource_of_span).tolist():
            keys[resource] = key_of_text(service_of(owner_of_resource(batch, resource)))
        of_span: Keys = keys[resource_of_span]
        return of_span

    async def _change(self, addresses: Sequence[str]) -> None:
        """Let these be the backends from now on."""
        before = self._members
        added = [address for address in addresses if address not in before]
        removed = [address for address in before if address not in addresses]
        if not added and not removed:
            return
        # All at once, so that nothing is divided among some that are new and some that have gone.
        self._members = {address: before.get(address) or self._new_member(address) for address in addresses}
        for address in added:
            await self._members[address].sender.open()
        for address in removed:
            member = before[address]
            member.health.gone = True
            member.sender.hurry()
            await self._end_if_gone(member)
        self._telemetry.backends(len(self._members))
        self._log.info("backends_changed", added=added, removed=removed, backends=len(self._members))
        self._known.set()

    async def _end_if_gone(self, member: _Member) -> None:
        """End the connections of a backend that has gone, once nothing is on its way to it."""
        if member.health.gone and not member.deliveries:
            await member.close()
            if member.health.address not in self._members:
                self._telemetry.left(member.health.address)

    def _new_member(self, address: str) -> _Member:
        exporter, close = self._connect(address)
        health = Health(address)
        backend = Backend(exporter, health, self._settings.reroute_after_s, self._has_others, self._telemetry, self._monotonic)
        return _Member(health, self._new_sender(f"{self._settings.name}/{address}", backend), close)


def _name_at(address: str, name: str) -> str:
    """What spans under a name are called at a backend.

    No others are called so, whatever of the batch goes there after them. It does not grow from backend to backend: what is kept
    of spans is in files of that name, and file systems take no long ones.
    """
    return f"{name.partition(_AT)[0]}{_AT}{xxhash.xxh3_64_hexdigest(f'{name} {address}'.encode())}"
