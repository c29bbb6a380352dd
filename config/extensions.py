"""What runs beside the pipeline: the `extensions` section."""

from collections.abc import Mapping
from typing import ClassVar

from config.section import Section
from config.tls import ServerTls
from config.values import TcpAddress, TcpEndpoint


class QueryExtension(Section):
    """The query API, the web page, `/metrics`, `/healthz` and `/readyz`."""

    endpoint: TcpEndpoint = "localhost:4319"
    """Where to listen, as `host:port`. Only loopback unless you say otherwise."""
    tls: ServerTls | None = None
    """Encryption; without it, in clear text."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "auth": "put a proxy that authenticates in front, or listen on loopback",
        "cors": "serve pages that query spans from the same origin, through a proxy",
    }

    @property
    def address(self) -> TcpAddress:
        """`endpoint`, taken apart."""
        return TcpAddress.parse(self.endpoint)


Extension = QueryExtension
EXTENSIONS: Mapping[str, type[Extension]] = {"query": QueryExtension}
"""Every extension of this release by its type."""

_AUTHENTICATION = "put a proxy that authenticates in front, or listen on loopback or a Unix socket"

REFERENCE_ONLY_EXTENSIONS: Mapping[str, str] = {
    "health_check": "use /healthz and /readyz on the endpoint of the query extension",
    "pprof": "use a sampling profiler from outside, by process id",
    "zpages": "use /metrics on the endpoint of the query extension",
    "file_storage": "leave it out: spans wait in memory, bounded by sending_queue.max_bytes",
    "memory_limiter": "leave it out: memory is bounded by request, batch and queue sizes",
    "basicauth": _AUTHENTICATION,
    "bearertokenauth": _AUTHENTICATION,
    "oidc": _AUTHENTICATION,
    "headers_setter": "exporters set no headers of the client's",
    "jaegerremotesampling": "configure samplers in the services",
    "jaeger_query": "use the query extension",
    "jaeger_storage": "use the clickhouse exporter",
    "opamp": "reload configuration from its file",
}
"""Extensions of the OpenTelemetry Collector and Jaeger that this release has not: what to do without them."""
