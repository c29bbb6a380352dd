"""Where spans go on to several collectors, each trace to one of them: the `loadbalancing` exporter."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from config.otlp_exporters import GrpcClient
from config.section import Section
from config.sending import Sending
from config.values import Duration, TcpAddress

DEFAULT_PORT = 4317

_QUEUE = "use the key of the load balancer itself: what waits for a backend that is gone goes to the others"


def _backend(text: str) -> str:
    """`host:port` of a backend; the port may be left out."""
    address = TcpAddress.parse(text if _has_port(text) else f"{text}:{DEFAULT_PORT}")
    if not address.port or text.startswith(":"):
        raise ValueError("must name a host, such as collector-1:4317")
    return str(address)


def _has_port(text: str) -> bool:
    return "]:" in text or (not text.startswith("[") and ":" in text)


def _host(text: str) -> str:
    if not text or any(letter.isspace() or letter in "/[]@" for letter in text) or ":" in text:
        raise ValueError("must be a host name without scheme and port; the port has a key of its own")
    try:
        text.encode("idna")
    except UnicodeError:
        raise ValueError("must be a host name, with 1 to 63 characters between any two dots") from None
    return text


class StaticResolver(Section):
    """Backends that are listed."""

    hostnames: Annotated[tuple[Annotated[str, AfterValidator(_backend)], ...], Field(min_length=1)]
    """Addresses of the backends, `host` or `host:port`; the port is 4317 where there is none."""

    @field_validator("hostnames")
    @classmethod
    def _each_once(cls, hostnames: tuple[str, ...]) -> tuple[str, ...]:
        twice = [name for position, name in enumerate(hostnames) if name in hostnames[:position]]
        if twice:
            raise ValueError(f"must not name {twice[0]} twice")
        return hostnames


class DnsResolver(Section):
    """Backends that are the addresses of a name, such as that of a headless service in Kubernetes."""

    hostname: Annotated[str, AfterValidator(_host)]
    """The name. Each of its addresses is a backend."""
    port: Annotated[int, Field(ge=1, le=65_535)] = DEFAULT_PORT
    """The port of all of them."""
    interval: Duration = Duration.parse("5s")
    """How often the name is looked up."""
    timeout: Duration = Duration.parse("1s")
    """How long one look may take. When it fails, the backends stay as they were."""

    @field_validator("interval", "timeout")
    @classmethod
    def _some_time(cls, value: Duration) -> Duration:
        if not value:
            raise ValueError("must be longer than 0")
        return value


class Resolver(Section):
    """How backends are found: one of the keys."""

    static: StaticResolver | None = None
    """A list."""
    dns: DnsResolver | None = None
    """The addresses of a name."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "k8s": "use dns with the name of a headless service",
        "aws_cloud_map": "use dns with the name of the service",
    }

    @model_validator(mode="after")
    def _exactly_one(self) -> "Resolver":
        if (self.static is None) == (self.dns is None):
            raise ValueError("must have either static or dns")
        return self


class BackendClient(GrpcClient):
    """How every backend is spoken to: as with the `otlp` exporter."""

    reference_only: ClassVar[Mapping[str, str]] = {
        **GrpcClient.reference_only,
        "endpoint": "backends are named by the resolver",
        "timeout": "use the key of the load balancer itself",
        "sending_queue": _QUEUE,
        "retry_on_failure": _QUEUE,
        "dead_letters": _QUEUE,
    }


class BackendProtocol(Section):
    """The protocol that backends speak."""

    otlp: BackendClient = BackendClient()
    """OTLP over gRPC."""


class _Routing(Section):
    routing_key: Literal["traceID", "service"] = "traceID"
    """What decides where a span goes: the id of its trace, or the name of its service."""
    protocol: BackendProtocol = BackendProtocol()
    """How backends are spoken to."""
    resolver: Resolver
    """Which backends there are."""
    reroute_after: Duration = Duration.parse("30s")
    """When a backend has failed for this long, the others take over what is its own; after as long again it is tried again. 0
    waits for it, however long that takes, so that no trace is ever divided. The Collector has no such key."""


class LoadBalancingExporter(Sending, _Routing):
    """Sends spans on to several collectors, all spans of a trace to the same one."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "routing_attributes": "use routing_key: service, or route by traceID",
    }
