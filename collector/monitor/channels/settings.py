"""What a channel is: whom it tells, of what, and how to reach them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from collector.control.objects import Kind, ObjectModel
from collector.monitor.alerts.events import SEVERITIES, AlertEvent, Severity
from collector.monitor.fields import Url, printable
from config.secrets import SecretName

PAGERDUTY_URL: Final = "https://events.pagerduty.com/v2/enqueue"

_MOST_RECIPIENTS: Final = 50
_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*", re.ASCII)
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_OURS: Final = frozenset(
    {"authorization", "connection", "content-length", "content-type", "cookie", "host", "idempotency-key", "transfer-encoding"}
)


def _mail_address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError("must be a mail address, such as ops@example.com")
    return text


def _header_name(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError("must be the name of a header")
    if text.lower() in _OURS or text.lower().startswith("webhook-"):
        raise ValueError("must be a header that is not set anyway; for Authorization use authorization")
    return text


def _header_value(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ValueError("must be of visible ASCII characters and spaces")
    return text


_HeaderName = Annotated[str, AfterValidator(_header_name)]
_HeaderValue = Annotated[str, Field(max_length=1000), AfterValidator(_header_value)]


class SecretReference(ObjectModel):
    """A secret of the collector's configuration, by its name."""

    secret: SecretName
    """Its name."""


class SlackTarget(ObjectModel):
    """A Slack channel, by an incoming webhook."""

    type: Literal["slack"]
    url: SecretReference
    """The URL of the webhook, whose path is all that it takes to write there."""


class EmailTarget(ObjectModel):
    """Mail, by the server of the collector's configuration."""

    type: Literal["email"]
    to: Annotated[tuple[Annotated[str, AfterValidator(_mail_address)], ...], Field(min_length=1, max_length=_MOST_RECIPIENTS)]
    """Addresses."""


class PagerDutyTarget(ObjectModel):
    """A service of PagerDuty, by its Events API v2."""

    type: Literal["pagerduty"]
    routing_key: SecretReference
    """The integration key of the service."""
    url: Url = PAGERDUTY_URL
    """The API; in the EU https://events.eu.pagerduty.com/v2/enqueue."""


class WebhookTarget(ObjectModel):
    """Anything that takes signed JSON, by the rules of Standard Webhooks."""

    type: Literal["webhook"]
    url: Url | SecretReference
    """Where it is posted."""
    signing_key: SecretReference
    """What signatures are made with: `whsec_` and bytes in base64, or any text."""
    authorization: SecretReference | None = None
    """The value of the header Authorization, such as `Bearer …`."""
    headers: Annotated[Mapping[_HeaderName, _HeaderValue], Field(max_length=20)] = {}
    """Further headers, which are no secrets."""


class AlertmanagerTarget(ObjectModel):
    """An Alertmanager of Prometheus, by version 2 of its API."""

    type: Literal["alertmanager"]
    url: Url
    """Where it is, without `/api/v2`."""
    authorization: SecretReference | None = None
    """The value of the header Authorization, such as `Bearer …`."""
    resolve_after_s: Annotated[int, Field(ge=60, le=30 * 86_400)] = 86_400
    """For so many seconds after its last event an alert counts as active there if its end does not get through."""


Target = Annotated[SlackTarget | EmailTarget | PagerDutyTarget | WebhookTarget | AlertmanagerTarget, Field(discriminator="type")]
ToldOf = Literal["fired", "repeated", "acknowledged", "resolved"]


class ChannelSettings(ObjectModel):
    """A way to tell people or services of alerts, for rules to name."""

    name: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(printable)]
    """What people call it."""
    enabled: bool = True
    """Whether anything is sent."""
    target: Target
    """Who is told, and how."""
    events: Annotated[tuple[ToldOf, ...], Field(min_length=1)] = ("fired", "repeated", "acknowledged", "resolved")
    """What is told of."""
    least_severity: Severity = "info"
    """Only rules of this severity and worse are told of."""
    comment: Annotated[str, Field(max_length=1000)] = ""
    """What it is for, for people."""

    def wants(self, event: AlertEvent) -> bool:
        """Whether its people are to be told of an event."""
        if event.what == "test":
            return True
        if event.what == "acknowledged" and self.target.type == "alertmanager":
            return False  # it knows of no such state
        return event.what in self.events and SEVERITIES.index(event.severity) <= SEVERITIES.index(self.least_severity)


CHANNELS: Final = Kind("channel", ChannelSettings, lambda channel: channel.name)
"""Channels among the objects of a workspace."""
