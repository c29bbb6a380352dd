"""Channels against the other sides: what is taken, what is tried again, and what is never sent."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr, ValidationError
from standardwebhooks.webhooks import Webhook

from collector.egress.policy import for_notifications
from collector.monitor.channels.http_sending import HttpSender
from collector.monitor.channels.request import Attempt
from collector.monitor.channels.sender import Sender
from collector.monitor.channels.settings import ChannelSettings
from collector.monitor.channels.smtp_sending import SmtpSender
from collector.monitor.secrets import NamedSecrets
from collector.tls import client_context
from config.notifications import Smtp
from config.secrets import Secret
from config.tls import ClientTls
from tests.support.alert_events import alert_event
from tests.support.certificates import Authority
from tests.support.channel_receivers import Receiver, receiving
from tests.support.mail_server import MailServer, mail_server

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
SIGNING_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TIMEOUT_S = 10.0


def channel(target: Mapping[str, Any], **others: Any) -> ChannelSettings:
    return ChannelSettings.model_validate_json(json.dumps({"name": "ops", "target": target, **others}))


@dataclass
class Bench:
    """Senders on this machine.

    Attributes:
        receiver: the other side.
        secrets: of the configuration.
        stack: closes what was opened.
    """

    receiver: Receiver
    stack: AsyncExitStack
    secrets: dict[str, Secret] = field(default_factory=dict)

    def sender(
        self,
        allowed: Sequence[str] = ("127.0.0.1", "localhost"),
        *,
        timeout_s: float = TIMEOUT_S,
        smtp: Smtp | None = None,
        tls: ssl.SSLContext | None = None,
        recipients: Sequence[str] = ("*",),
        lookup: Callable[..., Any] | None = None,
    ) -> Sender:
        policy = for_notifications(allowed, "extensions.alerting.notifications.allowed_destinations")
        found = {} if lookup is None else {"lookup": lookup}
        http = HttpSender(policy, timeout_s, tls, **found)
        mail = None if smtp is None else SmtpSender(smtp, timeout_s, client_context(smtp.tls, "tls"))
        secrets = NamedSecrets(self.secrets, "extensions.alerting.secrets")
        made = Sender(http, policy, mail, recipients, secrets, "", time.time_ns, **found)
        self.stack.push_async_callback(made.close)
        return made

    def slack(self, **others: Any) -> ChannelSettings:
        return channel({"type": "slack", "url": {"secret": "slack"}}, **others)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving())
        values = {
            "slack": f"{receiver.url}/services/T0/B0/secret-path",
            "pager": ROUTING_KEY,
            "signing": SIGNING_KEY,
            "token": "Bearer s3cr3t",
        }
        secrets = {name: Secret(value=SecretStr(value)) for name, value in values.items()}
        yield Bench(receiver, stack, secrets)


def targets(url: str) -> list[dict[str, Any]]:
    return [
        {"type": "slack", "url": {"secret": "slack"}},
        {"type": "pagerduty", "routingKey": {"secret": "pager"}, "url": f"{url}/v2/enqueue"},
        {
            "type": "webhook",
            "url": f"{url}/hook",
            "signingKey": {"secret": "signing"},
            "authorization": {"secret": "token"},
            "headers": {"X-Team": "shop"},
        },
        {"type": "alertmanager", "url": url, "authorization": {"secret": "token"}},
    ]


async def test_every_service_takes_what_it_is_told_from_beginning_to_end(bench: Bench) -> None:
    sender = bench.sender()
    for target in targets(bench.receiver.url):
        settings = channel(target)
        assert await sender.fault("default", settings) == ""
        for number, what in enumerate(("fired", "repeated", "acknowledged", "resolved", "test")):
            event = alert_event(what=what, key=f"key-{number}")
            if settings.wants(event):
                attempt = await sender.attempt(event, settings.target)
                assert attempt.delivered, attempt
                assert attempt.status in (200, 202)
                assert bench.receiver.received[-1].headers["Idempotency-Key"] == f"key-{number}"
    assert bench.receiver.faults == []
    came = [received.service for received in bench.receiver.received]
    assert {service: came.count(service) for service in came} == {"slack": 5, "pagerduty": 6, "webhook": 5, "alertmanager": 4}
    hook = next(received for received in bench.receiver.received if received.service == "webhook")
    assert (hook.headers["Authorization"], hook.headers["X-Team"]) == ("Bearer s3cr3t", "shop")
    assert Webhook(SIGNING_KEY).verify(hook.body, hook.headers) == hook.document


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ((200, {}, "ok"), Attempt("", "ok", 200)),
        ("half", Attempt("", "half of", 200)),
        ((500, {}, "rollup_error"), Attempt("server_error", "rollup_error", 500, again=True)),
        ((503, {"Retry-After": "17"}, ""), Attempt("server_error", "HTTP status 503", 503, again=True, delay_s=17.0)),
        ((429, {"Retry-After": "30"}, "rate_limited"), Attempt("throttled", "rate_limited", 429, again=True, delay_s=30.0)),
        ((429, {"Retry-After": "soon"}, "rate_limited"), Attempt("throttled", "rate_limited", 429, again=True)),
        ((404, {}, "no_service"), Attempt("rejected", "no_service", 404)),
        ((410, {"Retry-After": "30"}, "channel_is_archived"), Attempt("rejected", "channel_is_archived", 410)),
        ((400, {}, "x" * 100_000), Attempt("rejected", "x" * 500, 400)),
        ((400, {}, "no such /services/T0/B0/secret-path here"), Attempt("rejected", "no such *** here", 400)),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value[0]) if isinstance(value, tuple) else None,
)
async def test_what_the_other_side_answers_says_whether_it_is_tried_again(bench: Bench, step: Any, expected: Attempt) -> None:
    sender = bench.sender()
    bench.receiver.script = [step]
    assert await sender.attempt(alert_event(), bench.slack().target) == expected
    # What an answer that broke off has left behind is not taken for the start of the next one.
    assert (await sender.attempt(alert_event(), bench.slack().target)).answer == "ok"


async def test_connections_that_fail_are_tried_again(bench: Bench) -> None:
    bench.receiver.script = ["drop"]
    attempt = await bench.sender().attempt(alert_event(), bench.slack().target)
    assert (attempt.reason, attempt.again) == ("connection_lost", True)

    bench.receiver.script = ["hang"]
    attempt = await bench.sender(timeout_s=0.2).attempt(alert_event(), bench.slack().target)
    assert (attempt.reason, attempt.answer, attempt.again) == ("timeout", "There was no answer within 0.2 s.", True)

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        target = channel({"type": "alertmanager", "url": f"http://127.0.0.1:{nobody.getsockname()[1]}"}).target
        attempt = await bench.sender().attempt(alert_event(), target)
    assert (attempt.reason, attempt.again) == ("unreachable", True)

    async def nowhere(*_: Any) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    unknown = channel({"type": "alertmanager", "url": "http://alerts.example"})
    sender = bench.sender(lookup=nowhere)
    assert await sender.fault("default", unknown) == ""
    attempt = await sender.attempt(alert_event(), unknown.target)
    assert (attempt.reason, attempt.again) == ("unreachable", True)


async def test_redirects_are_not_followed(bench: Bench) -> None:
    for status in (301, 302, 303, 307, 308):
        bench.receiver.script = [(status, {"Location": f"{bench.receiver.url}/hook"}, "")]
        attempt = await bench.sender().attempt(alert_event(), bench.slack().target)
        assert (attempt.reason, attempt.status, attempt.again) == ("redirected", status, False)
    assert {received.service for received in bench.receiver.received} == {"slack"}
    assert len(bench.receiver.received) == 5


async def test_nothing_is_sent_to_internal_addresses_unless_they_are_allowed(bench: Bench) -> None:
    async def inside(*_: Any) -> Sequence[str]:
        return ["8.8.8.8", "10.0.0.7"]

    sender = bench.sender(allowed=(), lookup=inside)
    urls = [bench.receiver.url, "http://169.254.169.254", "http://[::ffff:127.0.0.1]", "http://innocent.example"]
    for url in urls:
        settings = channel({"type": "alertmanager", "url": url})
        attempt = await sender.attempt(alert_event(), settings.target)
        assert (attempt.reason, attempt.again) == ("refused", False)
        assert "name it in extensions.alerting.notifications.allowed_destinations to allow it" in attempt.answer
        assert await sender.fault("default", settings) == attempt.answer.removesuffix(".")
    attempt = await sender.attempt(alert_event(), bench.slack().target)
    assert attempt.reason == "refused"
    assert "secret-path" not in attempt.answer
    assert bench.receiver.received == []
    for url in ("http://2130706433/", "http://0x7f.1/", "ftp://example.com/", "http://user@example.com/"):
        with pytest.raises(ValidationError, match="must "):
            channel({"type": "alertmanager", "url": url})


async def test_secrets_are_those_of_the_workspace_and_go_where_they_may(bench: Bench, tmp_path: Path) -> None:
    bench.secrets["foreign"] = Secret(value=SecretStr("Bearer foreign"), workspaces=("other",))
    bench.secrets["bound"] = Secret(value=SecretStr("Bearer bound"), destinations=("alerts.example:443",))
    bench.secrets["file"] = Secret(file=str(tmp_path / "secret"))
    bench.secrets["broken"] = Secret(value=SecretStr("Bearer \r\nX: y"))
    sender = bench.sender()

    def target(secret: str) -> ChannelSettings:
        return channel({"type": "alertmanager", "url": bench.receiver.url, "authorization": {"secret": secret}})

    for name, words in (
        (
            "foreign",
            "foreign is no secret that this workspace may use; there are: slack, pager, signing, token, bound, file, broken",
        ),
        ("tokem", "tokem is no secret that this workspace may use; did you mean token?"),
        ("bound", f"the secret bound may not be sent to {bench.receiver.url.removeprefix('http://')}"),
        ("file", "the file of the secret file cannot be read: FileNotFoundError"),
        ("broken", "the secret broken must be of visible ASCII characters to be sent"),
    ):
        assert await sender.fault("default", target(name)) == words
        assert await sender.attempt(alert_event(), target(name).target) == Attempt("secret", f"{words}.", again=True)
    assert bench.receiver.received == []
    assert (await sender.attempt(alert_event(workspace="other"), target("foreign").target)).delivered
    for value in ("Bearer one", "Bearer two"):
        (tmp_path / "secret").write_text(f"{value}\n")
        assert (await sender.attempt(alert_event(), target("file").target)).delivered
        assert bench.receiver.received[-1].headers["Authorization"] == value


async def test_certificates_are_checked_and_authorities_can_be_added(bench: Bench, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    identity = authority.issue("localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity.cert_file, identity.key_file)
    application = web.Application()
    application.router.add_post("/{path:.*}", bench.receiver.answer)
    server = TestServer(application, scheme="https", host="localhost")
    await server.start_server(ssl=context)
    try:
        target = channel({"type": "alertmanager", "url": f"https://localhost:{server.port}"}).target
        attempt = await bench.sender().attempt(alert_event(), target)
        assert (attempt.reason, attempt.again) == ("certificate", True)
        assert f"localhost:{server.port}: its certificate is not accepted" in attempt.answer
        assert bench.receiver.received == []
        trusting = ClientTls(ca_file=str(authority.file), include_system_ca_certs_pool=True)
        attempt = await bench.sender(tls=client_context(trusting, "tls")).attempt(alert_event(), target)
        assert attempt.delivered, attempt
    finally:
        await server.close()


def smtp(server: MailServer, **others: Any) -> Smtp:
    return Smtp(endpoint=f"localhost:{server.port}", sender="Span House <alerts@example.com>", **others)


MAIL = {"type": "email", "to": ["ops@example.com", "dev@example.com"]}


async def test_mail_goes_encrypted_with_a_password_and_in_clear_only_where_that_is_said(bench: Bench, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    identity = authority.issue("localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity.cert_file, identity.key_file)
    trusted = ClientTls(ca_file=str(authority.file))
    users = {"spanhouse": "pässword"}
    login = {"username": "spanhouse", "password": SecretStr("pässword")}
    target = channel(MAIL).target
    for encryption in ("starttls", "tls"):
        async with mail_server(context, implicit=encryption == "tls", users=users) as server:
            sender = bench.sender(smtp=smtp(server, encryption=encryption, tls=trusted, **login))
            attempt = await sender.attempt(alert_event(), target)
            assert (attempt.reason, attempt.status) == ("", 250), attempt
            assert (server.recipients, server.encrypted) == ([["ops@example.com", "dev@example.com"]], [True])
            assert server.messages[0]["Subject"] == "[critical] Firing: Checkout is slow (service=checkout)"

            unknown = bench.sender(smtp=smtp(server, encryption=encryption, **login))
            attempt = await unknown.attempt(alert_event(), target)
            assert (attempt.reason, attempt.again) == ("certificate", True), attempt
            wrong = {"username": "spanhouse", "password": SecretStr("wrong")}
            attempt = await bench.sender(smtp=smtp(server, encryption=encryption, tls=trusted, **wrong)).attempt(
                alert_event(), target
            )
            assert (attempt.reason, attempt.status, attempt.again) == ("unauthenticated", 535, True)
            assert len(server.messages) == 1
    async with mail_server() as server:
        # Somebody on the way who hides that the server can encrypt gets nothing.
        attempt = await bench.sender(smtp=smtp(server)).attempt(alert_event(), target)
        assert (attempt.reason, server.messages) == ("unreachable", [])
        assert (await bench.sender(smtp=smtp(server, encryption="none")).attempt(alert_event(), target)).delivered
        assert server.encrypted == [False]


async def test_what_a_mail_server_refuses_is_told_and_tried_again_where_that_may_help(bench: Bench) -> None:
    target = channel(MAIL).target
    async with mail_server() as server:
        sender = bench.sender(smtp=smtp(server, encryption="none"))
        server.refusals = {"dev@example.com": "550 No such user"}
        attempt = await sender.attempt(alert_event(), target)
        assert attempt.delivered
        assert "dev@example.com was refused" in attempt.answer
        assert server.recipients == [["ops@example.com"]]
        server.refusals["ops@example.com"] = "550 No such user"
        attempt = await sender.attempt(alert_event(), target)
        assert (attempt.reason, attempt.status, attempt.again) == ("rejected", 550, False)
        assert "ops@example.com: No such user" in attempt.answer
        server.refusals["ops@example.com"] = "451 Greylisted"
        attempt = await sender.attempt(alert_event(), target)
        assert (attempt.reason, attempt.again) == ("server_error", True)
        server.refusals = {}
        server.answers = ["452 Disk full", "554 Spam"]
        assert await sender.attempt(alert_event(), target) == Attempt("server_error", "Disk full", 452, again=True)
        assert await sender.attempt(alert_event(), target) == Attempt("rejected", "Spam", 554)
    attempt = await sender.attempt(alert_event(), target)
    assert (attempt.reason, attempt.again) == ("unreachable", True)


async def test_mail_goes_to_those_alone_who_may_get_it(bench: Bench) -> None:
    async with mail_server() as server:
        sender = bench.sender(smtp=smtp(server, encryption="none"), recipients=("ops@*", "*@Example.org"))
        settings = channel(MAIL)
        words = "extensions.alerting.smtp.allowed_recipients allows no mail to dev@example.com"
        assert await sender.fault("default", settings) == words
        assert await sender.attempt(alert_event(), settings.target) == Attempt("refused", f"{words}.")
        allowed = channel({"type": "email", "to": ["OPS@example.com", "x@example.ORG"]})
        assert await sender.fault("default", allowed) == ""
        assert (await sender.attempt(alert_event(), allowed.target)).delivered
    words = "the collector knows no mail server: extensions.alerting.smtp in its configuration names one"
    assert await bench.sender().fault("default", channel(MAIL)) == words
    assert await bench.sender().attempt(alert_event(), channel(MAIL).target) == Attempt("refused", f"{words}.")


def test_a_channel_hears_of_what_it_wants() -> None:
    url = {"type": "alertmanager", "url": "https://alerts.example"}
    assert not channel(url).wants(alert_event(what="acknowledged"))
    few = channel(url, events=["resolved"], leastSeverity="error")
    assert [
        severity for severity in ("critical", "error", "warning") if few.wants(alert_event(what="resolved", severity=severity))
    ] == [
        "critical",
        "error",
    ]
    assert not few.wants(alert_event(what="fired"))
    assert few.wants(alert_event(what="test", severity="info"))
    for wrong in (
        {"type": "email", "to": []},
        {"type": "email", "to": ["Ops <ops@example.com>"]},
        {"type": "email", "to": ["a@b\r\nBcc: c@d"]},
        {"type": "slack", "url": "https://hooks.slack.com/services/T/B/x"},
        {"type": "webhook", "url": "https://a.example", "signingKey": {"secret": "k"}, "headers": {"Host": "b"}},
        {"type": "webhook", "url": "https://a.example", "signingKey": {"secret": "k"}, "headers": {"X": "a\r\nY: b"}},
        {"type": "telegram"},
    ):
        with pytest.raises(ValidationError):
            channel(wrong)
