"""How spans arrive: the `receivers` section."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from config.access import Auth, ReceiverWorkspaces
from config.section import Section
from config.tls import ServerTls
from config.values import Count, Duration, PositiveCount, TcpAddress, UnixAddress, zero_means

_DEFAULT_LIMIT_MIB = 64
_MOST_MIB = 1023
_DEFAULT_LIMIT_BYTES = _DEFAULT_LIMIT_MIB << 20
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

_SHARED_REFERENCE_ONLY = {
    "include_metadata": "leave it out: processors see spans, not the metadata of calls",
    "middlewares": "there are no extensions that would act as middleware",
}


class KeepaliveServer(Section):
    """How the gRPC server treats connections over their life; durations of 0 mean without end."""

    max_connection_idle: Duration = Duration.parse("0")
    """Close a connection that had no call for this long; 0 never does."""
    max_connection_age: Duration = Duration.parse("0")
    """Ask a client to reconnect after this long (with some jitter), so that load spreads; 0 never does."""
    max_connection_age_grace: Duration = Duration.parse("0")
    """How long calls may still run after `max_connection_age`; 0 sets no end."""
    time: Duration = Duration.parse("2h")
    """Ping a connection on which nothing was seen for this long."""
    timeout: Duration = Duration.parse("20s")
    """Close the connection when a ping has no answer after this long."""

    @field_validator("time", "timeout")
    @classmethod
    def _zero_means_default(cls, value: Duration, info: ValidationInfo) -> Duration:
        if value:
            return value
        default: Duration = cls.model_fields[info.field_name or ""].default
        return default


class KeepaliveEnforcement(Section):
    """Which pings the gRPC server tolerates; a client that sends more is disconnected."""

    min_time: Duration = Duration.parse("5m")
    """The shortest time between two pings of a client."""
    permit_without_stream: bool = False
    """Whether a client may ping while it has no call open."""


class Keepalive(Section):
    """Life of gRPC connections (receiver contract NET-10, NET-11)."""

    server_parameters: KeepaliveServer = KeepaliveServer()
    """Ages, idle times and pings of the server."""
    enforcement_policy: KeepaliveEnforcement = KeepaliveEnforcement()
    """What clients may do."""


class _Listener(Section):
    transport: Literal["tcp", "unix"] = "tcp"
    """`tcp`, or `unix` for a Unix domain socket."""
    endpoint: str
    """Where to listen: `host:port` for tcp, the socket's path for unix. Only loopback unless you say otherwise."""

    @field_validator("endpoint")
    @classmethod
    def _endpoint_suits_transport(cls, text: str, info: ValidationInfo) -> str:
        parse = UnixAddress.parse if info.data.get("transport") == "unix" else TcpAddress.parse
        parse(text)
        return text

    auth: Auth | None = None
    """Who may send; without it, whoever reaches the address."""
    insecure_listen: bool = False
    """Consent to listen beyond this machine although whoever comes is let in. The Collector has no such key."""

    @property
    def address(self) -> TcpAddress | UnixAddress:
        """`endpoint`, taken apart."""
        return UnixAddress.parse(self.endpoint) if self.transport == "unix" else TcpAddress.parse(self.endpoint)


class OtlpGrpc(_Listener):
    """OTLP over gRPC."""

    endpoint: str = "localhost:4317"
    """Where to listen: `host:port` for tcp, the socket's path for unix. Only loopback unless you say otherwise."""
    max_recv_msg_size_mib: Annotated[Count, Field(le=_MOST_MIB), zero_means(_DEFAULT_LIMIT_MIB)] = _DEFAULT_LIMIT_MIB
    """The largest request, before and after decompression, in MiB: at most 1023. 0 means the default."""
    max_concurrent_streams: Count = 0
    """How many calls one connection may have open at once; 0 sets no limit."""
    keepalive: Keepalive = Keepalive()
    """Pings, idle connections and reconnection."""
    tls: ServerTls | None = None
    """Encryption; without it, in clear text."""

    reference_only: ClassVar[Mapping[str, str]] = {
        **_SHARED_REFERENCE_ONLY,
        "read_buffer_size": "leave it out: the server sizes its reads by the requests",
        "write_buffer_size": "leave it out: answers are short",
    }

    @property
    def max_request_bytes(self) -> int:
        """`max_recv_msg_size_mib` in bytes."""
        return self.max_recv_msg_size_mib << 20


