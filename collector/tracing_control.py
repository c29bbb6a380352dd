"""What operators say about services while the daemon runs, and who is told of it: pipeline, query port and SDKs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from collector import metrics
from collector.clock import Clock
from collector.control.adaptive_rounds import AdaptiveRounds
from collector.control.config_store import ConfigStore
from collector.control.feed import PolicyFeed
from collector.control.policies import Policy
from collector.control.strategies import Strategies
from collector.control.strategy_file import StrategyFile, read_strategies
from collector.pipeline.registry import schema_settings
from collector.reloading import Reloading
from collector.telemetry import Telemetry
from config.model import Config
from config.remote_sampling import RemoteSamplingExtension, SamplingSource
from config.service_policy import ServicePolicyProcessor
from exporters.clickhouse.client import ClickHouseClient

_TIMEOUT_S: Final = 5.0
"""Limit of one look at the tracing configs."""


class TracingControl:
    """The parts of a configuration that know of tracing configs.

    Args:
        config: what is configured.
        client: of the store where the configs are; None without one.
        telemetry: where to count.
        clock: the time.

    Attributes:
        feed: what the configs say; None without a store.
        strategies: what SDKs are told.

    Raises:
        StrategyFileError: the file of strategies cannot be used.
    """

    def __init__(self, config: Config, client: ClickHouseClient | None, telemetry: Telemetry, clock: Clock) -> None:
        settings, obeys = _service_policy(config)
        self._telemetry = telemetry
        self.feed = None
        if client is not None:
            store = ConfigStore(client, client.database, _TIMEOUT_S, clock.now)
            failed = partial(self._failed, metrics.TRACING_CONFIGS_FAILURES)
            self.feed = PolicyFeed(store, settings.refresh_interval.seconds, clock.monotonic, failed)
        self._obeyed = asyncio.Event()
        if obeys:
            self._obeyed.set()
        self._rounds, file = None, None
        for name in config.service.extensions:
            extension = config.extensions[name]
            if isinstance(extension, RemoteSamplingExtension):
                file = _strategy_file(f"extensions.{name}.source.file", extension.source, clock)
                if client is not None and extension.adaptive is not None:
                    schema = schema_settings(next(iter(config.stores.values())))
                    failed = partial(self._failed, metrics.ADAPTIVE_SAMPLING_FAILURES)
                    self._rounds = AdaptiveRounds(client, schema, extension.adaptive, clock.now, failed)
        self.strategies = Strategies(self.feed, file, _default(settings), self._rounds)

    def use(self, config: Config) -> None:
        """Go by another configuration, which differs in processors alone."""
        settings, obeys = _service_policy(config)
        self.strategies.default = _default(settings)
        if self.feed is not None:
            self.feed.interval_s = settings.refresh_interval.seconds
        if obeys:
            self._obeyed.set()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[list[asyncio.Task[None]]]:
        """The tasks that follow what is in the store, as far as they are needed, while the context lasts."""
        tasks = []
        if self.feed is not None:
            tasks.append(asyncio.create_task(self._follow(self.feed), name="tracing configs"))
        if self._rounds is not None:
            tasks.append(asyncio.create_task(self._rounds.run(), name="adaptive sampling"))
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, feed: PolicyFeed) -> None:
        """Follow the configs from when a processor first does what they say."""
        await self._obeyed.wait()
        self._telemetry.read(metrics.TRACING_CONFIGS, (), lambda: feed.configs)
        self._telemetry.read(metrics.TRACING_CONFIGS_AGE_SECONDS, (), lambda: feed.age_s)
        await feed.run()

    def _failed(self, metric: metrics.Definition, reason: str) -> None:
        self._telemetry.count(metric, (reason,))


def _service_policy(config: Config) -> tuple[ServicePolicyProcessor, bool]:
    """The settings of the processor that does what tracing configs say, or what they would be; and whether there is one."""
    processors = (config.processors[name] for name in config.service.pipelines.traces.processors)
    policy = next((each for each in processors if isinstance(each, ServicePolicyProcessor)), None)
    return policy or ServicePolicyProcessor(), policy is not None


def _default(settings: ServicePolicyProcessor) -> Policy:
    """What becomes of spans of services for which no config speaks."""
    return Policy(settings.default.enabled, settings.default.sampling_rate)


def _strategy_file(key: str, source: SamplingSource, clock: Clock) -> Reloading[StrategyFile] | None:
    """What the file says that the configuration names under `key`; None where it names none."""
    if not source.file:
        return None
    read = partial(read_strategies, source.file, key, source.default_sampling_probability)
    return Reloading([source.file], source.reload_interval.seconds, read, clock.monotonic)
