"""Sampling strategies for SDKs that ask Jaeger's way: the extension `jaeger_remote_sampling`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, field_validator

from config.access import Auth, QueryWorkspaces
from config.section import Section
from config.tls import ServerTls
from config.values import Duration, Share, TcpAddress, TcpEndpoint, refuse_booleans

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(refuse_booleans)]
Buckets = Annotated[int, Field(ge=1, le=100), BeforeValidator(refuse_booleans)]


class _SamplingListener(Section):
    endpoint: TcpEndpoint
    """Where to listen, as `host:port`. Only loopback unless you say otherwise."""
    tls: ServerTls | None = None
    """Encryption; without it, in clear text."""
    auth: Auth | None = None
    """Who may ask: callers whose token has the role `ingest` or `admin`. Without it, whoever reaches the address."""
    insecure_listen: bool = False
    """Consent to listen beyond this machine although whoever comes is let in."""
    workspaces: QueryWorkspaces = QueryWorkspaces()
    """Whose tracing configs a caller is told of."""

    @property
    def address(self) -> TcpAddress:
        """`endpoint`, taken apart."""
        return TcpAddress.parse(self.endpoint)


class SamplingHttp(_SamplingListener):
    """Where SDKs ask over HTTP."""

    endpoint: TcpEndpoint = "localhost:5778"
    """Where to listen, as `host:port`. Only loopback unless you say otherwise."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "cors": "SDKs of browsers sample by themselves",
        "max_request_body_size": "requests have no bodies",
    }


class SamplingGrpc(_SamplingListener):
    """Where SDKs ask over gRPC."""

    endpoint: TcpEndpoint = "localhost:14250"
    """Where to listen, as `host:port`. Only loopback unless you say otherwise."""
    tls: ServerTls | None = None
    """Encryption; without it, in clear text."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "transport": "leave it out: it is tcp",
        "max_recv_msg_size_mib": "requests name a service and are short",
        "max_concurrent_streams": "leave it out: answers are short",
        "read_buffer_size": "leave it out: requests are short",
        "write_buffer_size": "leave it out: answers are short",
        "keepalive": "leave it out: connections of SDKs cost next to nothing",
        "include_metadata": "nothing asks for it",
    }


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


class AdaptiveSampling(Section):
    """Rates that are reckoned from what comes, so that each operation sends a wanted number of traces a second."""

    target_samples_per_second: Positive = 1.0
    """How many traces a second each operation of a service is to send."""
    delta_tolerance: Positive = 0.3
    """How far from that, as a share of it, leaves a rate as it is."""
    calculation_interval: Duration = Duration.parse("1m")
    """How often rates are reckoned; a multiple of 10s."""
    aggregation_buckets: Buckets = 10
    """For so many intervals an operation is remembered that sends nothing."""
    calculation_buckets: Buckets = 1
    """From so many intervals its rate is reckoned; later ones weigh more."""
    calculation_delay: Duration = Duration.parse("2m")
    """How long after its end an interval is reckoned with, since spans come late."""
    initial_sampling_probability: Share = 0.001
    """For operations that are new."""
    min_sampling_probability: Share = 0.00001
    """No operation gets less."""
    min_samples_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(refuse_booleans)] = 1 / 60
    """So many traces a second each client sends of each operation, whatever the rate."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "sampling_store": "leave it out: rates are in ClickHouse, beside the spans",
        "leader_lease_refresh_interval": "leave it out: whichever collector is first reckons for all",
        "follower_lease_refresh_interval": "leave it out: whichever collector is first reckons for all",
    }

    @field_validator("calculation_interval")
    @classmethod
    def _whole_buckets(cls, value: Duration) -> Duration:
        if not value or value % Duration.parse("10s"):
            raise ValueError("must be a multiple of 10s, such as 1m")
        return value

    @field_validator("min_sampling_probability", "initial_sampling_probability")
    @classmethod
    def _possible(cls, value: float) -> float:
        if not value:
            raise ValueError("must be greater than 0, or no operation would ever be heard of")
        return value


class AdaptiveSamplingProcessor(Section):
    """Counts the traces that clients have sampled, for `adaptive` of the extension `jaeger_remote_sampling`. The spans go on as
    they are. It has no settings."""


class RemoteSamplingExtension(Section):
    """Tells SDKs at what rate to sample, on an address of its own, as Jaeger's agent did. What it says is also at `/sampling` and
    `/api/sampling` of the query extension."""

    http: SamplingHttp = SamplingHttp()
    """Where SDKs ask over HTTP."""
    grpc: SamplingGrpc | None = None
    """Where SDKs ask over gRPC, as those of Java do; `grpc:` alone turns it on with its defaults."""
    source: SamplingSource = SamplingSource()
    """Strategies for services of which no tracing config speaks."""
    adaptive: AdaptiveSampling | None = None
    """Rates that are reckoned, for services of which neither a tracing config nor the file speaks by name. Needs the processor
    `adaptive_sampling`, here or on other collectors with the same store."""

    @property
    def listeners(self) -> Mapping[str, SamplingHttp | SamplingGrpc]:
        """Each server, by the key where it stands."""
        return {"http": self.http, **({} if self.grpc is None else {"grpc": self.grpc})}
