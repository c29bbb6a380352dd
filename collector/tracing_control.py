"""What operators say about services while the daemon runs, and who is told of it: pipeline, query port and SDKs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from collector import metrics
from collector.clock import Clock
from collector.control.config_store import ConfigStore
from collector.control.feed import PolicyFeed
from collector.control.policies import Policy
from collector.control.strategies import Strategies
from collector.control.strategy_file import StrategyFile, read_strategies
from collector.reloading import Reloading
from collector.telemetry import Telemetry
from config.model import Config
from config.remote_sampling import RemoteSamplingExtension
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
        default: what becomes of spans of services for which no config speaks.
        obeyed: follows the configs for the processor that does what they say; None without such a processor.
        strategies: what SDKs are told.

    Raises:
        StrategyFileError: a file of strategies cannot be used.
    """

    def __init__(self, config: Config, client: ClickHouseClient | None, telemetry: Telemetry, clock: Clock) -> None:
        processors = (config.processors[name] for name in config.service.pipelines.traces.processors)
        policy = next((each for each in processors if isinstance(each, ServicePolicyProcessor)), None)
        settings = policy or ServicePolicyProcessor()
        self._telemetry = telemetry
        self._feed = None
        if client is not None:
            store = ConfigStore(client, client.database, _TIMEOUT_S, clock.now)
            self._feed = PolicyFeed(store, settings.refresh_interval.seconds, clock.monotonic, self._failed)
        self.default = Policy(settings.default.enabled, settings.default.sampling_rate)
        self.obeyed = self._feed if policy is not None else None
        self.strategies = Strategies(self._feed, _strategy_file(config, clock), self.default)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[list[asyncio.Task[None]]]:
        """The task that follows the configs while the context lasts, if a processor needs it."""
        feed = self.obeyed
        if feed is None:
            yield []
            return
        self._telemetry.read(metrics.TRACING_CONFIGS, (), lambda: feed.configs)
        self._telemetry.read(metrics.TRACING_CONFIGS_AGE_SECONDS, (), lambda: feed.age_s)
        task = asyncio.create_task(feed.run(), name="tracing configs")
        try:
            yield [task]
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _failed(self, reason: str) -> None:
        self._telemetry.count(metrics.TRACING_CONFIGS_FAILURES, (reason,))


def _strategy_file(config: Config, clock: Clock) -> Reloading[StrategyFile] | None:
    """What the file says that the configuration names; None where it names none."""
    for name in config.service.extensions:
        extension = config.extensions[name]
        if isinstance(extension, RemoteSamplingExtension) and extension.source.file:
            source = extension.source
            key = f"extensions.{name}.source.file"
            read = partial(read_strategies, source.file, key, source.default_sampling_probability)
            return Reloading([source.file], source.reload_interval.seconds, read, clock.monotonic)
    return None
