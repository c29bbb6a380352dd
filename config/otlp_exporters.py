"""Where spans go on to other collectors: the `otlp` and `otlphttp` exporters, and what `loadbalancing` shares with them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from config.section import Section
from config.sending import Sending, Timeout
from config.tls import ClientTls, GrpcClientTls
from config.values import Duration, TcpAddress

TRACES_PATH = "/v1/traces"

_GRPC_FORMS = "must be host:port, http://host:port, https://host:port, dns:///host:port or unix:///path"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_METADATA_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_OURS = frozenset({"content-type", "content-encoding", "content-length", "host", "te", "transfer-encoding", "user-agent"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class GrpcEndpoint:
    """Where a gRPC server is.

    Attributes:
        target: as the gRPC library wants it: `host:port`, `dns:///host:port` or `unix:/path`.
        encrypted: whether TLS is spoken there; None where the endpoint leaves that open.
        address: host and port; None for a socket in the file system.
    """

    target: str
    encrypted: bool | None
    address: TcpAddress | None

    @classmethod
    def parse(cls, text: str) -> "GrpcEndpoint":
        """Read one of the forms of an `endpoint`. Raises ValueError for others."""
        scheme, found, rest = text.partition("://")
        if not found:
            scheme, rest = "", text
        if scheme == "unix" and rest.startswith("/"):
            return cls(f"unix:{rest}", False, None)
        if scheme == "dns":
            rest = rest.removeprefix("/")
        elif scheme not in ("", "http", "https"):
            raise ValueError(_GRPC_FORMS)
        try:
            address = TcpAddress.parse(rest.removesuffix("/"))
        except ValueError:
            raise ValueError(_GRPC_FORMS) from None
        if not address.port or rest.startswith(":"):
            raise ValueError("must name a host, and a port from 1 to 65535")
        target = f"dns:///{address}" if scheme == "dns" else str(address)
        return cls(target, {"http": False, "https": True}.get(scheme), address)


def _grpc_endpoint(text: str) -> str:
    GrpcEndpoint.parse(text)
    return text


def _url(text: str) -> str:
    """Bring a URL into the form `scheme://host:port/path`, without a slash at the end."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError("must be a URL such as https://collector:4318") from None
    if url.scheme not in _DEFAULT_PORTS or not url.hostname or any(map(str.isspace, text)):
        raise ValueError("must be a URL such as https://collector:4318")
    if "@" in url.netloc:
        raise ValueError("must not carry a user or password: use headers, such as Authorization")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    query = f"?{url.query}" if url.query else ""
    return f"{url.scheme}://{host}:{_DEFAULT_PORTS[url.scheme] if port is None else port}{url.path.rstrip('/')}{query}"


def _header_value(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().isprintable():
        raise ValueError("must be of one line, without control characters")
    return value


_HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]


class ClientKeepalive(Section):
    """Pings on a connection, so that one that is dead is noticed."""

    time: Duration = Duration.parse("10s")
    """Ping after this long without traffic. Many servers, spanhouse's among them, hang up on clients that ping more often than
    every five minutes, unless told otherwise (`keepalive.enforcement_policy`)."""
    timeout: Duration = Duration.parse("10s")
    """How long to wait for the answer before the connection counts as dead."""
    permit_without_stream: bool = False
    """Whether to ping while no request is on its way."""


