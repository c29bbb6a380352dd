"""Load tests that run here, and how they are started and ended."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

import structlog

from collector.control.objects import Objects
from collector.control.versions import Stored
from collector.egress.destination import Destination, EgressRefused, read_url
from collector.egress.resolving import resolve
from collector.monitor.failures.standing import standing_rules
from collector.monitor.failures.tally import InjectedFailures
from collector.monitor.load.active_run import ActiveRun, Rules
from collector.monitor.load.definition import LoadTest, plan_of, sent_by
from collector.monitor.load.plan import Plan
from collector.monitor.load.run_store import Run, RunStore
from collector.monitor.own_spans import OwnSpans
from collector.monitor.reach import Reach
from collector.monitor.secrets import SecretError
from config.load_tests import LoadTestsExtension

_log = structlog.get_logger(__name__)


class TooManyRuns(Exception):
    """As many tests run as may."""


class LoadTests:
    """Starts load tests, and knows those that run here. As an asynchronous context: when it is left, they are interrupted.

    Args:
        settings: what tests may do.
        reach: where they may be sent, with which secrets.
        store: of runs.
        objects: where failure rules are.
        spans: takes those of some requests.
        injected: counts requests that went wrong on purpose.
        now: nanoseconds since 1970.

    Attributes:
        outcomes: how many runs have ended, by state; and how many were `refused`.
    """

    def __init__(
        self,
        settings: LoadTestsExtension,
        reach: Reach,
        store: RunStore,
        objects: Objects,
        spans: OwnSpans,
        injected: InjectedFailures,
        now: Callable[[], int],
    ) -> None:
        self.settings = settings
        self._reach = reach
        self._store = store
        self._objects = objects
        self._spans = spans
        self._injected = injected
        self._now = now
        self.outcomes: Counter[str] = Counter()
        self._active: dict[uuid.UUID, ActiveRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def active(self, workspace: str, run_id: uuid.UUID) -> ActiveRun | None:
        """A workspace's run that runs here."""
        found = self._active.get(run_id)
        return found if found is not None and found.run.workspace == workspace else None

    @property
    def running(self) -> int:
        """How many run here."""
        return len(self._active)

    async def start(self, workspace: str, stored: Stored[LoadTest], author: str) -> Run:
        """Start a test; it runs on.

        Args:
            author: the name of the caller.

        Raises:
            TooManyRuns: as many run as may.
            EgressRefused: its target is not allowed.
            SecretError: a header names a secret that may not be used there.
            OSError: its target's name has no addresses.
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: its start could not be stored.
        """
        test = stored.settings
        if self.running >= self.settings.max_runs:
            raise TooManyRuns(f"{self.running} load tests run here, as many as max_runs of extensions.load_tests allows.")
        run = Run(
            id=uuid.uuid4(),
            workspace=workspace,
            load_test=stored.id,
            load_test_version=stored.version,
            name=test.name,
            test=test.model_dump(by_alias=True, mode="json"),
            started_at=self._now(),
            started_by=author,
        )
        rules = partial(standing_rules, self._objects, workspace)
        active = self._active[run.id] = ActiveRun(run, test, self._store, rules, self._spans, self._injected, self._now)
        try:
            plan = await self._plan(workspace, test, await rules())
            await self._store.write_run(run)
        except BaseException as error:
            del self._active[run.id]
            if isinstance(error, EgressRefused | SecretError):
                self.outcomes["refused"] += 1
                _log.warning("load_test_refused", workspace=workspace, name=test.name, by=author, reason=str(error))
            raise
        task = asyncio.create_task(active.live(plan), name=f"load test {run.id}")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._over(active, done))
        _log.info("load_test_started", workspace=workspace, run=str(run.id), name=test.name, by=author)
        return run

    async def _plan(self, workspace: str, test: LoadTest, rules: Rules) -> Plan:
        """What the generator is told: with addresses that were checked, so that it asks no name server, and secrets put in."""
        destination = Destination.of_url(read_url(test.request.url))
        request = sent_by(test, self._reach.secrets_at(destination, workspace))
        addresses = await resolve(self._reach.policy, destination, self._reach.lookup)
        return plan_of(test, request, [(str(address), destination.port) for address in addresses], self.settings, rules)

    def _over(self, active: ActiveRun, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        del self._active[active.run.id]
        error = None if task.cancelled() else task.exception()
        self.outcomes["failed" if error is not None else active.run.state] += 1
        if error is not None:
            _log.error("load_test_broken", run=str(active.run.id), exc_info=error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for active in self._active.values():
            active.end("interrupted", "")
        if self._tasks:
            await asyncio.wait(self._tasks)
