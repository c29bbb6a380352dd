"""Webhooks: JSON that is signed by the rules of Standard Webhooks, for anything that people write themselves.

Source: the specification of Standard Webhooks: the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, and what a
signature is made of.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

import orjson

from collector.monitor.alerts.events import AlertEvent
from collector.monitor.channels.request import HttpRequest
from collector.monitor.channels.wording import iso, wording

_KEY_PREFIX: Final = "whsec_"


def webhook_request(
    event: AlertEvent, url: str, signing_key: str, at_s: int, headers: Mapping[str, str], authorization: str = ""
) -> HttpRequest:
    """The event with its signature.

    Args:
        at_s: of this attempt, seconds since 1970: receivers refuse what is old.
        headers: of the channel.
        authorization: value of the header; empty for none.
    """
    body = orjson.dumps({"type": f"alert.{event.what}", "timestamp": iso(event.at), "data": _data(event)})
    signed = {
        "webhook-id": event.key,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{signature(signing_key, event.key, at_s, body)}",
    }
    return HttpRequest(url, body, {**headers, **signed, **({"Authorization": authorization} if authorization else {})})


def signature(key: str, event_key: str, at_s: int, body: bytes) -> str:
    """HMAC-SHA256 of id, time and body, joined by dots, in base64."""
    digest = hmac.digest(_key_bytes(key), f"{event_key}.{at_s}.".encode() + body, hashlib.sha256)
    return base64.b64encode(digest).decode()


def _key_bytes(key: str) -> bytes:
    if key.startswith(_KEY_PREFIX):
        try:
            return base64.b64decode(key.removeprefix(_KEY_PREFIX), validate=True)
        except binascii.Error:
            pass  # a text that happens to begin like that
    return key.encode()


def _data(event: AlertEvent) -> dict[str, object]:
    words = wording(event)
    return {"title": words.title, "summary": words.summary, **event.as_json()}