def _origin(text: str) -> str:
    if text.count("*") > 1:
        raise ValueError("must have at most one *")
    if text != "*" and not re.fullmatch(r"[^\s/]+://[^\s/]+", text):
        raise ValueError("must be an origin such as https://app.example.com, with a scheme and without a path")
    return text


class Cors(Section):
    """Which web pages may send spans (receiver contract NET-02 to NET-04). Off without `allowed_origins`."""

    allowed_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = ()
    """Origins such as `https://app.example.com`; each may hold one `*`, as in `https://*.example.com`."""
    allowed_headers: tuple[str, ...] = ()
    """Request headers that pages may set besides those that browsers always allow; `*` allows all."""
    exposed_headers: tuple[str, ...] = ()
    """Response headers that pages may read, besides `Retry-After`."""
    max_age: Count = 0
    """Seconds for which a browser may remember a preflight answer; 0 leaves it to the browser."""


Coding = Literal["", "gzip", "zstd", "zlib", "deflate", "lz4", "snappy", "x-snappy-framed"]


class _HttpListener(_Listener):
    max_request_body_size: Annotated[Count, zero_means(_DEFAULT_LIMIT_BYTES)] = _DEFAULT_LIMIT_BYTES
    """The largest request body, before and after decompression, in bytes. 0 means the default."""
    compression_algorithms: tuple[Coding, ...] = ("", "gzip", "zstd", "zlib", "deflate", "lz4", "snappy", "x-snappy-framed")
    """Values of `Content-Encoding` that are decompressed; an empty list decompresses nothing."""
    read_header_timeout: Duration = Duration.parse("10s")
    """How long a client may take to send the headers of a request; 0 sets no limit."""
    read_timeout: Duration = Duration.parse("1m")
    """How long a client may take to send a whole request; 0 sets no limit."""
    idle_timeout: Duration = Duration.parse("2m")
    """How long a connection may wait for its next request; longer than clients keep one for reuse."""
    max_connections: PositiveCount = 4096
    """How many connections may be open; further ones are closed at once. The Collector has no such key."""
    max_connection_age: Duration = Duration.parse("0")
    """Close a connection with an answer after this long, so that load spreads; 0 never does. The Collector has no such
    key."""
    keep_alives_enabled: bool = True
    """Whether a connection serves more than one request."""
    cors: Cors = Cors()
    """Which web pages may send spans."""
    tls: ServerTls | None = None
    """Encryption; without it, in clear text."""
    response_headers: Mapping[str, str] = {}
    """Headers that every answer gets in addition."""

    reference_only: ClassVar[Mapping[str, str]] = {
        **_SHARED_REFERENCE_ONLY,
        "write_timeout": "leave it out: answers are short",
    }

    @field_validator("response_headers")
    @classmethod
    def _wellformed_headers(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        if not all(map(_HEADER_NAME.fullmatch, headers)):
            raise ValueError("must have header names of letters, digits and hyphens")
        if not all(map(str.isprintable, headers.values())):
            raise ValueError("must have header values of one line, without control characters")
        return headers


class OtlpHttp(_HttpListener):
    """OTLP over HTTP, protobuf and JSON."""

    endpoint: str = "localhost:4318"
    """Where to listen: `host:port` for tcp, the socket's path for unix. Only loopback unless you say otherwise."""
    traces_url_path: str = "/v1/traces"
    """The path that takes spans; a leading `/` is added where it is missing."""

    reference_only: ClassVar[Mapping[str, str]] = {
        **_HttpListener.reference_only,
        "metrics_url_path": "spanhouse takes spans only",
        "logs_url_path": "spanhouse takes spans only",
        "profiles_url_path": "spanhouse takes spans only",
    }

    @field_validator("traces_url_path")
    @classmethod
    def _absolute_path(cls, path: str) -> str:
        if not path or not path.isascii() or not path.isprintable() or set(path) & set(" ?#"):
            raise ValueError("must be a path such as /v1/traces, without spaces, ? or #")
        return path if path.startswith("/") else f"/{path}"


class OtlpProtocols(Section):
    """The protocols that are on. A protocol that is not named is off."""

    grpc: OtlpGrpc | None = None
    """OTLP over gRPC; `grpc:` alone turns it on with its defaults."""
    http: OtlpHttp | None = None
    """OTLP over HTTP; `http:` alone turns it on with its defaults."""

    @model_validator(mode="after")
    def _at_least_one(self) -> "OtlpProtocols":
        if self.grpc is None and self.http is None:
            raise ValueError("must name at least one protocol: grpc or http")
        return self


class OtlpReceiver(Section):
    """Takes spans over OTLP (receiver contract CONF-01 to CONF-04)."""

    protocols: OtlpProtocols
    """The protocols that are on."""
    workspaces: ReceiverWorkspaces = ReceiverWorkspaces()
    """Which workspace spans go to, and how much each may send."""

    @property
    def listeners(self) -> Mapping[tuple[str, ...], OtlpGrpc | OtlpHttp]:
        """Each server, by the keys where it stands."""
        servers = {"grpc": self.protocols.grpc, "http": self.protocols.http}
        return {("protocols", name): server for name, server in servers.items() if server is not None}


class ZipkinReceiver(_HttpListener):
    """Takes spans from Zipkin's reporters: `POST /api/v2/spans` in JSON or protobuf."""

    endpoint: str = "localhost:9411"
    """Where to listen: `host:port` for tcp, the socket's path for unix. Only loopback unless you say otherwise."""
    workspaces: ReceiverWorkspaces = ReceiverWorkspaces()
    """Which workspace spans go to, and how much each may send."""

    reference_only: ClassVar[Mapping[str, str]] = {
        **_HttpListener.reference_only,
        "parse_string_tags": "leave it out: tags are texts; a transform processor makes numbers of some, with Int and Double",
    }

    @property
    def listeners(self) -> Mapping[tuple[str, ...], "ZipkinReceiver"]:
        """Itself, which stands under no further key."""
        return {(): self}


Receiver = OtlpReceiver | ZipkinReceiver
RECEIVERS: Mapping[str, type[Receiver]] = {"otlp": OtlpReceiver, "zipkin": ZipkinReceiver}
"""Every receiver of this release by its type."""

_OF_METRICS_AND_LOGS = (
    *("prometheus", "prometheusremotewrite", "hostmetrics", "kubeletstats", "k8s_cluster", "k8sobjects", "k8s_events"),
    *("dockerstats", "httpcheck", "statsd", "carbon", "influxdb", "nginx", "apache", "postgresql", "mysql", "mongodb", "redis"),
    *("rabbitmq", "elasticsearch", "kafkametrics", "sqlquery", "snmp", "filelog", "syslog", "tcplog", "udplog", "journald"),
    *("windowseventlog", "fluentforward", "loki"),
)

REFERENCE_ONLY_RECEIVERS: Mapping[str, str] = {
    "jaeger": "let services send OTLP, or convert with a collector in front",
    "opencensus": "let services send OTLP, or convert with a collector in front",
    "kafka": "read Kafka with a collector in front, which sends OTLP",
    "otlpjsonfile": "use `spanhouse replay FILE...` to send stored requests",
    "skywalking": "let services send OTLP, or convert with a collector in front",
    "awsxray": "let services send OTLP, or convert with a collector in front",
    "datadog": "let services send OTLP, or convert with a collector in front",
    **dict.fromkeys(_OF_METRICS_AND_LOGS, "spanhouse takes spans only"),
    "nop": "a pipeline needs a receiver that takes spans",
}
"""Receivers of the OpenTelemetry Collector that this release has not: what to do without them."""
