"""Sends mail by the server of the configuration, and tells what became of each message."""

from __future__ import annotations

import asyncio
import ssl
from email.message import EmailMessage
from typing import Final

import aiosmtplib

from collector.monitor.channels.request import MOST_CHARACTERS, Attempt
from config.notifications import Smtp

_FOR_GOOD: Final = 500
"""From this code on a refusal is for good."""


class SmtpSender:
    """Sends messages, each by a connection of its own.

    Args:
        settings: of the server.
        timeout_s: limit of one message.
        tls: for encryption.
    """

    def __init__(self, settings: Smtp, timeout_s: float, tls: ssl.SSLContext) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._tls = tls

    @property
    def sender(self) -> str:
        """Who mail comes from."""
        return self._settings.sender

    async def send(self, message: EmailMessage) -> Attempt:
        """Send a message once. Never raises for what the server does."""
        settings = self._settings
        try:
            async with asyncio.timeout(self._timeout_s):
                refused, answer = await aiosmtplib.send(
                    message,
                    hostname=settings.address.host,
                    port=settings.address.port,
                    username=settings.username or None,
                    password=settings.password.get_secret_value() or None,
                    timeout=self._timeout_s,
                    use_tls=settings.encryption == "tls",
                    start_tls=settings.encryption == "starttls",
                    tls_context=None if settings.encryption == "none" else self._tls,
                )
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            return Attempt("timeout", f"The mail server did not take it within {self._timeout_s:g} s.", again=True)
        except aiosmtplib.SMTPRecipientsRefused as error:
            first = error.recipients[0]
            text = "; ".join(f"{each.recipient}: {each.message}" for each in error.recipients)
            return _refusal(first.code, text, again=any(each.code < _FOR_GOOD for each in error.recipients))
        except aiosmtplib.SMTPAuthenticationError as error:
            return Attempt("unauthenticated", error.message[:MOST_CHARACTERS], error.code, again=True)
        except aiosmtplib.SMTPResponseException as error:
            return _refusal(error.code, error.message, again=error.code < _FOR_GOOD)
        except (aiosmtplib.SMTPException, OSError) as error:
            reason = "certificate" if isinstance(error.__cause__ or error, ssl.SSLError) else "unreachable"
            return Attempt(reason, " ".join(str(error).split())[:MOST_CHARACTERS], again=True)
        if refused:
            told = "; ".join(f"{recipient} was refused: {response.message}" for recipient, response in refused.items())
            answer = f"{answer}; {told}"
        return Attempt("", " ".join(answer.split())[:MOST_CHARACTERS], 250)


def _refusal(code: int, text: str, *, again: bool) -> Attempt:
    reason = "server_error" if again else "rejected"
    return Attempt(reason, " ".join(text.split())[:MOST_CHARACTERS], code, again)
