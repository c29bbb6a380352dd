"""What the OTLP receivers can be told, as plain values: sizes in bytes, times in seconds.

The daemon fills these in from the configuration; defaults are those of the receiver contract (section 12 and docs/receiver.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from config.tls import ServerTls

DEFAULT_MAX_BYTES: Final = 64 << 20
"""Largest request, as received and after decompression (LIMIT-01, LIMIT-02, CONF-03)."""

CONTENT_CODINGS: Final = ("gzip", "deflate", "zlib", "zstd", "lz4", "snappy", "x-snappy-framed")
"""Content codings that the HTTP receiver can undo (COMP-01 to COMP-04)."""


def size_limit(configured: int) -> int:
    """The limit in force: zero and less mean the default, never "no limit" (LIMIT-07)."""
    return configured if configured > 0 else DEFAULT_MAX_BYTES


@dataclass(frozen=True, slots=True)
class Keepalive:
    """How the gRPC server treats idle and long connections (NET-10, NET-11). None: never.

    Attributes:
        time_s, timeout_s: ping an idle peer after so long, and wait so long for its answer.
        min_time_s: peers that ping more often are told to go away.
        permit_without_stream: whether peers may ping while no call is in flight.
        max_connection_idle_s: close a connection without calls after so long.
        max_connection_age_s, max_connection_age_grace_s: close every connection after so long (varied by
            10 %), giving calls in flight so long to end.
    """

    time_s: float = 7200.0
    timeout_s: float = 20.0
    min_time_s: float = 300.0
    permit_without_stream: bool = False
    max_connection_idle_s: float | None = None
    max_connection_age_s: float | None = None
    max_connection_age_grace_s: float | None = None


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """The OTLP/gRPC receiver.

    Attributes:
        host, port: where to listen; port 0 takes a free one.
        unix_path: listen on this unix socket instead.
        max_request_bytes: largest message, compressed or not.
        max_concurrent_streams: calls in flight on one connection; None leaves it to the peer.
        max_calls: calls in flight on all connections; further ones are told to come back.
        max_connections: open sockets; further ones are closed at once (NET-13).
        body_timeout_s: longest wait for a call's whole message (NET-13).
        tls: encryption; None for clear text.
        key: where all of this stands in the configuration, for messages.
    """

    host: str = "localhost"
    port: int = 4317
    unix_path: str | None = None
    max_request_bytes: int = DEFAULT_MAX_BYTES
    max_concurrent_streams: int | None = None
    max_calls: int = 4096
    max_connections: int = 4096
    body_timeout_s: float = 60.0
    keepalive: Keepalive = field(default_factory=Keepalive)
    tls: ServerTls | None = None
    key: str = "receivers.otlp.protocols.grpc"


@dataclass(frozen=True, slots=True)
class Cors:
    """Which web pages may send spans (NET-01 to NET-04).

    Attributes:
        allowed_origins: origins, each exact or with one `*`; empty turns CORS off.
        allowed_headers: request headers beyond the safe ones and Content-Type; `*` allows all.
        exposed_headers: response headers that a page may read, beside Retry-After.
        max_age_s: how long a browser may remember a preflight; 0 leaves it to the browser.
    """

    allowed_origins: tuple[str, ...] = ()
    allowed_headers: tuple[str, ...] = ()
    exposed_headers: tuple[str, ...] = ()
    max_age_s: int = 0


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The OTLP/HTTP receiver.

    Attributes:
        host, port: where to listen; port 0 takes a free one.
        unix_path: listen on this unix socket instead.
        traces_url_path: the one path that is served; a missing leading slash is added (CONF-02).
        max_request_bytes: largest body, as received and after decompression.
        compression_algorithms: content codings to accept, of CONTENT_CODINGS; empty accepts uncompressed bodies only.
        max_header_bytes: longest request line and longest header (LIMIT-10).
        header_timeout_s, body_timeout_s: longest wait for a request's head, and for its whole body (NET-13); None: any.
        linger_s: how long to read on after refusing an unread body, so that the client sees the answer instead of a broken
            connection (LIMIT-05).
        idle_timeout_s: longest wait for the next request (NET-12); None: any.
        keep_alives: whether a connection serves more than one request.
        max_connections: open sockets; further ones are closed at once (NET-13).
        max_connection_age_s: answers on older connections say `Connection: close`; None lets them live (NET-11).
        response_headers: added to every answer.
        tls: encryption; None for clear text.
        key: where all of this stands in the configuration, for messages.
    """

    host: str = "localhost"
    port: int = 4318
    unix_path: str | None = None
    traces_url_path: str = "/v1/traces"
    max_request_bytes: int = DEFAULT_MAX_BYTES
    compression_algorithms: tuple[str, ...] = CONTENT_CODINGS
    max_header_bytes: int = 16384
    header_timeout_s: float | None = 10.0
    body_timeout_s: float | None = 60.0
    linger_s: float = 10.0
    idle_timeout_s: float | None = 120.0
    keep_alives: bool = True
    max_connections: int = 4096
    max_connection_age_s: float | None = None
    cors: Cors = field(default_factory=Cors)
    response_headers: tuple[tuple[str, str], ...] = ()
    tls: ServerTls | None = None
    key: str = "receivers.otlp.protocols.http"
