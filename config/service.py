"""How the components are put together, and what the daemon says about itself: the `service` section."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from config.section import Section
from config.values import AnyCase, Duration, PositiveCount

LogLevel = Annotated[Literal["debug", "info", "warn", "error"], AnyCase]
MetricsLevel = Annotated[Literal["none", "basic", "normal", "detailed"], AnyCase]

_SPANS_ONLY = "spanhouse takes spans only"


class Pipeline(Section):
    """The way of the spans; every name is a key of the section of the same name."""

    receivers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Where spans come from."""
    processors: tuple[str, ...] = ()
    """What happens to them, in this order."""
    exporters: Annotated[tuple[str, ...], Field(min_length=1)]
    """Where they go."""


class Pipelines(Section):
    """The pipelines: there is one, for spans."""

    traces: Pipeline
    """The pipeline of the spans."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "traces/name": "there is one pipeline; list all receivers and exporters under traces",
        "metrics": _SPANS_ONLY,
        "logs": _SPANS_ONLY,
        "profiles": _SPANS_ONLY,
    }


class Logs(Section):
    """The daemon's own log, on standard error."""

    level: LogLevel = "info"
    """The least severe kind of line that is written: `debug`, `info`, `warn` or `error`."""
    encoding: Literal["console", "json"] = "console"
    """`console` for people, `json` for programs."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "output_paths": "redirect standard error",
        "error_output_paths": "redirect standard error",
        "sampling": "each occurrence is already logged only once",
        "initial_fields": "add fields where the log is collected",
        "development": "use level: debug",
        "disable_caller": "lines name no source file",
        "disable_stacktrace": "only unexpected errors carry a stack trace",
        "processors": "collect standard error",
    }


class Metrics(Section):
    """The daemon's own metrics, at `/metrics` on the endpoint of the query extension."""

    level: MetricsLevel = "normal"
    """`none` serves no metrics. `basic`, `normal` and `detailed` serve all that there are: none of them costs much."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "address": "metrics are at /metrics on the endpoint of the query extension",
        "readers": "metrics are at /metrics on the endpoint of the query extension",
        "views": "drop metrics where they are scraped",
    }


class Telemetry(Section):
    """What the daemon says about itself."""

    logs: Logs = Logs()
    """The daemon's own log."""
    metrics: Metrics = Metrics()
    """The daemon's own metrics."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "traces": "the daemon makes no spans of its own",
        "resource": "add labels where metrics and logs are collected",
    }


class Service(Section):
    """How the components are put together."""

    extensions: tuple[str, ...] = ()
    """Extensions that run."""
    pipelines: Pipelines
    """The way of the spans."""
    telemetry: Telemetry = Telemetry()
    """What the daemon says about itself."""
    max_in_flight_bytes: PositiveCount = 268_435_456
    """The most that requests take in memory, over all receivers, until they are answered. Beyond it, clients are asked
    to come back later; a request that is alone is always taken. The Collector has no such key."""
    config_check_interval: Duration = Duration.parse("5s")
    """How often the configuration file is looked at; when it has changed, what is said of processors takes effect. 0 never looks.
    The Collector has no such key."""
    shutdown_timeout: Duration = Duration.parse("10s")
    """How long the daemon may take at its end to store what it has acknowledged. The Collector has no such key."""
