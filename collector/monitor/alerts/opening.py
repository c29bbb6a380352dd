"""The alerting of a configuration."""

from __future__ import annotations

from collector.clock import Clock
from collector.monitor.alerts.alerting import Alerting
from collector.monitor.alerts.notifier import Notifier
from collector.query.store import SpanStore
from collector.telemetry import Telemetry
from config.alerting import AlertingExtension
from config.model import Config
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings


def open_alerting(
    config: Config,
    client: ClickHouseClient,
    schema: SchemaSettings,
    notifier: Notifier,
    telemetry: Telemetry,
    clock: Clock,
) -> Alerting | None:
    """What watches alert rules, to be run; None where the configuration asks for no alerting.

    Args:
        client: of the store where spans and rules are; the caller closes it.
        schema: which tables there are.
        notifier: what sends events.
        telemetry: where to count.
        clock: the time.
    """
    for name in config.service.extensions:
        settings = config.extensions[name]
        if isinstance(settings, AlertingExtension):
            store = SpanStore(client, f"{schema.database}.{schema.spans_table}")
            return Alerting(store, schema, int(settings.evaluation_delay), notifier, telemetry, clock)
    return None
