"""OTLP over HTTP: one POST a request."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import aiohttp
import zstandard
from yarl import URL

from exporters.base import ExportError, Outlook, PartialSuccess
from exporters.connecting import UNNAMED, TlsKeys, connection_trouble
from exporters.otlp.answers import http_error, partial_success
from exporters.otlp.json_body import to_json
from proto.texts import Bytes

USER_AGENT: Final = "spanhouse"

_GZIP: Final = 16 + zlib.MAX_WBITS
_FASTEST: Final = 1
_LARGEST_ANSWER: Final = 64 << 10
_IDLE_S: Final = 30.0

Compression = Literal["gzip", "zstd", "none"]


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How a peer is spoken to.

    Attributes:
        url: where requests are posted.
        tls: for `https`; the system's authorities when None.
        headers: of every request.
        compression: of bodies.
        as_json: whether bodies are JSON instead of protobuf.
        tls_keys: where `tls` is configured, for messages.
    """

    url: str
    tls: ssl.SSLContext | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    compression: Compression = "gzip"
    as_json: bool = False
    tls_keys: TlsKeys = UNNAMED


class HttpTransport:
    """Sends requests to one peer over HTTP."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._url = URL(settings.url, encoded=True)
        kind = "application/json" if settings.as_json else "application/x-protobuf"
        coding = {} if settings.compression == "none" else {"Content-Encoding": settings.compression}
        ours = {"Content-Type": kind, "Accept-Encoding": "identity", **coding}
        self._headers = {"User-Agent": USER_AGENT, **settings.headers, **ours}
        self._session: aiohttp.ClientSession | None = None

    def pack(self, request: Bytes) -> bytes:
        # NumPy's arrays are buffers, though their types say so only from Python 3.12 on.
        body: Any = to_json(request.tobytes()) if self._settings.as_json else request
        return _PACKERS[self._settings.compression](body)

    async def send(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> PartialSuccess | None:
        if self._session is None:
            connector = aiohttp.TCPConnector(keepalive_timeout=_IDLE_S)
            self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=headers,
                # A POST that is sent on becomes a GET without a body.
                allow_redirects=False,
                ssl=True if self._settings.tls is None else self._settings.tls,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as answer:
                content = await _start_of(answer.content)
        except TimeoutError as error:
            raise ExportError(f"no answer within {timeout_s:g} s", "timeout", Outlook.LATER) from error
        except aiohttp.ClientConnectorError as error:
            trouble = f"{error.host}:{error.port}: {connection_trouble(error, self._settings.tls_keys)}"
            raise ExportError(trouble, "unreachable", Outlook.LATER) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ExportError(str(error) or type(error).__name__, "connection_lost", Outlook.LATER) from error
        if 200 <= answer.status < 300:
            return partial_success(content, as_json=answer.content_type == "application/json")
        raise http_error(answer.status, answer.headers, content)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _start_of(content: aiohttp.StreamReader) -> bytes:
    """The body of an answer, or the start of one that is too long to be any that OTLP knows."""
    body = bytearray()
    async for part in content.iter_any():
        body += part
        if len(body) >= _LARGEST_ANSWER:
            break
    return bytes(body)


def _gzip(body: Any) -> bytes:
    packer = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
    return packer.compress(body) + packer.flush()


_PACKERS: Final[Mapping[Compression, Callable[[Any], bytes]]] = {
    "gzip": _gzip,
    "zstd": lambda body: zstandard.ZstdCompressor(_FASTEST).compress(body),
    "none": bytes,
}
