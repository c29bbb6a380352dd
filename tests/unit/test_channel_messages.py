"""What is sent to each service has that service's published form, whatever texts an event brings."""

from __future__ import annotations

import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import jsonschema
import pytest
from hypothesis import given, settings
from standardwebhooks.webhooks import Webhook

from collector.monitor.alerts.events import AlertEvent, Evidence
from collector.monitor.channels.alertmanager import alertmanager_request
from collector.monitor.channels.mail import mail_message
from collector.monitor.channels.pagerduty import pagerduty_requests
from collector.monitor.channels.slack import slack_request
from collector.monitor.channels.webhook import webhook_request
from collector.monitor.channels.wording import iso, wording
from tests.support.alert_events import ALERT_EVENTS, AT, TRACE, alert_event
from tests.support.channel_receivers import ALERTMANAGER, PAGERDUTY, SLACK

KEY = "0123456789abcdef0123456789abcdef"
URL = "https://traces.example/{workspace}/{trace_id}"
TRACE_URL = f"https://traces.example/default/{TRACE}"
SIGNING_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def read_mail(event: AlertEvent, trace_url: str = "") -> EmailMessage:
    message = mail_message(event, ["ops@example.com", "dev@example.com"], "Span House <alerts@example.com>", trace_url)
    return message_from_bytes(message.as_bytes(), _class=EmailMessage, policy=policy.default)


@settings(max_examples=40)
@given(ALERT_EVENTS)
def test_every_event_has_the_form_that_services_ask_for(event: AlertEvent) -> None:
    jsonschema.validate(json.loads(slack_request(event, "https://hooks.example", URL).body), SLACK)
    for request in pagerduty_requests(event, KEY, "https://events.example", URL):
        jsonschema.validate(json.loads(request.body), PAGERDUTY)
    jsonschema.validate(json.loads(alertmanager_request(event, "http://alerts.example", 3600, "", URL).body), ALERTMANAGER)
    webhook = webhook_request(event, "https://hook.example", "key", 1, {})
    assert json.loads(webhook.body)["data"]["ruleName"] == event.rule_name
    mail = read_mail(event, URL)
    assert {part.get_content_type() for part in mail.walk()} == {"multipart/alternative", "text/plain", "text/html"}
    assert len(mail.get_all("Subject", [])) == len(mail.get_all("To", [])) == 1


def test_slack_shows_what_happened_with_links_to_traces_and_nothing_that_slack_would_interpret() -> None:
    event = alert_event(rule_name="a <!channel> & <b>", annotations={"who": "<@U123>"})
    message = json.loads(slack_request(event, "https://hooks.example", URL).body)
    header, summary, facts, evidence = message["blocks"]
    assert header["text"] == {"type": "plain_text", "text": "Firing: a <!channel> & <b> (service=checkout)"}
    assert summary["text"]["text"] == ":red_circle: p99 of durations above 0.5 s: 0.8123 s\n*who*: &lt;@U123&gt;"
    assert facts["fields"][0]["text"] == "*Severity*\ncritical"
    assert evidence["text"]["text"] == (
        f"• service=checkout: 0.8123 s of 120 spans <{TRACE_URL}|{TRACE[:8]}>\n• service=cart: no spans"
    )
    assert message["text"].startswith("Firing: a &lt;!channel&gt; &amp; &lt;b&gt; (service=checkout)")


@pytest.mark.parametrize(
    ("what", "actions"),
    [
        ("fired", ["trigger"]),
        ("repeated", ["trigger"]),
        ("acknowledged", ["acknowledge"]),
        ("resolved", ["resolve"]),
        ("test", ["trigger", "resolve"]),
    ],
)
def test_pagerduty_opens_acknowledges_and_closes_one_incident(what: str, actions: list[str]) -> None:
    documents = [
        json.loads(request.body) for request in pagerduty_requests(alert_event(what=what), KEY, "https://e.example", URL)
    ]
    assert [document["event_action"] for document in documents] == actions
    assert {document["dedup_key"] for document in documents} == {"rule/alert"}
    assert all(("payload" in document) == (document["event_action"] == "trigger") for document in documents)
    if actions == ["trigger"]:
        payload = documents[0]["payload"]
        assert (payload["severity"], payload["source"], payload["component"]) == ("critical", "checkout", "checkout")
        assert payload["timestamp"] == iso(AT) == "2026-11-18T11:06:40.123Z"
        assert documents[0]["links"] == [{"href": TRACE_URL, "text": f"Trace {TRACE}"}]


def test_pagerduty_gets_one_key_for_an_incident_however_long_its_name_is() -> None:
    long = [
        json.loads(pagerduty_requests(alert_event(incident="x" * 300, what=what), KEY, "https://e.example")[0].body)["dedup_key"]
        for what in ("fired", "resolved")
    ]
    assert long[0] == long[1]
    assert len(long[0]) == 64