class _Client(Section):
    headers: Mapping[str, _HeaderValue] = {}
    """Headers of every request, such as `Authorization`; take secrets from the environment: `${env:TOKEN}`."""
    workspace_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")] = "X-Workspace-Id"
    """The header that tells a spanhouse over there the workspace of the spans, unless that is `default`; others ignore it. Empty
    sends none, so that spans of all workspaces become one. The Collector has no such key."""

    @field_validator("headers")
    @classmethod
    def _wellformed_headers(cls, headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        if not all(map(_HEADER_NAME.fullmatch, headers)):
            raise ValueError("must have header names of letters, digits and hyphens")
        for name in headers:
            if name.lower() in _OURS:
                raise ValueError(f"must not hold {name.lower()}, which says how spans are encoded and sent")
        return headers


class GrpcClient(_Client):
    """How another collector is spoken to over gRPC."""

    tls: GrpcClientTls = GrpcClientTls()
    """Encryption, which is on unless `insecure` is true or the endpoint begins with `http://`."""
    compression: Literal["gzip", "none"] = "gzip"
    """How requests are compressed. `gzip` makes them a seventh of their size, and costs several times as much as all the rest."""
    balancer_name: Literal["round_robin", "pick_first"] = "round_robin"
    """How requests are spread over the addresses that a name has: in turn over all, or all to the first that answers."""
    keepalive: ClientKeepalive | None = None
    """Pings; without it there are none."""
    wait_for_ready: bool = False
    """Whether an attempt waits for a connection, up to `timeout`, instead of failing at once."""
    authority: str = ""
    """The value of `:authority`, if it is not to be the endpoint's host and port."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "auth": "put the token into headers: `Authorization: Bearer ${env:TOKEN}`",
        "insecure": "use tls.insecure",
        "read_buffer_size": "leave it out: answers are short",
        "write_buffer_size": "leave it out: the library sizes its writes by the requests",
        "middlewares": "there are no extensions that would act as middleware",
        "user_agent": "leave it out",
    }

    @field_validator("headers")
    @classmethod
    def _metadata(cls, headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for name, value in headers.items():
            if not _METADATA_KEY.fullmatch(name):
                raise ValueError(f"must not hold {name}: gRPC allows letters, digits, dots and hyphens")
            if name.lower().startswith("grpc-") or name.lower().endswith("-bin"):
                raise ValueError(f"must not hold {name}: grpc-... and ...-bin mean something else to gRPC")
            if not value.get_secret_value().isascii():
                raise ValueError("must have values of ASCII characters")
        return headers


# Keys are listed as they come from the bases, the last one first.


class _GrpcPeer(Section):
    endpoint: Annotated[str, AfterValidator(_grpc_endpoint)]
    """`host:port`; also `http://host:port` for clear text, `https://host:port`, `dns:///host:port` or `unix:///path`."""


class OtlpExporter(Sending, GrpcClient, _GrpcPeer):
    """Sends spans on to another collector with OTLP over gRPC."""

    reference_only: ClassVar[Mapping[str, str]] = GrpcClient.reference_only

    @model_validator(mode="after")
    def _one_word_on_encryption(self) -> "OtlpExporter":
        if self.tls.insecure and self.grpc_endpoint.encrypted:
            raise ValueError("must not have tls.insecure with an https:// endpoint: write http://, or leave insecure out")
        return self

    @property
    def grpc_endpoint(self) -> GrpcEndpoint:
        """`endpoint`, taken apart."""
        return GrpcEndpoint.parse(self.endpoint)


class _HttpPeer(Section):
    endpoint: Annotated[str, AfterValidator(lambda text: text and _url(text))] = ""
    """The URL of the other side, such as `https://collector:4318`, to which `/v1/traces` is added."""
    traces_endpoint: Annotated[str, AfterValidator(lambda text: text and _url(text))] = ""
    """The whole URL, if it does not end in `/v1/traces`."""


class _HttpClient(_Client):
    encoding: Literal["proto", "json"] = "proto"
    """`proto`, or `json` for a peer that takes nothing else, which costs two hundred times as much."""
    compression: Literal["gzip", "zstd", "none"] = "gzip"
    """How requests are compressed; `zstd` takes a quarter of the time of `gzip`, where the other side knows it."""
    tls: ClientTls = ClientTls()
    """Encryption of `https://` endpoints."""


class OtlpHttpExporter(Sending, _HttpClient, _HttpPeer):
    """Sends spans on to another collector with OTLP over HTTP."""

    timeout: Timeout = Duration.parse("30s")
    """How long one attempt may take. A peer that has not answered by then is sent the same spans again."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "auth": "put the token into headers: `Authorization: Bearer ${env:TOKEN}`",
        "insecure": "use tls.insecure",
        "compression_params": "leave it out: levels are chosen for speed",
        "cookies": "there are none: requests are independent of each other",
        "disable_keep_alives": "leave it out: connections are used again",
        "force_attempt_http2": "use the otlp exporter, which speaks HTTP/2",
        "http2_ping_timeout": "use the otlp exporter, which speaks HTTP/2",
        "http2_read_idle_timeout": "use the otlp exporter, which speaks HTTP/2",
        "idle_conn_timeout": "leave it out: connections are used again",
        "logs_endpoint": "spanhouse takes spans only",
        "max_conns_per_host": "use sending_queue.num_consumers, which is how many requests there are at once",
        "max_idle_conns": "leave it out: there are no more than sending_queue.num_consumers",
        "max_idle_conns_per_host": "leave it out: there are no more than sending_queue.num_consumers",
        "metrics_endpoint": "spanhouse takes spans only",
        "middlewares": "there are no extensions that would act as middleware",
        "profiles_endpoint": "spanhouse takes spans only",
        "proxy_url": "name the proxy in endpoint",
        "read_buffer_size": "leave it out: answers are short",
        "write_buffer_size": "leave it out: requests are written whole",
    }

    @model_validator(mode="after")
    def _some_endpoint(self) -> "OtlpHttpExporter":
        if not self.endpoint and not self.traces_endpoint:
            raise ValueError("must have endpoint, such as https://collector:4318")
        if self.tls.insecure and self.url.startswith("https:"):
            raise ValueError("must not have tls.insecure with an https:// endpoint: write http://, or leave insecure out")
        return self

    @property
    def url(self) -> str:
        """Where requests are posted."""
        return self.traces_endpoint or f"{self.endpoint}{TRACES_PATH}"
