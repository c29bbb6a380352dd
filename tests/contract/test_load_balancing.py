"""The loadbalancing exporter in front of our own receivers: who gets what, and what happens when backends come, go and fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from collector.errors import Permanent, Refused, Retryable
from collector.pipeline.build import build
from collector.telemetry import Telemetry
from config.load import parse
from exporters.dead_letters import DeadLetters
from exporters.loadbalancing.resolver import DnsResolver, ResolveError
from exporters.loadbalancing.ring import Keys, Ring
from proto.join import concatenate
from proto.spans import SpanBatch
from tests.support.batches import numbered, numbers
from tests.support.clocks import RunningClock
from tests.support.outlets import Opened, opened
from tests.support.receivers import Receivers, receivers
from tests.support.waiting import until

SPANS_PER_TRACE = 4


@dataclass
class Listed:
    """A resolver whose answer a test can change."""

    addresses: list[str]
    kind: str = "listed"
    interval_s: float | None = 0.002
    fault: str = ""
    asked: int = 0

    async def resolve(self) -> Sequence[str]:
        self.asked += 1
        if self.fault:
            raise ResolveError(self.fault)
        return list(self.addresses)


@dataclass
class Tier:
    """A load balancer in front of some collectors, each known by its address."""

    balancer: Opened
    resolver: Listed
    backends: dict[str, Receivers]
    clock: RunningClock = field(default_factory=RunningClock)

    def got(self, address: str) -> list[int]:
        """The numbers of the spans that a backend has."""
        return sorted(number for batch in self.backends[address].consumer.batches for number in numbers(batch))

    @property
    def all_got(self) -> list[int]:
        return sorted(number for address in self.backends for number in self.got(address))

    async def deliver(self, batch: SpanBatch, name: str = "a") -> int:
        """How many spans were stored."""
        return (await self.balancer.outlet.deliver(batch, name)).stored.total()


def refuse_seven(batch: SpanBatch) -> None:
    if 7 in numbers(batch):
        raise Permanent("seven is not allowed here", "name")


def traces(first: int, count: int) -> SpanBatch:
    """So many traces of four spans, not one behind the other."""
    total = count * SPANS_PER_TRACE
    return numbered(first, total, trace_of=lambda number: 1000 + (number - first) % count)


@asynccontextmanager
async def tier(
    count: int,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    keys: dict[str, Any] | None = None,
    known: int | None = None,
) -> AsyncIterator[Tier]:
    """A load balancer in front of `count` collectors, of which it is told of the first `known`."""
    clock = RunningClock()
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(receivers()) for _ in range(count)]
        backends = {f"127.0.0.1:{each.grpc.port}": each for each in started}
        resolver = Listed(list(backends)[:known])
        monkeypatch.setattr("collector.pipeline.otlp.backend_resolver", lambda _: resolver)
        settings = {
            "resolver": {"static": {"hostnames": list(backends)}},
            "protocol": {"otlp": {"tls": {"insecure": True}, "compression": "none"}},
            **(keys or {}),
        }
        balancer = await stack.enter_async_context(opened("loadbalancing", settings, directory, clock.clock))
        resolving = asyncio.create_task(balancer.outlet.open())
        try:
            yield Tier(balancer, resolver, backends, clock)
        finally:
            resolving.cancel()


async def test_all_spans_of_a_trace_are_at_one_backend_whatever_batches_they_come_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tier(3, tmp_path, monkeypatch) as two_tiers:
        for turn in range(4):
            assert await two_tiers.deliver(traces(turn * 400, 100), f"batch-{turn}") == 400
        assert two_tiers.all_got == list(range(1600))
        homes: dict[int, set[str]] = {}
        for address in two_tiers.backends:
            for number in two_tiers.got(address):
                homes.setdefault(number % 400 % 100, set()).add(address)
        assert all(len(home) == 1 for home in homes.values())
        assert {address for home in homes.values() for address in home} == set(two_tiers.backends)
        assert two_tiers.balancer.counts.balancer.counts == [3]
        assert two_tiers.balancer.account.stored_spans == 1600


async def test_all_spans_of_a_service_may_be_at_one_backend_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = [f"service-{number}" for number in range(20)]
    batch = concatenate([numbered(10 * at, 10, service=name) for at, name in enumerate(services)])
    async with tier(3, tmp_path, monkeypatch, {"routing_key": "service"}) as two_tiers:
        assert await two_tiers.deliver(batch) == 200
        homes = [{number // 10 for number in two_tiers.got(address)} for address in two_tiers.backends]
        assert sorted(service for home in homes for service in home) == list(range(20))
        assert two_tiers.all_got == list(range(200))


async def test_what_waits_for_a_backend_that_leaves_goes_to_the_others_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"retry_on_failure": {"initial_interval": "1h", "max_interval": "1h"}}
    async with tier(3, tmp_path, monkeypatch, keys) as two_tiers:
        leaving, *staying = two_tiers.backends
        two_tiers.backends[leaving].consumer.fail_with(Retryable("going down"))
        delivering = asyncio.create_task(two_tiers.deliver(traces(0, 100)))
        outcomes = two_tiers.balancer.counts.balancer.outcomes
        await until(lambda: outcomes[leaving, False] == 1 and all(outcomes[address, True] == 1 for address in staying))
        waiting = set(range(400)) - set(two_tiers.all_got)
        assert waiting
        two_tiers.resolver.addresses.remove(leaving)
        assert await delivering == 400
        assert two_tiers.got(leaving) == []
        assert two_tiers.balancer.counts.balancer.have_left == [leaving]
        assert two_tiers.all_got == list(range(400))
        assert two_tiers.balancer.counts.balancer.rerouted_spans == len(waiting)
        assert all(set(two_tiers.got(address)) & waiting for address in staying)


async def test_what_is_on_its_way_to_a_backend_that_leaves_and_fails_goes_to_another_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, may_fail = asyncio.Event(), asyncio.Event()

    async def fail_late(_: SpanBatch) -> None:
        arrived.set()
        await may_fail.wait()
        raise Retryable("going down")

    keys = {"retry_on_failure": {"initial_interval": "1h", "max_interval": "1h"}}
    async with tier(2, tmp_path, monkeypatch, keys, known=1) as two_tiers:
        leaving, staying = two_tiers.backends
        two_tiers.backends[leaving].consumer.before = fail_late
        delivering = asyncio.create_task(two_tiers.deliver(numbered(0, 20)))
        await arrived.wait()
        two_tiers.resolver.addresses[:] = [staying]
        await until(lambda: two_tiers.balancer.counts.balancer.counts == [1, 1])
        may_fail.set()
        await until(delivering.done)
        assert (await delivering, two_tiers.got(staying)) == (20, list(range(20)))


async def test_spans_that_have_gone_from_backend_to_backend_for_long_are_sent_in_parts_and_set_aside_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"retry_on_failure": {"initial_interval": "1h", "max_interval": "1h"}}
    async with tier(2, tmp_path, monkeypatch, keys, known=1) as two_tiers:
        for each in two_tiers.backends.values():
            each.consumer.fail_with(Retryable("going down"))
        balancer = two_tiers.balancer.counts.balancer
        batch = numbered(0, 100, workspace="w" * 64)
        delivering = asyncio.create_task(two_tiers.deliver(batch, "0123456789abcdef01234567-0"))
        first, second = two_tiers.backends

        async def fail_at(address: str, moved: int) -> None:
            before = balancer.outcomes[address, False]
            two_tiers.resolver.addresses[:] = [address]
            await until(lambda: balancer.rerouted_spans == moved and balancer.outcomes[address, False] > before)

        await until(lambda: balancer.outcomes[first, False] > 0)
        for turn in range(8):
            await fail_at(second, 200 * turn + 100)
            await fail_at(first, 200 * turn + 200)
        two_tiers.backends[second].consumer.before = refuse_seven
        two_tiers.resolver.addresses[:] = [second]
        assert await delivering == 99
        assert two_tiers.all_got == [number for number in range(100) if number != 7]
    assert two_tiers.balancer.account.aside == {"invalid_argument": 1}
    assert two_tiers.balancer.account.drops == {}


async def test_what_finds_its_backend_gone_is_not_taken_for_what_others_have_of_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = Event(), Event()
    owners = Ring.owners

    def slowly(ring: Ring, keys: Keys) -> NDArray[np.int64]:
        begun.set()
        may_end.wait()
        return owners(ring, keys)

    monkeypatch.setattr(Ring, "owners", slowly)
    async with tier(2, tmp_path, monkeypatch) as two_tiers:
        leaving, staying = two_tiers.backends
        two_tiers.backends[staying].consumer.fail_with(Refused("nobody is let in", "permission_denied"))
        delivering = asyncio.create_task(two_tiers.deliver(numbered(0, 100)))
        await until(begun.is_set)
        two_tiers.resolver.addresses.remove(leaving)
        await until(lambda: two_tiers.balancer.counts.balancer.counts == [2, 1])
        may_end.set()
        assert await delivering == 0
    entries = list(DeadLetters(tmp_path, "loadbalancing", 1 << 20).entries())
    assert sum(entry.spans for entry in entries) == 100


async def test_a_backend_that_joins_gets_its_share_and_no_other_trace_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tier(3, tmp_path, monkeypatch, known=2) as two_tiers:
        *known, new = two_tiers.backends
        await two_tiers.deliver(numbered(0, 300), "before")
        before = {address: set(two_tiers.got(address)) for address in known}
        two_tiers.resolver.addresses.append(new)
        await until(lambda: two_tiers.balancer.counts.balancer.counts == [2, 3])
        for each in two_tiers.backends.values():
            each.consumer.batches.clear()
        await two_tiers.deliver(numbered(0, 300), "after")
        assert two_tiers.all_got == list(range(300))
        assert 50 < len(two_tiers.got(new)) < 150
        assert all(set(two_tiers.got(address)) <= before[address] for address in known)


async def test_others_take_over_from_a_backend_that_has_failed_for_long_until_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tier(2, tmp_path, monkeypatch, {"reroute_after": "30s"}) as two_tiers:
        failing, healthy = two_tiers.backends
        await two_tiers.deliver(traces(0, 100), "usual")
        share = two_tiers.got(failing)
        two_tiers.backends[failing].consumer.fail_with(Retryable("cannot", delay_s=1.0))
        with capture_logs() as lines:
            delivering = asyncio.create_task(two_tiers.deliver(traces(400, 100), "waits"))
            await until(lambda: two_tiers.balancer.account.retries.total() >= 1)
            assert failing in two_tiers.balancer.outlet.trouble
            two_tiers.clock.passed_s += 31
            assert await delivering == 400
        assert [line["backend"] for line in lines if line["event"] == "backend_left_alone"] == [failing]
        assert two_tiers.balancer.outlet.trouble == ""
        # While it is left alone, nothing is tried there.
        attempts = two_tiers.balancer.counts.balancer.outcomes[failing, False]
        assert await two_tiers.deliver(traces(800, 100), "elsewhere") == 400
        assert two_tiers.balancer.counts.balancer.outcomes[failing, False] == attempts
        assert two_tiers.got(failing) == share
        # It has its traces again when it has recovered.
        two_tiers.backends[failing].consumer.before = None
        two_tiers.clock.passed_s += 31
        assert await two_tiers.deliver(traces(1200, 100), "again") == 400
        assert two_tiers.got(failing) == share + [1200 + number for number in share]
        assert two_tiers.all_got == list(range(1600))
        assert healthy in two_tiers.backends


async def test_where_all_backends_fail_spans_wait_and_attempts_keep_their_distance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tier(2, tmp_path, monkeypatch, {"reroute_after": "10s"}) as two_tiers:
        for each in two_tiers.backends.values():
            each.consumer.fail_with(Retryable("cannot"))
        outcomes = two_tiers.balancer.counts.balancer.outcomes
        delivering = asyncio.create_task(two_tiers.deliver(traces(0, 100)))
        await until(lambda: min(outcomes[address, False] for address in two_tiers.backends) >= 1)
        two_tiers.clock.passed_s += 11
        await until(lambda: two_tiers.balancer.counts.balancer.rerouted_spans > 0)
        # Whoever was left alone first is not asked again before its time; nothing goes round in circles.
        assert two_tiers.balancer.counts.balancer.rerouted_spans <= 400
        assert two_tiers.balancer.outlet.trouble
        for each in two_tiers.backends.values():
            each.consumer.before = None
        assert await delivering == 400
        assert two_tiers.all_got == list(range(400))


async def test_spans_wait_for_their_backend_however_long_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"reroute_after": 0, "retry_on_failure": {"initial_interval": "1ms", "max_interval": "2ms"}}
    async with tier(2, tmp_path, monkeypatch, keys) as two_tiers:
        failing, _ = two_tiers.backends
        gone = two_tiers.backends[failing]
        await gone.grpc.stop(0)
        delivering = asyncio.create_task(two_tiers.deliver(traces(0, 100)))
        await until(lambda: two_tiers.balancer.account.retries.total() >= 1)
        two_tiers.clock.passed_s += 3600
        await until(lambda: two_tiers.balancer.account.retries.total() >= 3)
        assert two_tiers.balancer.counts.balancer.rerouted_spans == 0
        assert not delivering.done()
        delivering.cancel()


async def test_spans_that_a_backend_calls_invalid_go_to_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with tier(2, tmp_path, monkeypatch) as two_tiers:
        for each in two_tiers.backends.values():
            each.consumer.before = refuse_seven
        assert await two_tiers.deliver(numbered(0, 20)) == 19
        assert two_tiers.all_got == [number for number in range(20) if number != 7]
        assert two_tiers.balancer.account.aside == {"invalid_argument": 1}
        assert two_tiers.balancer.counts.balancer.rerouted_spans == 0


async def test_backends_stay_as_they_were_while_nobody_knows_which_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tier(2, tmp_path, monkeypatch) as two_tiers:
        await two_tiers.deliver(traces(0, 10), "before")
        with capture_logs() as lines:
            two_tiers.resolver.fault = "no answer"
            asked = two_tiers.resolver.asked
            await until(lambda: two_tiers.resolver.asked > asked + 3)
        assert await two_tiers.deliver(traces(40, 10), "after") == 40
        assert two_tiers.all_got == list(range(80))
    assert two_tiers.balancer.counts.balancer.resolutions[False] >= 3
    assert [line["error"] for line in lines if line["event"] == "backends_not_resolved"] == ["no answer"]


async def test_spans_wait_until_it_is_known_which_backends_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with tier(1, tmp_path, monkeypatch, known=0) as two_tiers:
        two_tiers.resolver.fault = "no such name"
        await until(lambda: two_tiers.balancer.outlet.trouble == "no such name")
        delivering = asyncio.create_task(two_tiers.deliver(traces(0, 10)))
        two_tiers.resolver.addresses = list(two_tiers.backends)
        two_tiers.resolver.fault = ""
        assert await delivering == 40
        assert two_tiers.balancer.outlet.trouble == ""


SECOND_TIER = """
receivers: {{otlp: {{protocols: {{grpc: }}}}}}
processors:
  tail_sampling: {{decision_wait: 1h, policies: [{{name: errors, type: status_code, status_code: {{status_codes: [ERROR]}}}}]}}
