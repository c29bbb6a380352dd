"""What receivers over HTTP share: POST of spans to one path. How they are written, and what is answered, is a subclass's."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar, Final, NamedTuple, cast

from aiohttp import web

from collector.access import CHALLENGE, names_in
from collector.errors import Refused
from collector.http_connection import SERVER, ConnectionLimits, Connections, HttpConnection
from collector.receivers.answers import Answer, too_large
from collector.receivers.cors import CorsPolicy
from collector.receivers.http_body import INLINE_COMPRESSED_BYTES, decompress, read_body
from collector.receivers.in_flight import InFlight, Lease
from collector.receivers.intake import Encoding, Intake, Outcome
from collector.receivers.listen import listen, release_unix_path
from collector.receivers.settings import HttpSettings, size_limit
from collector.receivers.unserved import unserved
from collector.tls import listening_options

# aiohttp takes 0 for "no limit".
_AT_ONCE_S: Final = 0.001


class Reply(NamedTuple):
    """What is answered."""

    status: int
    body: bytes
    media_type: str


class HttpServer(ABC):
    """Takes spans over HTTP on one address.

    Args:
        settings: where and how.
        intake: takes the requests.
        in_flight: the process's bound on bytes of unanswered requests.
    """

    encodings: ClassVar[Mapping[str, Encoding]]
    """What is taken, by media type; that of a request that names none is empty."""

    @abstractmethod
    def success(self, outcome: Outcome, encoding: Encoding) -> Reply:
        """The answer to a request that was taken."""

    @abstractmethod
    def failure(self, answer: Answer, encoding: Encoding | None) -> Reply:
        """The answer to a request that was not taken; its encoding is None where that is not known."""

    def __init__(self, settings: HttpSettings, intake: Intake, in_flight: InFlight) -> None:
        self._settings = settings
        self._intake = intake
        self._in_flight = in_flight
        self._path = "/" + settings.traces_url_path.strip("/")
        self._max_bytes = size_limit(settings.max_request_bytes)
        self._cors = CorsPolicy(settings.cors) if settings.cors.allowed_origins else None
        limits = ConnectionLimits(
            max_header_bytes=settings.max_header_bytes,
            header_timeout_s=settings.header_timeout_s,
            idle_timeout_s=settings.idle_timeout_s,
            linger_s=settings.linger_s,
            max_connections=settings.max_connections,
            max_connection_age_s=settings.max_connection_age_s,
        )
        self._protocols = Connections(self._answer, limits, self._refuse_head, auto_decompress=False)
        self._listener: asyncio.Server | None = None
        self._stopping = False
        self.port = 0
        """The port in use once started; 0 for a unix socket."""

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ListenError: the address cannot be listened on.
            TlsError: the files for TLS cannot be used.
        """
        encryption = listening_options(self._settings.tls, f"{self._settings.key}.tls", self._refuse_handshake)
        self._listener, self.port = await listen(self._protocols, self._settings, encryption)

    async def stop(self, grace_s: float) -> None:
        """Take no more requests, let those in flight finish for at most `grace_s` seconds (NET-15)."""
        if self._listener is None:
            return
        self._stopping = True
        self._listener.close()
        self._protocols.pre_shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._protocols.shutdown(None)
        await self._protocols.shutdown(_AT_ONCE_S)
        await self._listener.wait_closed()
        self._listener = None
        if self._settings.unix_path is not None:
            release_unix_path(self._settings.unix_path)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._respond(request)
        if self._stopping or cast("HttpConnection", request.protocol).is_old or not self._settings.keep_alives:
            response.force_close()
        return response

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._cors is not None and self._cors.is_preflight(request.method, request.headers):
            headers = SERVER | dict(self._settings.response_headers) | self._cors.preflight_headers(request.headers)
            return web.Response(status=204, headers=headers)
        encoding = self._encoding(request)
        try:
            reply = await self._take(request, encoding)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            if isinstance(error, ConnectionError) and request.transport is None:
                return web.Response()  # the client has gone, so nobody sees this; nothing of its request was taken
            return self._refusal(request, encoding, self._intake.failed(error))
        return web.Response(body=reply.body, status=reply.status, headers=self._headers(request, reply))

    async def _take(self, request: web.BaseRequest, encoding: Encoding | None) -> Reply:
        """Check, read, decompress and take in a request; the answer to it (HTTP-19: cheap checks first)."""
        caller = self._intake.admit(request.headers, lambda: names_in(request.get_extra_info("peercert")))
        coding = self._admitted_coding(request)
        if encoding is None:
            raise Refused(
                f"Content-Type {request.headers.get('Content-Type', '')!r} is not served; "
                f"send {' or '.join(filter(None, self.encodings))}",
                "unsupported_media_type",
            )
        with Lease(self._in_flight) as lease:
            lease.grow(0)  # a full process refuses before it reads
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await read_body(request, self._max_bytes, self._settings.body_timeout_s, lease)
            if coding != "identity":
                body = await self._decompressed(coding, body)
                lease.grow(len(body))
            outcome = await self._intake.take(body, encoding, caller)
        return self.success(outcome, encoding)

    def _admitted_coding(self, request: web.BaseRequest) -> str:
        """Check all that a request's head tells, and return its content coding.

        Raises:
            Refused: the request cannot be served.
        """
        if (request.path.rstrip("/") or "/") != self._path:
            raise unserved(request.path, f"POST spans to {self._path}")
        if (request.content_length or 0) > self._max_bytes:
            raise too_large(self._max_bytes)
        coding = request.headers.get("Content-Encoding", "").strip().lower() or "identity"
        if coding != "identity" and coding not in self._settings.compression_algorithms:
            raise Refused(
                f"unsupported Content-Encoding: {coding}; "
                f"supported are {', '.join(('identity', *filter(None, self._settings.compression_algorithms)))}",
                "unsupported_encoding",
            )
        if request.method != "POST":
            raise Refused(f"method {request.method} is not served; POST spans to {self._path}", "method_not_allowed")
        return coding

    async def _decompressed(self, coding: str, body: bytes) -> bytes:
        if len(body) <= INLINE_COMPRESSED_BYTES:
            return decompress(coding, body, self._max_bytes)
        return await self._intake.in_pool(decompress, coding, body, self._max_bytes)

    def _refuse_handshake(self, error: ssl.SSLError) -> None:
        """Count a connection that ends with an alert of TLS, before anything could be asked over it."""
        self._intake.failed(Refused(f"the handshake of TLS failed: {error.reason or error}", "tls_handshake"))

    def _refuse_head(self, error: Exception) -> web.Response:
        """The answer to what is no request."""
        reply = self.failure(self._intake.failed(error), None)
        return web.Response(body=reply.body, status=reply.status, headers=SERVER | {"Content-Type": reply.media_type})

    def _refusal(self, request: web.BaseRequest, encoding: Encoding | None, answer: Answer) -> web.Response:
        reply = self.failure(answer, encoding)
        headers = self._headers(request, reply)
        if answer.retry_after is not None:
            headers["Retry-After"] = answer.retry_after
        if answer.kind == "method_not_allowed":
            headers["Allow"] = "POST"
        if answer.kind == "unauthenticated":
            headers["WWW-Authenticate"] = CHALLENGE
        response = web.Response(body=reply.body, status=reply.status, headers=headers)
        if not request.content.is_eof():
            response.force_close()
        return response

    def _headers(self, request: web.BaseRequest, reply: Reply) -> dict[str, str]:
        headers = SERVER | {"Content-Type": reply.media_type}
        if self._settings.response_headers:
            headers.update(self._settings.response_headers)
        if self._cors is not None:
            headers.update(self._cors.answer_headers(request.headers))
        return headers

    def _encoding(self, request: web.BaseRequest) -> Encoding | None:
        """The request's encoding by its media type: case and parameters do not matter (HTTP-06)."""
        return self.encodings.get(request.headers.get("Content-Type", "").partition(";")[0].strip().lower())
