"""E-mail: what people find in their inbox, as plain text and as HTML.

All messages of one incident are one conversation, and a message that is sent again has the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from html import escape
from typing import Final

from collector.monitor.alerts.events import AlertEvent
from collector.monitor.channels.wording import Line, Wording, cut, wording

_MOST_SUBJECT: Final = 200


def mail_message(event: AlertEvent, to: Sequence[str], sender: str, trace_url: str = "") -> EmailMessage:
    """The message to send.

    Args:
        to: addresses.
        sender: an address, or `Name <address>`.
    """
    words = wording(event, trace_url)
    name, address = parseaddr(sender)
    domain = address.rpartition("@")[2]
    message = EmailMessage(SMTP)
    message["Subject"] = cut(f"[{event.severity}] {words.title}", _MOST_SUBJECT)
    message["From"] = Address(name, addr_spec=address)
    message["To"] = [Address(addr_spec=each) for each in to]
    message["Date"] = datetime.fromtimestamp(event.at // 10**9, UTC)
    message["Message-ID"] = _id(event.key, domain)
    conversation = _id(event.incident, domain)
    message["In-Reply-To"] = message["References"] = conversation
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(words))
    message.add_alternative(_html(words), subtype="html")
    return message


def _id(text: str, domain: str) -> str:
    return f"<{hashlib.sha256(text.encode()).hexdigest()[:32]}@{domain}>"


def _text(words: Wording) -> str:
    parts = [
        words.summary,
        "\n".join(f"{name}: {value}" for name, value in words.annotations),
        "\n".join(f"{name}: {value}" for name, value in words.facts),
        "\n".join(_text_line(line) for line in words.evidence),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _text_line(line: Line) -> str:
    return "\n    ".join((f"- {line.text}", *(url or f"trace {trace_id}" for trace_id, url in line.traces)))


def _html(words: Wording) -> str:
    rows = "".join(_row(name, value) for name, value in (*words.annotations, *words.facts))
    items = "".join(f"<li>{escape(line.text)} {_html_traces(line)}</li>" for line in words.evidence)
    evidence = f"<ul>{items}</ul>" if items else ""
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{escape(words.title)}</title></head>'
        f'<body style="font-family:sans-serif"><h2>{escape(words.title)}</h2><p>{escape(words.summary)}</p>'
        f'<table cellpadding="4">{rows}</table>{evidence}</body></html>\n'
    )


def _row(name: str, value: str) -> str:
    return f'<tr><th align="left" valign="top">{escape(name)}</th><td>{escape(value)}</td></tr>'


def _html_traces(line: Line) -> str:
    return " ".join(
        f'<a href="{escape(url)}">{escape(trace_id)}</a>' if url else f"<code>{escape(trace_id)}</code>"
        for trace_id, url in line.traces
    )