def test_a_webhook_is_signed_as_standard_webhooks_has_it() -> None:
    import time

    at_s = int(time.time())
    request = webhook_request(alert_event(), "https://hook.example", SIGNING_KEY, at_s, {"X-Team": "shop"}, "Bearer token")
    document = Webhook(SIGNING_KEY).verify(request.body, dict(request.headers))
    assert document["type"] == "alert.fired"
    assert document["data"]["evidence"][0] == {
        "labels": {"service": "checkout"},
        "value": 0.81234,
        "spans": 120.0,
        "traceIds": [TRACE],
    }
    assert (document["data"]["atUnixNano"], document["data"]["threshold"]) == (str(AT), 0.5)
    assert (request.headers["webhook-id"], request.headers["X-Team"], request.headers["Authorization"]) == (
        "rule/alert/1",
        "shop",
        "Bearer token",
    )
    # A key that is any text is taken as it is: the specification's own form of it is base64.
    plain = webhook_request(alert_event(), "https://hook.example", "any text", at_s, {})
    assert Webhook(b"any text").verify(plain.body, dict(plain.headers))["type"] == "alert.fired"


def test_alertmanager_tells_alerts_apart_by_the_same_labels_from_beginning_to_end() -> None:
    group = {"http.route": "/cart", "9": "nine", "service": "checkout", "empty": ""}
    alerts = [
        json.loads(alertmanager_request(alert_event(what=what, group=group), "http://a.example/", 3600, "Bearer x", URL).body)[0]
        for what in ("fired", "repeated", "resolved")
    ]
    assert alerts[0]["labels"] == alerts[1]["labels"] == alerts[2]["labels"]
    assert alerts[0]["labels"] == {
        "alertname": "Checkout is slow",
        "workspace": "default",
        "severity": "critical",
        "service": "checkout",
        "team": "shop",
        "http_route": "/cart",
        "_9": "nine",
    }
    assert [alert["endsAt"] for alert in alerts] == [iso(AT + 3600 * 10**9), iso(AT + 3600 * 10**9), iso(AT)]
    assert alerts[0]["annotations"]["traces"] == TRACE_URL
    assert alertmanager_request(alert_event(), "http://a.example/", 3600).url == "http://a.example/api/v2/alerts"


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_mail_says_the_same_as_text_and_as_html_and_belongs_to_one_conversation() -> None:
    event = alert_event(rule_name="slow\r\nBcc: evil@example.com", annotations={"<script>": "<img src=x onerror=alert(1)>"})
    mail = read_mail(event, URL)
    assert mail["Subject"] == "[critical] Firing: slow Bcc: evil@example.com (service=checkout)"
    assert (mail["From"], mail["To"]) == ("Span House <alerts@example.com>", "ops@example.com, dev@example.com")
    assert "Bcc" not in mail
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    for wanted in ("p99 of durations above 0.5 s: 0.8123 s", "Workspace: default", "service=checkout: 0.8123 s", TRACE_URL):
        assert wanted in text.get_content()
    page = _Texts()
    page.feed(html.get_content())
    assert not {"script", "img"} & set(page.tags)
    assert page.links == [TRACE_URL]
    for wanted in ("p99 of durations above 0.5 s: 0.8123 s", "<img src=x onerror=alert(1)>", "service=checkout: 0.8123 s"):
        assert wanted in page.text
    again, end, other = (
        read_mail(event),
        read_mail(alert_event(what="resolved", key="2")),
        read_mail(alert_event(incident="other")),
    )
    assert again["Message-ID"] == mail["Message-ID"] != end["Message-ID"]
    assert mail["References"] == end["References"] == end["In-Reply-To"] != other["References"]


def test_words_fit_what_happened() -> None:
    assert wording(alert_event()).title == "Firing: Checkout is slow (service=checkout)"
    assert wording(alert_event(what="repeated", group={})).title == "Still firing: Checkout is slow"
    assert wording(alert_event(what="acknowledged", by="ann")).summary == "ann looks after it: p99 of durations above 0.5 s"
    quiet = alert_event(what="resolved", evidence=(Evidence({}, 0.1, 5.0),))
    assert wording(quiet).summary == "It is over: p99 of durations above 0.5 s, now at 0.1 s"
    assert wording(alert_event(what="test")).summary == "This is a test: nothing is wrong."
    facts = dict(wording(alert_event(by="ann", note="mine", flapping=True)).facts)
    assert (facts["By"], facts["Note"], facts["Since"]) == ("ann", "mine", "2026-11-18 11:04:40 UTC")
    assert "Flapping" in facts
