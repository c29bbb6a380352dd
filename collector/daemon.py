"""The daemon: everything that a configuration names, started from the store to the receivers and stopped the other way.

At its end, receivers first say that they no longer serve and finish what they have; then the pipeline stores what was
acknowledged; then the query port closes; the embedded ClickHouse ends last. So each has what it needs alive behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import structlog

from collector import metrics
from collector.access import Gates
from collector.clock import SYSTEM, Clock
from collector.embedded.database import EmbeddedDatabase
from collector.health import Check, Health
from collector.journal.journal import Journal
from collector.journaling import open_journal
from collector.kernels import loading
from collector.memory import spare_the_collector
from collector.monitor.alerts.alerting import Alerting
from collector.monitor.alerts.opening import open_alerting
from collector.monitor.channels.deliveries import Deliveries
from collector.monitor.channels.opening import open_deliveries
from collector.monitor.outgoing import outgoing
from collector.pipeline.build import Pipeline, build
from collector.pipeline.registry import asking_client, schema_settings
from collector.query_port import Ports, Store
from collector.queues.contract import QueueStatistics
from collector.receiving import Receivers
from collector.running import ConfigFile, RunningConfig
from collector.telemetry import Telemetry
from collector.tracing_control import TracingControl
from config.model import Config
from exporters.clickhouse.client import ClickHouseClient, ClickHouseError, ClickHouseUnavailable

T = TypeVar("T")

_log = structlog.get_logger(__name__)

_CHECK_TIMEOUT_S: Final = 2.0
_THREADS: Final = 2
"""Decoding, joining and encoding free the interpreter, so they use more than one core; few threads keep memory low."""
_GRACE_SHARE: Final = 0.3
"""The part of the time for a shutdown that requests in flight get; the rest is for storing."""


class _EndAskedFor(Exception):
    """The end was asked for before all had started."""


class Daemon:
    """One running collector.

    Args:
        config: what to run.
        file: where that comes from.
        version: of spanhouse, for `/metrics`.
        database: the ClickHouse that starts and ends with the daemon, if there is one; whoever made it stops it.
        clock: the time.
    """

    def __init__(
        self,
        config: Config,
        file: ConfigFile,
        version: str,
        database: EmbeddedDatabase | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self._config = config
        self._file = file
        self._running: RunningConfig | None = None
        self._reload_asked = False
        self._database = database
        self._clock = clock
        self._store = next(iter(config.stores.items()), None)
        self._shutdown_s = config.service.shutdown_timeout.seconds
        self._stop = asyncio.Event()
        self._deadline_s: float | None = None
        self._telemetry = Telemetry(version, clock)
        self.keeps = False
        """Whether what is not stored outlives the process."""
        self._lost_nothing = True

    def stop(self) -> None:
        """Ask the daemon to end in order."""
        self._stop.set()

    def reload(self) -> None:
        """Ask the daemon to read its configuration again, as soon as it runs."""
        self._reload_asked = True
        if self._running is not None:
            self._running.ask()

    async def run(self) -> bool:
        """Run until `stop` is called, or until something breaks that cannot be mended.

        Returns:
            Whether everything that was acknowledged is stored, or in the journal.

        Raises:
            ListenError: an address cannot be listened on.
            EmbeddedStartError: the embedded ClickHouse does not start.
            JournalError: the journal cannot be used.
            KernelError: the kernels cannot be compiled.
            StrategyFileError: the file of sampling strategies cannot be used.
        """
        try:
            await self._run()
        except _EndAskedFor:
            _log.info("stopped_while_starting")
        return self._lost_nothing

    async def _run(self) -> None:
        """As `run`. Raises _EndAskedFor, too."""
        pool = ThreadPoolExecutor(_THREADS, "work")
        async with AsyncExitStack() as rooms:
            rooms.callback(pool.shutdown, cancel_futures=True)
            store = None
            if self._store is not None:
                name, exporter = self._store
                store = Store(exporter, await rooms.enter_async_context(asking_client(name, exporter)))
            journal = open_journal(self._config, pool, self._telemetry, self._clock)
            if journal is not None:
                self.keeps = True
                await rooms.enter_async_context(journal)
            control = TracingControl(self._config, store.client if store else None, self._telemetry, self._clock)
            pipeline = await rooms.enter_async_context(
                build(self._config, self._telemetry, pool, self._clock, journal, control.feed)
            )

            def use(config: Config) -> None:
                control.use(config)
                pipeline.use(config)

            self._running = running = RunningConfig(self._config, self._file, use)
            if self._reload_asked:
                running.ask()
            self._watch(pipeline, running)
            health = self._health(pipeline, store, journal)
            gates = Gates(self._config, self._clock)
            receivers = Receivers(
                self._config, pipeline.entry, self._telemetry, pool, self._clock, gates, lambda: queue_fill(pipeline)
            )
            self._telemetry.read(metrics.IN_FLIGHT_BYTES, (), lambda: receivers.in_flight.held_bytes)
            # Before the kernels, which may take a minute to compile and cannot be interrupted.
            receivers.check_free()
            sends = outgoing(self._config, store.client if store else None, pipeline.entry, self._clock.now)
            if sends is not None:
                sends.watch(self._telemetry)
                await rooms.enter_async_context(sends.load_tests)
            deliveries, alerting = self._alerting(store) if store else (None, None)
            if deliveries is not None:
                rooms.push_async_callback(deliveries.close)
            ports = Ports(
                store=store,
                health=health,
                accounts=pipeline.ledger,
                explainers=pipeline.explainers,
                running=running,
                control=control,
                gates=gates,
                outgoing=sends,
                deliveries=deliveries,
                telemetry=self._telemetry,
                clock=self._clock,
            )
            urls = await rooms.enter_async_context(self._serving(ports))
            kernels = await rooms.enter_async_context(loading(pool))
            watched = []
            if self._database:
                watched.append(await self._unless_stopped(self._database.ready()))
                urls["clickhouse"] = self._database.url
            watched += await rooms.enter_async_context(control.following())
            if alerting is not None:
                await rooms.enter_async_context(alerting)
            watched.append(await rooms.enter_async_context(self._storing(pipeline)))
            watched.append(await rooms.enter_async_context(self._following(running)))
            await self._unless_stopped(kernels)
            spare_the_collector()
            async with self._receiving(receivers, health):
                _log.info("ready", **receivers.addresses(), **urls)
                await self._until_stopped(*watched)

    def _health(self, pipeline: Pipeline, store: Store | None, journal: Journal | None) -> Health:
        """What tells whether the daemon is ready: by the parts that it has."""
        stores = self._config.stores.keys()
        checks: dict[str, Check] = {}
        if store is not None:
            checks["clickhouse"] = lambda: store_trouble(pipeline, stores, store.client)
        if others := pipeline.exporters.keys() - stores:
            checks["exporters"] = lambda: exporter_trouble(pipeline, others)
        if journal is not None:
            checks["journal"] = journal.check
        checks["memory_limiter"] = pipeline.entry.memory_trouble
        return Health(self._telemetry, checks, with_metrics=self._config.service.telemetry.metrics.level != "none")

    def _alerting(self, store: Store) -> tuple[Deliveries | None, Alerting | None]:
        """What tells people, which is to be closed, and what finds out what they are told, which is yet to be entered."""
        schema = schema_settings(store.exporter)
        deliveries = open_deliveries(self._config, store.client, schema, self._telemetry, self._clock)
        if deliveries is None:
            return None, None
        return deliveries, open_alerting(self._config, store.client, schema, deliveries, self._telemetry, self._clock)

    @asynccontextmanager
    async def _serving(self, ports: Ports) -> AsyncIterator[dict[str, str]]:
        """The extensions that answer somebody, serving while the context lasts; the URL of each by its id."""
        async with AsyncExitStack() as open_ports:
            urls = {}
            for name in self._config.service.extensions:
                for part, port in ports.of(name, self._config.extensions[name]).items():
                    await port.start()
                    open_ports.push_async_callback(port.stop)
                    urls[part] = port.url
            yield urls

    @asynccontextmanager
    async def _storing(self, pipeline: Pipeline) -> AsyncIterator[asyncio.Task[None]]:
        """The pipeline, running; in the end what it holds is stored, as far as time allows."""
        running = asyncio.create_task(pipeline.run(), name="pipeline")
        try:
            yield running
        finally:
            left = await pipeline.drain(self._seconds_left())
            self._lost_nothing = self.keeps or not left.spans
            if left.spans and self.keeps:
                _log.warning(
                    "spans_kept", spans=left.spans, bytes=left.nbytes, note="the next start stores them from the journal"
                )
            elif left.spans:
                _log.error("spans_lost", spans=left.spans, bytes=left.nbytes, reason="no time left to store them")
            # What broke the pipeline, if anything did, is the reason for the end and is told as such.
            await running

    @asynccontextmanager
    async def _following(self, running: RunningConfig) -> AsyncIterator[asyncio.Task[None]]:
        """Whoever has the configuration read again, while the context lasts."""
        interval_s = self._config.service.config_check_interval.seconds
        following = asyncio.create_task(running.follow(interval_s), name="configuration")
        try:
            yield following
        finally:
            following.cancel()
            await asyncio.wait([following])

    @asynccontextmanager
    async def _receiving(self, receivers: Receivers, health: Health) -> AsyncIterator[None]:
        """The receivers, taking spans while the context lasts."""
        await receivers.start()
        health.state = "running"
        try:
            yield
        finally:
            health.state = "stopping"
            self._deadline_s = asyncio.get_running_loop().time() + self._shutdown_s
            _log.info("stopping", within_s=self._shutdown_s)
            await receivers.stop(self._shutdown_s * _GRACE_SHARE)

    async def _until_stopped(self, *tasks: asyncio.Future[Any]) -> None:
        """Return when `stop` is called, or when one of the tasks ends, which none should. Raises what that one raised."""
        stopping = asyncio.create_task(self._stop.wait())
        try:
            ended, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        for task in ended:
            task.result()

    async def _unless_stopped(self, step: Awaitable[T]) -> T:
        """What a step of the start gives. Raises _EndAskedFor as soon as `stop` is called; the step is cancelled then."""
        running = asyncio.ensure_future(step)
        try:
            await self._until_stopped(running)
            if not running.done():
                # No receiver has taken anything yet; what the journal has from before can wait for the next start.
                self._deadline_s = asyncio.get_running_loop().time()
                raise _EndAskedFor
            return await running
        finally:
            running.cancel()

    def _seconds_left(self) -> float:
        """What is left of the time for a shutdown; all of it when none has begun."""
        if self._deadline_s is None:
            return self._shutdown_s
        return max(0.0, self._deadline_s - asyncio.get_running_loop().time())

    def _watch(self, pipeline: Pipeline, running: RunningConfig) -> None:
        """Let metrics tell of the parts that do not count into them."""
        for name, queue in pipeline.queues.items():
            self._watch_queue((name,), queue.statistics)
        self._telemetry.read_all(metrics.LEDGER_SPANS, pipeline.ledger.rows)
        database = self._database
        if database is not None:
            self._telemetry.read(metrics.EMBEDDED_RESTARTS, (), lambda: database.restarts)
            self._telemetry.read_all(metrics.EMBEDDED_REFUSED, lambda: database.refused)
        self._telemetry.read(metrics.CONFIG_RELOADS, ("success",), lambda: running.reloads)
        self._telemetry.read(metrics.CONFIG_RELOADS, ("failure",), lambda: running.failures)

    def _watch_queue(self, labels: tuple[str], statistics: Callable[[], QueueStatistics]) -> None:
        read = self._telemetry.read
        read(metrics.QUEUE_SIZE, labels, lambda: statistics().nbytes)
        read(metrics.QUEUE_CAPACITY, labels, lambda: statistics().capacity_bytes)
        read(metrics.QUEUE_SPANS, labels, lambda: statistics().spans)
        read(metrics.QUEUE_PEAK_BYTES, labels, lambda: statistics().peak_bytes)
        read(metrics.QUEUE_OLDEST_SECONDS, labels, lambda: statistics().oldest_age_s)
        read(metrics.QUEUE_REFUSED_SPANS, labels, lambda: statistics().refused_spans)


def queue_fill(pipeline: Pipeline) -> float:
    """How full the queue is, from 0 to 1."""
    state = pipeline.statistics()
    return state.nbytes / state.capacity_bytes


async def exporter_trouble(pipeline: Pipeline, exporters: Container[str]) -> str:
    """Why spans cannot be sent now by some of the exporters; empty when they can."""
    return next((f"{name}: {trouble}" for name, trouble in pipeline.troubles().items() if name in exporters), "")


async def store_trouble(pipeline: Pipeline, exporters: Container[str], client: ClickHouseClient) -> str:
    """Why spans cannot be stored or read now; empty when they can."""
    if trouble := await exporter_trouble(pipeline, exporters):
        return trouble
    try:
        await client.command("SELECT 1", timeout_s=_CHECK_TIMEOUT_S)
    except (ClickHouseError, ClickHouseUnavailable) as error:
        return str(error)
    return ""
