"""What becomes of the spans of single services, as tracing configs say: the processor `service_policy`."""

from pydantic import field_validator

from config.section import Section
from config.values import Duration, Share


class DefaultPolicy(Section):
    """What becomes of the spans of services for which no tracing config speaks."""

    enabled: bool = True
    """Whether they are kept at all."""
    sampling_rate: Share = 1.0
    """The share of the traces that is kept, from 0 to 1."""


class ServicePolicyProcessor(Section):
    """Does with the spans of each service what its tracing config says. The Collector has no such processor."""

    refresh_interval: Duration = Duration.parse("2s")
    """How often the tracing configs are looked at for changes."""
    default: DefaultPolicy = DefaultPolicy()
    """What becomes of the spans of services for which no tracing config speaks."""
    apply_sampling_rates: bool = True
    """Whether traces are sampled here. Say `false` where services sample by themselves, at the rates that they get from
    `/sampling`: otherwise their traces would be sampled twice."""

    @field_validator("refresh_interval")
    @classmethod
    def _some_time(cls, value: Duration) -> Duration:
        if value < Duration.parse("100ms"):
            raise ValueError("must be at least 100ms")
        return value
