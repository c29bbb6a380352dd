"""Sampling strategies for SDKs that ask Jaeger's way: the extension `jaeger_remote_sampling`."""

from collections.abc import Mapping
from typing import ClassVar

from config.access import Auth, QueryWorkspaces
from config.section import Section
from config.tls import ServerTls
from config.values import Duration, Share, TcpAddress, TcpEndpoint


class SamplingHttp(Section):
    """Where SDKs ask over HTTP."""

    endpoint: TcpEndpoint = "localhost:5778"
    """Where to listen, as `host:port`. Only loopback unless you say otherwise."""
    tls: ServerTls | None = None
    """Encryption; without it, in clear text."""
    auth: Auth | None = None
    """Who may ask: callers whose token has the role `ingest` or `admin`. Without it, whoever reaches the address."""
    insecure_listen: bool = False
    """Consent to listen beyond this machine although whoever comes is let in."""
    workspaces: QueryWorkspaces = QueryWorkspaces()
    """Whose tracing configs a caller is told of."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "cors": "SDKs of browsers sample by themselves",
        "max_request_body_size": "requests have no bodies",
    }

    @property
    def address(self) -> TcpAddress:
        """`endpoint`, taken apart."""
        return TcpAddress.parse(self.endpoint)


class SamplingSource(Section):
    """Strategies for services of which no tracing config speaks."""

    file: str = ""
    """A file of strategies in Jaeger's form (JSON). Without it, such services are told to keep every trace, or what `default`
    of the processor `service_policy` says."""
    reload_interval: Duration = Duration.parse("30s")
    """How often the file is looked at for changes; 0 never does."""
    default_sampling_probability: Share = 0.001
    """The share of traces for services that the file does not speak of, where it has no `default_strategy`."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "remote": "use file, or tracing configs",
        "contents": "use file, or tracing configs",
        "initial_sampling_probability": "use default_sampling_probability",
    }


class RemoteSamplingExtension(Section):
    """Tells SDKs at what rate to sample, on an address of its own, as Jaeger's agent did. What it says is also at `/sampling` and
    `/api/sampling` of the query extension."""

    http: SamplingHttp = SamplingHttp()
    """Where SDKs ask over HTTP."""
    source: SamplingSource = SamplingSource()
    """Strategies for services of which no tracing config speaks."""

    reference_only: ClassVar[Mapping[str, str]] = {"grpc": "let SDKs ask over HTTP"}
