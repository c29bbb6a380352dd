"""What the daemon counts about itself (`collector/metrics.py` says what that is), and how Prometheus gets to see it.

Components count with plain integers, a few additions a call; names, labels and texts meet them only when `/metrics` is asked for.
"""

from __future__ import annotations

import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.clock import SYSTEM, Clock
from collector.component_telemetry import ExporterTelemetry, LoadBalancerTelemetry, ProcessorTelemetry
from collector.histogram import Histogram
from collector.memory import resident_bytes
from collector.metrics import (
    ACCEPTED_BYTES,
    ACCEPTED_REQUESTS,
    ACCEPTED_SPANS,
    BUILD_INFO,
    DROPPED_BY_RULE,
    FAILED_REQUESTS,
    METRICS,
    PROCESS_CPU_SECONDS,
    PROCESS_RESIDENT_BYTES,
    PROCESS_UPTIME_SECONDS,
    QUERY_REFUSED,
    REFUSED_BY_REASON,
    REFUSED_SPANS,
    THROTTLED_REQUESTS,
    Definition,
)
from collector.service_graph import CallMeasures, ServiceGraph
from collector.span_metrics import SpanMeasures, SpanMetrics

Labels = tuple[str, ...]

_MOST_LABELS: Final = 1000
"""Different sets of labels of a metric, where labels come from outside."""


