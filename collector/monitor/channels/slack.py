"""Slack: messages for incoming webhooks, of the blocks of its Block Kit.

Sources: "Sending messages using incoming webhooks", "Blocks" and "Formatting text for app surfaces" in Slack's documentation: the
limits below, and what is to be escaped.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from collector.monitor.alerts.events import AlertEvent
from collector.monitor.channels.request import HttpRequest
from collector.monitor.channels.wording import Line, Wording, cut, wording

_MOST_HEADER: Final = 150
_MOST_TEXT: Final = 3000
_MOST_FIELD: Final = 2000
_MOST_FIELDS: Final = 10
_MOST_LINES: Final = 10
_MARKS: Final = {
    "critical": ":red_circle:",
    "error": ":red_circle:",
    "warning": ":large_yellow_circle:",
    "info": ":large_blue_circle:",
}


def slack_request(event: AlertEvent, url: str, trace_url: str = "") -> HttpRequest:
    """The message for an incoming webhook."""
    words = wording(event, trace_url)
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(words.title, _MOST_HEADER)}},
        _section(_marked(event, words)),
        {"type": "section", "fields": [_field(name, value) for name, value in words.facts[:_MOST_FIELDS]]},
    ]
    if words.evidence:
        blocks.append(_section(_within(map(_evidence, words.evidence[:_MOST_LINES]))))
    # What notifications and screen readers show instead.
    return HttpRequest(
        url, orjson.dumps({"text": _escaped(cut(f"{words.title}: {words.summary}", _MOST_TEXT // 5)), "blocks": blocks})
    )


def _marked(event: AlertEvent, words: Wording) -> str:
    mark = ":white_check_mark:" if event.what == "resolved" else _MARKS[event.severity]
    texts = (f"*{_escaped(name)}*: {_escaped(value)}" for name, value in words.annotations)
    return _within((f"{mark} {_escaped(words.summary)}", *texts))


def _evidence(line: Line) -> str:
    traces = (f"<{_escaped(url)}|{trace_id[:8]}>" if url else f"`{trace_id}`" for trace_id, url in line.traces)
    return " ".join((f"• {_escaped(line.text)}", *traces))


def _within(texts: Any) -> str:
    """As many of the texts, a line each, as a block may hold; the first one is cut if it must be."""
    kept = ""
    for text in texts:
        if not kept:
            kept = cut(text, _MOST_TEXT)
        elif len(kept) + len(text) + 1 <= _MOST_TEXT:
            kept += f"\n{text}"
    return kept


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _field(name: str, value: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": cut(f"*{name}*\n{_escaped(value)}", _MOST_FIELD)}


def _escaped(text: str) -> str:
    """A text in which nothing is a link, a mention or a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
