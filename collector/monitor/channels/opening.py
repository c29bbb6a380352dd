"""The channels of a configuration."""

from __future__ import annotations

from collections.abc import Iterable

from yarl import URL

from collector.clock import Clock
from collector.component_telemetry import Counts
from collector.control.objects import Objects
from collector.egress.policy import for_notifications
from collector.monitor.channels.deliveries import Deliveries
from collector.monitor.channels.http_sending import HttpSender
from collector.monitor.channels.outcomes import Outcomes
from collector.monitor.channels.sender import Sender
from collector.monitor.channels.settings import CHANNELS
from collector.monitor.channels.smtp_sending import SmtpSender
from collector.monitor.secrets import NamedSecrets
from collector.tls import client_context
from config.alerting import AlertingExtension
from config.model import Config
from config.tls import ClientTls
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.connecting import TlsKeys

_TIMEOUT_S = 10.0
"""Of one statement."""


def open_deliveries(
    config: Config, client: ClickHouseClient, schema: SchemaSettings, telemetry: Counts, clock: Clock
) -> Deliveries | None:
    """What sends notifications, to be closed in the end; None where the configuration asks for no alerting.

    Args:
        client: of the store where channels and outcomes are; the caller closes it.
        schema: which tables there are.
        telemetry: where to count.
        clock: the time.

    Raises:
        TlsError: files for TLS cannot be used.
    """
    for name in config.service.extensions:
        settings = config.extensions[name]
        if isinstance(settings, AlertingExtension):
            # Where spans are stored is no place for notifications.
            own_ports = {URL(url).port or 0 for store in config.stores.values() for url in store.urls}
            sender = _sender(settings, f"extensions.{name}", own_ports, clock)
            channels = Objects(client, client.database, _TIMEOUT_S, clock.now).of(CHANNELS)
            outcomes = Outcomes(client, schema, _TIMEOUT_S)
            return Deliveries(channels, outcomes, sender, settings.notifications.give_up_after.seconds, telemetry, clock)
    return None


def _sender(settings: AlertingExtension, setting: str, own_ports: Iterable[int], clock: Clock) -> Sender:
    notifications, smtp = settings.notifications, settings.smtp
    allowed = f"{setting}.notifications.allowed_destinations"
    policy = for_notifications(notifications.allowed_destinations, allowed, own_ports)
    timeout_s = notifications.timeout.seconds
    tls = ClientTls(ca_file=notifications.ca_file, include_system_ca_certs_pool=True)
    mail = None
    if smtp is not None:
        mail = SmtpSender(smtp, timeout_s, client_context(smtp.tls, f"{setting}.smtp.tls"))
    return Sender(
        HttpSender(
            policy,
            timeout_s,
            client_context(tls, f"{setting}.notifications"),
            tls_keys=TlsKeys(f"{setting}.notifications", notifications.ca_file, renames=False),
        ),
        policy,
        mail,
        () if smtp is None else smtp.allowed_recipients,
        NamedSecrets(settings.secrets, f"{setting}.secrets"),
        notifications.trace_url,
        clock.now,
    )
