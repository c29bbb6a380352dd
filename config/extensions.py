"""What runs beside the pipeline: the `extensions` section."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, field_validator

from config.access import Auth, QueryWorkspaces, TokensExtension
from config.alerting import AlertingExtension
from config.journal import JournalExtension
from config.load_tests import LoadTestsExtension
from config.queries import QueryLimits
from config.remote_sampling import RemoteSamplingExtension
from config.section import Section
from config.tls import ServerTls
from config.values import TcpAddress, TcpEndpoint, refuse_booleans

_BASE_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")


class QueryExtension(Section):
    """The query API, the web page, `/metrics`, `/healthz` and `/readyz`."""

    endpoint: TcpEndpoint = "localhost:4319"
    """Where to listen, as `host:port`. Only loopback unless you say otherwise."""
    tls: ServerTls | None = None
    """Encryption; without it, in clear text."""

    auth: Auth | None = None
    """Who may read; without it, whoever reaches the address. `/healthz` and `/readyz` answer everybody."""
    metrics_without_auth: bool = False
    """Whether `/metrics` answers everybody. Else it asks for a token that reads every workspace, since it tells of all."""
    insecure_listen: bool = False
    """Consent to listen beyond this machine although whoever comes is let in."""
    base_path: str = ""
    """What stands in front of all paths for those who come through a proxy, such as `/spanhouse`. The proxy may pass it on, or
    take it off: without it, everything is answered as well."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which clients reach it, as a proxy in front may pass on. While it listens on loopback, requests for any other
    name than loopback's and these are refused, so that no web page can make a name of its own lead here."""
    workspaces: QueryWorkspaces = QueryWorkspaces()
    """Which workspace a query sees."""
    queries: QueryLimits = QueryLimits()
    """What queries may take, and how many are answered at once."""
    max_objects: Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(refuse_booleans)] = 20_000
    """A workspace may have so many objects of each kind that is made over the API: tracing configs, alert rules, channels,
    annotations, saved requests, load tests, failure rules and so on."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "cors": "serve pages that query spans from the same origin, through a proxy",
    }

    @field_validator("base_path")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        if not _BASE_PATH.fullmatch(path):
            raise ValueError("must be a path such as /spanhouse, of letters, digits, -, ., _ and ~")
        return path.rstrip("/")

    @property
    def address(self) -> TcpAddress:
        """`endpoint`, taken apart."""
        return TcpAddress.parse(self.endpoint)


Extension = QueryExtension | TokensExtension | JournalExtension | RemoteSamplingExtension | LoadTestsExtension | AlertingExtension
EXTENSIONS: Mapping[str, type[Extension]] = {
    "query": QueryExtension,
    "tokens": TokensExtension,
    "journal": JournalExtension,
    "jaeger_remote_sampling": RemoteSamplingExtension,
    "load_tests": LoadTestsExtension,
    "alerting": AlertingExtension,
}
"""Every extension of this release by its type."""

_HEALTH = "use /healthz and /readyz on the endpoint of the query extension"
_AUTHENTICATION = "use the tokens extension, which knows bearer tokens, basic authentication and client certificates"

REFERENCE_ONLY_EXTENSIONS: Mapping[str, str] = {
    "health_check": _HEALTH,
    "healthcheckv2": _HEALTH,
    "memory_ballast": "leave it out",
    "nop": "leave it out",
    "pprof": "use a sampling profiler from outside, by process id",
    "zpages": "use /metrics on the endpoint of the query extension",
    "expvar": "use /metrics on the endpoint of the query extension",
    "file_storage": "use the journal extension, which keeps spans on disk for all exporters",
    "memory_limiter": "leave it out: memory is bounded by request, batch and queue sizes",
    "basicauth": _AUTHENTICATION,
    "bearertokenauth": _AUTHENTICATION,
    "oauth2client": "put a token into headers of the exporter",
    "oidc": "use the tokens extension, or put a proxy that authenticates in front",
    "headers_setter": "exporters set no headers of the client's",
    "jaegerremotesampling": "write jaeger_remote_sampling",
    "remote_sampling": "use jaeger_remote_sampling",
    "jaeger_query": "use the query extension",
    "jaeger_storage": "use the clickhouse exporter",
    "remote_storage": "use the clickhouse exporter",
    "opamp": "reload configuration from its file",
}
"""Extensions of the OpenTelemetry Collector and Jaeger that this release has not: what to do without them."""
