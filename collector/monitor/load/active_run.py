"""A load test that runs: a process and two tasks, of which one reads what it says, and one stores that.

A store that is slow or away does not hold up the reading, and so not the generator, whose measurements would suffer.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from collector.control.versions import Stored
from collector.monitor.failures.rules import FailureRule
from collector.monitor.failures.tally import InjectedFailures
from collector.monitor.load.definition import LoadTest
from collector.monitor.load.generator import End
from collector.monitor.load.interval import Summary
from collector.monitor.load.plan import Plan, Rule, rules_of
from collector.monitor.load.process import GeneratorError, GeneratorProcess
from collector.monitor.load.run_store import Run, RunStore, State
from collector.monitor.load.spans import spans_of
from collector.monitor.own_spans import OwnSpans
from collector.monitor.requests.description import service_of
from exporters.clickhouse.client import ClickHouseError, ClickHouseUnavailable

_log = structlog.get_logger(__name__)

_PAUSE_S: Final = 1.0
_RULES_S: Final = 1.0
"""So often failure rules are looked at while a test runs."""
_PATIENCE_S: Final = 30.0
"""So long after the end of a test, what could not be stored of it is tried again, ..."""
_PATIENCE_AT_END_S: Final = 5.0
"""... and so long where the daemon wants to end."""


Rules = Sequence[Stored[FailureRule]]


class ActiveRun:
    """A run whose generator this process has started.

    Args:
        run: as it was stored at the start.
        test: that it is of.
        store: where to write.
        rules: reads the failure rules of its workspace.
        spans: takes those of some of its requests.
        injected: counts requests that went wrong on purpose.
        now: nanoseconds since 1970.

    Attributes:
        run: how it stands.
        total: sums of everything so far.
        latest: number and sums of the last interval; None before the first.
        pid: of the generator; None before it has started.
        news: is set, and replaced by another, when any of these changes.
    """

    def __init__(
        self,
        run: Run,
        test: LoadTest,
        store: RunStore,
        rules: Callable[[], Awaitable[Rules]],
        spans: OwnSpans,
        injected: InjectedFailures,
        now: Callable[[], int],
    ) -> None:
        self.run = run
        self._test = test
        self._injected = injected
        self.total = Summary(at=0, seconds=0)
        self.latest: tuple[int, Summary] | None = None
        self.pid: int | None = None
        self.news = asyncio.Event()
        self._store = store
        self._rules = rules
        self._spans = spans
        self._now = now
        self._generator: GeneratorProcess | None = None
        self._waiting: asyncio.Queue[tuple[int, Summary] | None] = asyncio.Queue()
        self._ended_as: tuple[State, str] | None = None
        self._give_up_at = math.inf

    def end(self, state: State, author: str) -> None:
        """End it before its time, as cancelled or interrupted."""
        if self._ended_as is None:
            self._ended_as = state, author
            if self._generator is not None:
                self._generator.cancel()

    async def live(self, plan: Plan) -> None:
        """Run the test to its end, and store what becomes of it."""
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write())
            watcher = tasks.create_task(self._watch_rules(plan.rules))
            state, reason, unanswered = await self._follow(plan)
            watcher.cancel()
            interrupted = self._ended_as is not None and self._ended_as[0] == "interrupted"
            patience_s = _PATIENCE_AT_END_S if interrupted else _PATIENCE_S
            self._give_up_at = asyncio.get_running_loop().time() + patience_s
            self._waiting.put_nowait(None)
            author = ""
            if self._ended_as is not None and state == "cancelled":
                state, author = self._ended_as
            ended = replace(self.run, state=state, reason=reason, unanswered=unanswered, ended_at=self._now(), ended_by=author)
            await writer
        await self._store_in_time(partial(self._store.write_run, ended))
        self.run = ended
        self._tell()
        _log.info("load_test_ended", workspace=ended.workspace, run=str(ended.id), name=ended.name, state=state, reason=reason)

    async def _follow(self, plan: Plan) -> tuple[State, str, int]:
        try:
            async with GeneratorProcess(plan) as self._generator:
                self.pid = self._generator.pid
                if self._ended_as is not None:
                    self._generator.cancel()
                async with aclosing(self._generator.lines()) as lines:
                    async for said in lines:
                        if isinstance(said, End):
                            return said.state, said.reason, said.unanswered
                        self._take(said)
        except (GeneratorError, OSError) as error:
            return "failed", str(error), self.total.in_flight
        raise AssertionError("a generator says its end, or fails")

    async def _watch_rules(self, known: tuple[Rule, ...]) -> None:
        """Tell the generator when failure rules change, or are switched off."""
        while True:
            await asyncio.sleep(_RULES_S)
            try:
                rules = rules_of(await self._rules())
            except (ClickHouseError, ClickHouseUnavailable) as error:
                # What fails on purpose must have somebody who can end it.
                rules = ()
                if known:
                    _log.warning("failure_rules_not_read", run=str(self.run.id), error=str(error), note="none counts until then")
            if rules != known and self._generator is not None:
                known = rules
                self._generator.tell_rules(rules)

    def _take(self, interval: Summary) -> None:
        number = 0 if self.latest is None else self.latest[0] + 1
        self.latest = number, interval
        self.total.add(interval)
        service = service_of(self._test.request, self._test.service)
        for kind, requests in interval.injected.items():
            self._injected.count(self.run.workspace, service, kind, requests)
        self._waiting.put_nowait(self.latest)
        self._tell()

    def _tell(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    async def _write(self) -> None:
        while (interval := await self._waiting.get()) is not None:
            number, summary = interval
            await self._spans.tell(self.run.workspace, spans_of(self.run, self._test.request, summary))
            await self._store_in_time(partial(self._store.write_progress, self.run, number, summary))

    async def _store_in_time(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write, again and again where the store is away, but not for long after the end of the test."""
        loop, is_first = asyncio.get_running_loop(), True
        while loop.time() < self._give_up_at:
            try:
                await write()
                return
            except (ClickHouseError, ClickHouseUnavailable) as error:
                if isinstance(error, ClickHouseError) and not error.retryable:
                    _log.error("load_test_not_stored", run=str(self.run.id), error=str(error))
                    return
                if is_first:
                    _log.warning("load_test_not_stored_yet", run=str(self.run.id), error=str(error), note="tried again")
                is_first = False
            await asyncio.sleep(_PAUSE_S)
        _log.error("load_test_not_stored", run=str(self.run.id), error="no time left")
