"""The load tests of a configuration."""

from __future__ import annotations

from collections.abc import Callable

from yarl import URL

from collector.egress.policy import for_targets
from collector.monitor.load.run_store import RunStore
from collector.monitor.load.runs import LoadTests
from collector.monitor.secrets import NamedSecrets
from config.load_tests import LoadTestsExtension
from config.model import Config
from exporters.clickhouse.client import ClickHouseClient

_TIMEOUT_S = 10.0
"""Of one write; it is repeated."""


def load_tests(config: Config, client: ClickHouseClient | None, now: Callable[[], int]) -> LoadTests | None:
    """What runs load tests; None where the configuration asks for none, or has no store for what comes of them.

    Args:
        client: of the store; the caller closes it.
        now: nanoseconds since 1970.
    """
    for name in config.service.extensions:
        settings = config.extensions[name]
        if isinstance(settings, LoadTestsExtension) and client is not None:
            setting = f"extensions.{name}"
            stores = {URL(url).port or 0 for exporter in config.stores.values() for url in exporter.urls}
            policy = for_targets(settings.allowed_targets, f"{setting}.allowed_targets", stores)
            secrets = NamedSecrets(settings.secrets, f"{setting}.secrets")
            return LoadTests(settings, policy, secrets, RunStore(client, client.database, _TIMEOUT_S), now)
    return None
