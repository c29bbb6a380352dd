"""What is counted of spans: the settings of the processor `red_metrics`."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from config.histogram import BUCKETS, Buckets
from config.section import Section
from config.values import Duration, PositiveCount

_ALWAYS = ("workspace", "service_name", "span_name", "span_kind", "status_code", "otel_metric_overflow", "le")


def label_of(dimension: str) -> str:
    """The label that an attribute has in Prometheus."""
    return re.sub(r"[^A-Za-z0-9_]", "_", dimension)


class Dimension(Section):
    """An attribute by whose values spans are told apart as well."""

    name: Annotated[str, Field(min_length=1)]
    """Its key: of the span, or of its resource where the span has none."""
    default: str | None = None
    """The value of spans that have neither; without it they have no such dimension."""


class ExplicitBuckets(Section):
    """The buckets of the histogram."""

    buckets: Buckets = BUCKETS
    """Durations up to and with each of these are counted apart."""


class DurationHistogram(Section):
    """The histogram of durations in `/metrics`. In ClickHouse there is a sketch, which has no such settings."""

    unit: Literal["ms", "s"] = "ms"
    """The unit of durations, which is in the name of the metric as well: milliseconds or seconds."""
    explicit: ExplicitBuckets = ExplicitBuckets()
    """The buckets."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "disable": "leave it out: the histogram is bounded by max_series",
        "exponential": "use explicit; in ClickHouse every series has an exponential histogram",
        "dimensions": "use dimensions of red_metrics",
    }


class RedMetricsProcessor(Section):
    """Counts spans, errors and durations by workspace, service, operation, kind and status, as the Collector's connector
    `spanmetrics` does: into a table by minute, and for `/metrics`. The spans themselves go on as they are."""

    dimensions: tuple[Dimension, ...] = ()
    """Attributes by whose values spans are told apart as well."""
    max_series: Annotated[PositiveCount, Field(le=100_000)] = 1000
    """Most combinations of all these that are counted apart, in `/metrics` and in the table: those that come first. A workspace
    that has fewer than its share then still gets more, until there are twice as many. Spans of others are counted under the name
    `otel.metric.overflow`, by service, kind and status."""
    series_expiration: Duration = Duration.parse("1h")
    """A series ends this long after its last span, and another one may take its place; 0 never ends it, as in the Collector."""
    histogram: DurationHistogram = DurationHistogram()
    """The histogram of durations in `/metrics`."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "calls_dimensions": "use dimensions",
        "exclude_dimensions": "leave it out: a query sums up what it does not ask for",
        "aggregation_temporality": "leave it out: Prometheus takes cumulative metrics",
        "aggregation_cardinality_limit": "use max_series",
        "namespace": "leave it out: metrics are called traces_span_metrics_*",
        "metrics_flush_interval": "leave it out: metrics are there when they are asked for",
        "metrics_expiration": "use series_expiration",
        "dimensions_cache_size": "use max_series",
        "resource_metrics_cache_size": "use max_series",
        "resource_metrics_key_attributes": "leave it out: all instances of a service share its series",
        "metric_timestamp_cache_size": "leave it out: Prometheus takes cumulative metrics",
        "exemplars": "leave it out: GET /api/v1/traces finds the traces of an operation",
        "events": "leave it out: events are in the table of the spans",
        "include_instrumentation_scope": "leave it out: scopes do not divide series",
        "add_resource_attributes": "use dimensions",
    }

    @field_validator("dimensions")
    @classmethod
    def _labels_of_their_own(cls, value: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
        labels = list(_ALWAYS)
        for dimension in value:
            label = label_of(dimension.name)
            if label in labels:
                raise ValueError(f"{dimension.name} would be the label {label}, which is there already")
            labels.append(label)
        return value