exporters:
  otlp: {{endpoint: "http://127.0.0.1:{port}", dead_letters: {{directory: {directory}}}}}
service: {{pipelines: {{traces: {{receivers: [otlp], processors: [tail_sampling], exporters: [otlp]}}}}}}
"""


def with_errors(batch: SpanBatch, rows: range) -> SpanBatch:
    """The batch, in which the spans in these rows have failed."""
    spans = batch.spans.copy()
    spans["status_code"][np.array(rows, np.int64)] = 2
    return replace(batch, spans=spans)


async def test_who_decides_about_traces_behind_a_balancer_has_the_whole_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        last = await stack.enter_async_context(receivers())
        two_tiers = await stack.enter_async_context(tier(3, tmp_path, monkeypatch))
        config = parse(SECOND_TIER.format(port=last.grpc.port, directory=tmp_path).encode(), {}, "second tier")
        pool = stack.enter_context(ThreadPoolExecutor(2))
        pipelines = [await stack.enter_async_context(build(config, Telemetry("test"), pool)) for _ in two_tiers.backends]
        running = [asyncio.create_task(pipeline.run()) for pipeline in pipelines]
        for backend, pipeline in zip(two_tiers.backends.values(), pipelines, strict=True):
            backend.consumer.before = pipeline.entry.consume
        # Of each trace a span comes in each of four batches; every third is to be kept, as its span in the last batch has failed.
        for turn in range(4):
            batch = numbered(100 * turn, 100, trace_of=lambda number: 1000 + number % 100)
            await two_tiers.deliver(with_errors(batch, range(0, 100 if turn == 3 else 0, 3)), f"batch-{turn}")
        for pipeline in pipelines:
            assert (await pipeline.drain(10)).spans == 0
        await asyncio.gather(*running)
        kept = sorted(number for batch in last.consumer.batches for number in numbers(batch))
        assert kept == [number for number in range(400) if number % 100 % 3 == 0]
        assert all(two_tiers.got(address) for address in two_tiers.backends)


async def test_the_addresses_of_a_name_are_the_backends() -> None:
    found = await DnsResolver("localhost", 4317, 5.0, 5.0).resolve()
    assert set(found) <= {"127.0.0.1:4317", "[::1]:4317"}
    assert found


async def test_a_name_that_has_no_addresses_is_told() -> None:
    with pytest.raises(ResolveError, match=r"nowhere\.invalid"):
        await DnsResolver("nowhere.invalid", 4317, 5.0, 10.0).resolve()


async def test_a_name_that_can_be_none_is_told_too() -> None:
    with pytest.raises(ResolveError, match=r"a\.\.b: is no host name"):
        await DnsResolver("a..b", 4317, 5.0, 10.0).resolve()
