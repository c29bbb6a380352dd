"""What a configuration lets users send: load tests, and saved requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from yarl import URL

from collector import metrics
from collector.consumer import Consumer
from collector.control.objects import Objects
from collector.egress.policy import for_targets
from collector.monitor.failures.tally import InjectedFailures
from collector.monitor.load.run_store import RunStore
from collector.monitor.load.runs import LoadTests
from collector.monitor.own_spans import OwnSpans
from collector.monitor.reach import Reach
from collector.monitor.requests.execution_store import ExecutionStore
from collector.monitor.requests.executor import Executor
from collector.monitor.secrets import NamedSecrets
from collector.telemetry import Telemetry
from config.load_tests import LoadTestsExtension
from config.model import Config
from exporters.clickhouse.client import ClickHouseClient

_TIMEOUT_S: Final = 10.0
"""Of one write; those of load tests are repeated."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What sends requests that users describe.

    Attributes:
        load_tests: as an asynchronous context, by whoever starts and stops things.
        executor: of saved requests.
        injected: counts those of both that went wrong on purpose.
    """

    load_tests: LoadTests
    executor: Executor
    injected: InjectedFailures

    def watch(self, telemetry: Telemetry) -> None:
        """Let metrics tell of both."""
        telemetry.read(metrics.LOAD_TESTS, (), lambda: self.load_tests.running)
        telemetry.read_all(metrics.LOAD_TEST_RUNS, lambda: _rows(self.load_tests.outcomes))
        telemetry.read_all(metrics.REQUEST_EXECUTIONS, lambda: _rows(self.executor.outcomes))
        telemetry.read_all(metrics.INJECTED_FAILURES, self.injected.rows)


def _rows(outcomes: Mapping[str, int]) -> list[tuple[tuple[str], float]]:
    return [((outcome,), count) for outcome, count in outcomes.items()]


def outgoing(config: Config, client: ClickHouseClient | None, consumer: Consumer, now: Callable[[], int]) -> Outgoing | None:
    """What the configuration asks for; None where it asks for nothing, or has no store for what comes of it.

    Args:
        client: of the store; the caller closes it.
        consumer: takes spans of what is sent.
        now: nanoseconds since 1970.
    """
    for name in config.service.extensions:
        settings = config.extensions[name]
        if isinstance(settings, LoadTestsExtension) and client is not None:
            setting = f"extensions.{name}"
            stores = {URL(url).port or 0 for exporter in config.stores.values() for url in exporter.urls}
            policy = for_targets(settings.allowed_targets, f"{setting}.allowed_targets", stores)
            reach = Reach(policy, NamedSecrets(settings.secrets, f"{setting}.secrets"))
            runs = RunStore(client, client.database, _TIMEOUT_S)
            objects = Objects(client, client.database, _TIMEOUT_S, now)
            executions = ExecutionStore(client, client.database, _TIMEOUT_S)
            injected = InjectedFailures()
            of_tests, of_requests = OwnSpans(consumer, "spanhouse.load_tests"), OwnSpans(consumer, "spanhouse.requests")
            return Outgoing(
                LoadTests(settings, reach, runs, objects, of_tests, injected, now),
                Executor(reach, settings.tls, executions, objects, of_requests, injected, now),
                injected,
            )
    return None
