"""Alerts and who is told of them: the `alerting` extension."""

from collections.abc import Mapping

from config.notifications import Notifications, Smtp
from config.secrets import Secret, SecretName
from config.section import Section


class AlertingExtension(Section):
    """Watches what alert rules of workspaces say, and tells people by their channels. Needs a ClickHouse exporter."""

    secrets: Mapping[SecretName, Secret] = {}
    """What channels may refer to by name: URLs of webhooks, keys. Nobody is shown them, and they are stored nowhere."""
    smtp: Smtp | None = None
    """The server for channels of the type `email`, of which there can be none without."""
    notifications: Notifications = Notifications()
    """What goes for all channels."""