class Telemetry:
    """Where receivers and exporters count; of use from the event loop's thread alone.

    Args:
        version: of the daemon.
        clock: for the time since the start.
    """

    def __init__(self, version: str, clock: Clock = SYSTEM) -> None:
        self._counts: defaultdict[Definition, defaultdict[Labels, float]] = defaultdict(lambda: defaultdict(int))
        self._histograms: defaultdict[Definition, dict[Labels, Histogram]] = defaultdict(dict)
        self._readers: defaultdict[Definition, dict[Labels, Callable[[], float]]] = defaultdict(dict)
        self._table_readers: dict[Definition, Callable[[], Iterable[tuple[Labels, float]]]] = {}
        self._accepted: dict[Labels, list[int]] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Exposition(self))
        self._span_metrics = SpanMetrics(clock.monotonic)
        self._registry.register(self._span_metrics)
        self._service_graph = ServiceGraph(clock.monotonic)
        self._registry.register(self._service_graph)
        started_s = clock.monotonic()
        self.read(PROCESS_UPTIME_SECONDS, (), lambda: clock.monotonic() - started_s)
        self.read(PROCESS_CPU_SECONDS, (), time.process_time)
        self.read(PROCESS_RESIDENT_BYTES, (), resident_bytes)
        self.read(BUILD_INFO, (version, platform.python_version()), lambda: 1)

    # What receivers count.

    def accepted(self, receiver: str, transport: str, spans: int, size: int) -> None:
        """A request was taken: so many spans, so many bytes of protobuf."""
        counts = self._accepted.get((receiver, transport))
        if counts is None:
            counts = self._watch_accepted((receiver, transport))
        counts[0] += spans
        counts[1] += size
        counts[2] += 1

    def refused(self, receiver: str, transport: str, reason: str, spans: int) -> None:
        """Spans of a taken request were refused, for one reason."""
        self._counts[REFUSED_SPANS][receiver, transport] += spans
        self._counts[REFUSED_BY_REASON][receiver, transport, reason] += spans

    def failed(self, receiver: str, transport: str, kind: str) -> None:
        """A request was not taken; `kind` is a row of the answers table."""
        self._counts[FAILED_REQUESTS][receiver, transport, kind] += 1

    def throttled(self, receiver: str, workspace: str, reason: str) -> None:
        """A request of a workspace was told to come later: `bytes` or `spans` over its limit, or `share` over its fair one."""
        counts = self._counts[THROTTLED_REQUESTS]
        labels = (receiver, workspace, reason)
        # Names of workspaces come from outside: there must not be more of them than can be shown.
        counts[labels if labels in counts or len(counts) < _MOST_LABELS else (receiver, "", reason)] += 1

    def rule_dropped(self, labels: tuple[str, str, str, str], spans: int) -> None:
        """A rule of a processor dropped spans; labels are those of DROPPED_BY_RULE."""
        counts = self._counts[DROPPED_BY_RULE]
        processor, exporter, _, reason = labels
        # Tracing configs come and go.
        counts[labels if labels in counts or len(counts) < _MOST_LABELS else (processor, exporter, "", reason)] += spans

    # What the query port counts.

    def query_refused(self, extension: str, reason: str) -> None:
        """A request to a query port was refused before it was answered; `reason` is from a small fixed set."""
        self._counts[QUERY_REFUSED][extension, reason] += 1

    def exporter(self, exporter: str) -> ExporterTelemetry:
        """Where the exporter of this id counts."""
        return ExporterTelemetry(self, exporter)

    def processor(self, processor: str, exporter: str) -> ProcessorTelemetry:
        """Where the processor of this id counts what it does on the way to an exporter."""
        return ProcessorTelemetry(self, processor, exporter)

    def measured(self, measures: SpanMeasures | CallMeasures) -> None:
        """So much was counted of the spans of a batch."""
        if isinstance(measures, CallMeasures):
            self._service_graph.add(measures)
        else:
            self._span_metrics.add(measures)

    def load_balancer(self, exporter: str, resolver: str) -> LoadBalancerTelemetry:
        """Where the load balancer of this id, with this kind of resolver, counts what it does with its backends."""
        return LoadBalancerTelemetry(self, exporter, resolver)

    # What everybody may use.

    def count(self, metric: Definition, labels: Labels, amount: float = 1) -> None:
        """Add to a counter."""
        self._counts[metric][labels] += amount

    def histogram(self, metric: Definition, labels: Labels) -> Histogram:
        """The histogram of these labels, to be observed directly."""
        histograms = self._histograms[metric]
        if labels not in histograms:
            histograms[labels] = Histogram(metric.buckets)
        return histograms[labels]

    def forget(self, metric: Definition, labels: Labels) -> None:
        """Show what was counted or observed under these labels no more."""
        self._counts[metric].pop(labels, None)
        self._histograms[metric].pop(labels, None)

    def read(self, metric: Definition, labels: Labels, reader: Callable[[], float]) -> None:
        """Let `reader` tell a gauge, or a counter that is kept elsewhere, whenever `/metrics` is asked for."""
        self._readers[metric][labels] = reader

    def read_all(self, metric: Definition, reader: Callable[[], Iterable[tuple[Labels, float]]]) -> None:
        """Let `reader` tell values for labels that it alone knows, whenever `/metrics` is asked for."""
        self._table_readers[metric] = reader

    def value(self, metric: Definition, *labels: str) -> float:
        """What a counter or gauge stands at now; 0 for labels that were not seen."""
        reader = self._readers[metric].get(labels)
        return self._counts[metric].get(labels, 0) if reader is None else reader()

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return self.snapshot().exposition()

    def snapshot(self) -> Snapshot:
        """All metrics as they are now."""
        return Snapshot(list(self._registry.collect()))

    def families(self) -> Iterable[Metric]:
        """All metrics in Prometheus' classes, those without values included, so that their names are there from the start."""
        for metric in METRICS:
            if metric.kind == "histogram":
                yield self._histogram_family(metric)
            else:
                yield self._plain_family(metric)

    def _plain_family(self, metric: Definition) -> Metric:
        family: CounterMetricFamily | GaugeMetricFamily
        if metric.kind == "counter":
            family = CounterMetricFamily(metric.name, metric.text, labels=metric.labels)
        else:
            family = GaugeMetricFamily(metric.name, metric.text, labels=metric.labels)
        for labels, count in self._counts[metric].items():
            family.add_metric(labels, count)
        for labels, reader in self._readers[metric].items():
            family.add_metric(labels, reader())
        if metric in self._table_readers:
            for labels, value in self._table_readers[metric]():
                family.add_metric(labels, value)
        return family

    def _histogram_family(self, metric: Definition) -> Metric:
        family = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
        for labels, histogram in self._histograms[metric].items():
            family.add_metric(labels, histogram.cumulative(), histogram.total)
        return family

    def _watch_accepted(self, labels: Labels) -> list[int]:
        counts = self._accepted[labels] = [0, 0, 0]
        for position, metric in enumerate((ACCEPTED_SPANS, ACCEPTED_BYTES, ACCEPTED_REQUESTS)):
            self.read(metric, labels, lambda position=position: counts[position])  # type: ignore[misc]  # a default binds now
        return counts


class Snapshot(Collector):
    """Metrics as they were at a moment; of use from any thread."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families

    def exposition(self) -> bytes:
        """All of them in Prometheus' text format; for thousands of series that takes a tenth of a second."""
        return generate_latest(self)


class _Exposition(Collector):
    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterable[Metric]:
        return self._telemetry.families()
