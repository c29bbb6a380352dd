"""Tells the other side of a channel of an event, once: secrets are looked up, a request is made, and sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from collector.egress.destination import Destination, EgressRefused, read_url
from collector.egress.policy import Policy
from collector.egress.resolving import Lookup, resolve, system_lookup
from collector.monitor.alerts.events import AlertEvent
from collector.monitor.channels.alertmanager import alertmanager_request
from collector.monitor.channels.http_sending import HttpSender
from collector.monitor.channels.mail import mail_message
from collector.monitor.channels.pagerduty import pagerduty_requests
from collector.monitor.channels.request import Attempt, HttpRequest
from collector.monitor.channels.settings import (
    AlertmanagerTarget,
    ChannelSettings,
    EmailTarget,
    PagerDutyTarget,
    SecretReference,
    SlackTarget,
    Target,
    WebhookTarget,
)
from collector.monitor.channels.slack import slack_request
from collector.monitor.channels.smtp_sending import SmtpSender
from collector.monitor.channels.trial import trial
from collector.monitor.channels.webhook import webhook_request
from collector.monitor.secrets import MASK, NamedSecrets, SecretError
from config.patterns import compile_globs

_HttpTarget = SlackTarget | PagerDutyTarget | WebhookTarget | AlertmanagerTarget
_RESOLVE_S: Final = 2.0
"""So long somebody who saves a channel waits to hear that its name leads to where nothing may be sent."""


class Sender:
    """Makes attempts.

    Args:
        http: for all channels but e-mail.
        policy: where `http` may send.
        smtp: for e-mail; None where there is no mail server.
        recipients: globs of addresses that mail may be sent to.
        secrets: that channels refer to.
        trace_url: as in `config.notifications`.
        now: nanoseconds since 1970.
        lookup: finds addresses of names.
    """

    def __init__(
        self,
        http: HttpSender,
        policy: Policy,
        smtp: SmtpSender | None,
        recipients: Sequence[str],
        secrets: NamedSecrets,
        trace_url: str,
        now: Callable[[], int],
        lookup: Lookup = system_lookup,
    ) -> None:
        self._http = http
        self._policy = policy
        self._smtp = smtp
        self._recipients = compile_globs([glob.lower() for glob in recipients])
        self._secrets = secrets
        self._trace_url = trace_url
        self._now = now
        self._lookup = lookup

    async def attempt(self, event: AlertEvent, target: Target) -> Attempt:
        """Tell the other side of an event. Never raises for what that, or the configuration, makes of it."""
        used = _Used(self._secrets, event.workspace)
        try:
            if isinstance(target, EmailTarget):
                return await self._mail(event, target)
            result = await self._post(self._requests(event, target, used), event.key)
        except SecretError as error:
            # Whoever runs the collector may be about to mend it.
            return Attempt("secret", f"{error}.", again=True)
        except EgressRefused as refusal:
            return Attempt("refused", refusal.sentence)
        return replace(result, answer=used.masked(result.answer))

    async def fault(self, workspace: str, settings: ChannelSettings) -> str:
        """What is wrong with a channel that somebody is about to save, as far as that can be known; empty for nothing."""
        target = settings.target
        try:
            if isinstance(target, EmailTarget):
                return self._mail_fault(target)
            event = trial(workspace, settings.name, self._now())
            for request in self._requests(event, target, _Used(self._secrets, workspace)):
                async with asyncio.timeout(_RESOLVE_S):
                    await resolve(self._policy, Destination.of_url(read_url(request.url)), self._lookup)
        except (SecretError, EgressRefused) as error:
            return str(error)
        except OSError:
            # It has no address now, and may have one when it is needed. A time-out is one of these errors, too.
            pass
        return ""

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()

    async def _post(self, requests: Sequence[HttpRequest], key: str) -> Attempt:
        """Send requests as long as each is taken; what became of the last one that was sent."""
        for request in requests[:-1]:
            result = await self._http.post(request, key)
            if not result.delivered:
                return result
        return await self._http.post(requests[-1], key)

    def _requests(self, event: AlertEvent, target: _HttpTarget, used: _Used) -> Sequence[HttpRequest]:
        match target:
            case SlackTarget():
                return (slack_request(event, used.url(target.url), self._trace_url),)
            case PagerDutyTarget():
                key = used.sent(target.routing_key, target.url)
                return pagerduty_requests(event, key, target.url, self._trace_url)
            case WebhookTarget():
                url = target.url if isinstance(target.url, str) else used.url(target.url)
                authorization = "" if target.authorization is None else used.sent(target.authorization, url)
                key = used.value(target.signing_key)
                return (webhook_request(event, url, key, self._now() // 10**9, target.headers, authorization),)
            case AlertmanagerTarget():
                authorization = "" if target.authorization is None else used.sent(target.authorization, target.url)
                return (alertmanager_request(event, target.url, target.resolve_after_s, authorization, self._trace_url),)

    async def _mail(self, event: AlertEvent, target: EmailTarget) -> Attempt:
        fault = self._mail_fault(target)
        if fault or self._smtp is None:
            return Attempt("refused", f"{fault}.")
        return await self._smtp.send(mail_message(event, target.to, self._smtp.sender, self._trace_url))

    def _mail_fault(self, target: EmailTarget) -> str:
        if self._smtp is None:
            return "the collector knows no mail server: extensions.alerting.smtp in its configuration names one"
        refused = [address for address in target.to if not self._recipients.fullmatch(address.lower())]
        return f"extensions.alerting.smtp.allowed_recipients allows no mail to {', '.join(refused)}" if refused else ""


class _Used:
    """The secrets that one attempt uses: read anew, and hidden in what is told of it."""

    def __init__(self, secrets: NamedSecrets, workspace: str) -> None:
        self._secrets = secrets
        self._workspace = workspace
        self._values: list[str] = []

    def value(self, reference: SecretReference) -> str:
        """The secret, which stays here."""
        value = self._secrets.read(reference.secret, self._workspace)
        self._values.append(value)
        return value

    def url(self, reference: SecretReference) -> str:
        """The secret, which is the URL to send to."""
        value = self.value(reference)
        url = read_url(value)
        self._values.append(url.raw_path_qs)
        self._secrets.check_destination(reference.secret, self._workspace, Destination.of_url(url))
        return value

    def sent(self, reference: SecretReference, url: str) -> str:
        """The secret, which is sent to a URL in a header or in the body."""
        value = self.value(reference)
        self._secrets.check_destination(reference.secret, self._workspace, Destination.of_url(read_url(url)))
        if not value.isascii() or not value.isprintable():
            raise SecretError(f"the secret {reference.secret} must be of visible ASCII characters to be sent")
        return value

    def masked(self, text: str) -> str:
        """A text without the secrets."""
        for value in self._values:
            if len(value) > 1:
                text = text.replace(value, MASK)
        return text
