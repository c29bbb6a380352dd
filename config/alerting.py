"""Alerts and who is told of them: the `alerting` extension."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from config.notifications import Notifications, Smtp
from config.secrets import Secret, SecretName
from config.section import Section
from config.values import Duration


def _delay(value: Duration) -> Duration:
    if value > Duration.parse("1h"):
        raise ValueError("must be at most 1h")
    return value


EvaluationDelay = Annotated[Duration, AfterValidator(_delay)]


class AlertingExtension(Section):
    """Watches what alert rules of workspaces say, and tells people by their channels. Needs a ClickHouse exporter."""

    evaluation_delay: EvaluationDelay = Duration.parse("30s")
    """Rules measure up to a whole minute, so long after it has ended: later than most spans arrive."""
    secrets: Mapping[SecretName, Secret] = {}
    """What channels may refer to by name: URLs of webhooks, keys. Nobody is shown them, and they are stored nowhere."""
    smtp: Smtp | None = None
    """The server for channels of the type `email`, of which there can be none without."""
    notifications: Notifications = Notifications()
    """What goes for all channels."""
