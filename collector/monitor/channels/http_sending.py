"""Sends requests of channels over HTTP, to places that are allowed, and tells what became of each."""

from __future__ import annotations

import ssl
from typing import Final

import aiohttp

from collector.egress.connector import GuardedConnector
from collector.egress.destination import EgressRefused, read_url
from collector.egress.policy import Policy
from collector.egress.resolving import Lookup, system_lookup
from collector.monitor.channels.request import MOST_CHARACTERS, Attempt, HttpRequest
from exporters.connecting import UNNAMED, TlsKeys, connection_trouble
from exporters.otlp.answers import retry_after_s

_RETRIED: Final = frozenset({408, 425, 429})
"""Statuses below 500 after which another attempt may do better."""
_LARGEST_ANSWER: Final = 4 * MOST_CHARACTERS
_USER_AGENT: Final = "spanhouse"


class HttpSender:
    """Sends requests. Belongs to one event loop, from its first request on.

    Args:
        policy: where may be sent.
        timeout_s: limit of one request.
        tls: for `https`; the system's authorities when None.
        tls_keys: where that is configured, for messages.
        lookup: finds addresses.
    """

    def __init__(
        self,
        policy: Policy,
        timeout_s: float,
        tls: ssl.SSLContext | None = None,
        lookup: Lookup = system_lookup,
        *,
        tls_keys: TlsKeys = UNNAMED,
    ) -> None:
        self._policy = policy
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._tls = True if tls is None else tls
        self._tls_keys = tls_keys
        self._lookup = lookup
        self._session: aiohttp.ClientSession | None = None

    async def post(self, request: HttpRequest, key: str) -> Attempt:
        """Send a request once. Never raises for what the other side does.

        Args:
            key: for receivers that tell by the header `Idempotency-Key` what they have had already.
        """
        headers = {**request.headers, "Content-Type": "application/json", "Idempotency-Key": key}
        try:
            async with self._opened().post(
                read_url(request.url),
                data=request.body,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout,
            ) as answer:
                return _judged(answer, await _start_of(answer))
        except EgressRefused as refusal:
            return Attempt("refused", refusal.sentence)
        except TimeoutError:
            return Attempt("timeout", f"There was no answer within {self._timeout.total:g} s.", again=True)
        except aiohttp.ClientConnectorError as error:
            reason = "certificate" if isinstance(error, aiohttp.ClientConnectorCertificateError) else "unreachable"
            return Attempt(reason, f"{error.host}:{error.port}: {connection_trouble(error, self._tls_keys)}", again=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Attempt("connection_lost", str(error) or type(error).__name__, again=True)

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # What is sent at once is bounded by who sends: a pool that is full would let channels wait for each other.
            connector = GuardedConnector(self._policy, self._lookup, limit=0, ssl=self._tls)
            headers = {"User-Agent": _USER_AGENT, "Accept": "application/json, text/plain, */*"}
            self._session = aiohttp.ClientSession(
                connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        return self._session


async def _start_of(answer: aiohttp.ClientResponse) -> str:
    """What an answer says, as far as it comes and is short: its status has been said before."""
    body = bytearray()
    try:
        async for part in answer.content.iter_any():
            body += part
            if len(body) >= _LARGEST_ANSWER:
                break
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    # What is left unread, or never came, cannot be what the next answer begins behind.
    if not answer.content.at_eof():
        answer.close()
    return " ".join(body.decode(errors="replace").split())[:MOST_CHARACTERS]


def _judged(answer: aiohttp.ClientResponse, text: str) -> Attempt:
    status = answer.status
    if 200 <= status < 300:
        return Attempt("", text, status)
    if 300 <= status < 400:
        return Attempt("redirected", "The URL sends on to another one, which is not followed: name the last one.", status)
    again = status in _RETRIED or status >= 500
    delay_s = retry_after_s(answer.headers.get("Retry-After", "")) if again else 0.0
    reason = "throttled" if status == 429 else "server_error" if status >= 500 else "rejected"
    return Attempt(reason, text or f"HTTP status {status}", status, again, delay_s)
