"""What the daemon counts about itself (`collector/metrics.py` says what that is), and how Prometheus gets to see it.

Components count with plain integers, a few additions a call; names, labels and texts meet them only when `/metrics` is asked for.
"""

from __future__ import annotations

import platform
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.clock import SYSTEM, Clock
from collector.memory import resident_bytes
from collector.metrics import (
    ACCEPTED_BYTES,
    ACCEPTED_REQUESTS,
    ACCEPTED_SPANS,
    BALANCER_BACKENDS,
    BALANCER_LATENCY,
    BALANCER_OUTCOMES,
    BALANCER_RESOLUTIONS,
    BALANCER_UPDATES,
    BATCH_BYTES,
    BATCH_SPANS,
    BUILD_INFO,
    DEAD_LETTER_SPANS,
    DERIVED_ROWS,
    DROPPED_BY_RULE,
    DROPPED_DERIVED_ROWS,
    DROPPED_SPANS,
    FAILED_REQUESTS,
    FILTERED_SPANS,
    INSERT_SECONDS,
    METRICS,
    PROCESS_CPU_SECONDS,
    PROCESS_RESIDENT_BYTES,
    PROCESS_UPTIME_SECONDS,
    PROCESSOR_CHANGES,
    PROCESSOR_FAILURES,
    PROCESSOR_INCOMING,
    PROCESSOR_OUTGOING,
    QUERY_REFUSED,
    REFUSED_BY_REASON,
    REFUSED_SPANS,
    REROUTED_SPANS,
    RETRIED_BATCHES,
    SAMPLED_SPANS,
    SEND_FAILED_SPANS,
    SENT_BYTES,
    SENT_SPANS,
    TAIL_AGE_SECONDS,
    TAIL_EARLY,
    TAIL_FAILURES,
    TAIL_HELD_BYTES,
    TAIL_HELD_SPANS,
    TAIL_HELD_TRACES,
    TAIL_LATE,
    TAIL_NEW_TRACES,
    TAIL_SPANS,
    TAIL_TRACES,
    TAIL_VOTES,
    THROTTLED_REQUESTS,
    Definition,
)
from collector.service_graph import CallMeasures, ServiceGraph
from collector.span_metrics import SpanMeasures, SpanMetrics
from collector.trace_decisions import HeldReaders, TraceDecisions

Labels = tuple[str, ...]

_MOST_LABELS: Final = 1000
"""Different sets of labels of a metric, where labels come from outside."""


class Histogram:
    """Counts observations by size: one more than `bounds` buckets, the last without bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add(self, counts: Sequence[int], total: float) -> None:
        """Count many observations at once: so many in each bucket, and their sum."""
        self.counts = [count + more for count, more in zip(self.counts, counts, strict=True)]
        self.total += total

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper bound and number of observations up to it, in Prometheus' form."""
        buckets, seen = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            seen += count
            buckets.append((bound, float(seen)))
        return buckets


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


class ExporterTelemetry:
    """Where one exporter counts, or a component in front of it."""

    def __init__(self, telemetry: Telemetry, exporter: str) -> None:
        self._telemetry = telemetry
        self._labels = (exporter,)

    def stored(self, spans: int, size: int, duration_s: float) -> None:
        """So many spans and bytes on the wire were stored; the last attempt took so long."""
        self._telemetry.count(SENT_SPANS, self._labels, spans)
        self._telemetry.count(SENT_BYTES, self._labels, size)
        self._telemetry.histogram(INSERT_SECONDS, self._labels).observe(duration_s)
        self._telemetry.histogram(BATCH_SPANS, self._labels).observe(spans)
        self._telemetry.histogram(BATCH_BYTES, self._labels).observe(size)

    def dropped(self, spans: int, reason: str) -> None:
        """Acknowledged spans were given up; `reason` is from a small fixed set."""
        self._telemetry.count(SEND_FAILED_SPANS, self._labels, spans)
        self._telemetry.count(DROPPED_SPANS, (*self._labels, reason), spans)

    def set_aside(self, spans: int, reason: str) -> None:
        """Acknowledged spans were given up, and kept as dead letters; `reason` is from a small fixed set."""
        self._telemetry.count(DEAD_LETTER_SPANS, (*self._labels, reason), spans)

    def retried(self, reason: str) -> None:
        """An attempt failed and will be made again."""
        self._telemetry.count(RETRIED_BATCHES, (*self._labels, reason))

    def rows_stored(self, table: str, rows: int) -> None:
        """Rows that were made of spans were stored; `table` is from a small fixed set."""
        self._telemetry.count(DERIVED_ROWS, (*self._labels, table), rows)

    def rows_dropped(self, table: str, rows: int, reason: str) -> None:
        """Rows that were made of spans were given up; `reason` is from a small fixed set."""
        self._telemetry.count(DROPPED_DERIVED_ROWS, (*self._labels, table, reason), rows)


class LoadBalancerTelemetry:
    """Where one load balancer counts what it does with its backends."""

    def __init__(self, telemetry: Telemetry, exporter: str, resolver: str) -> None:
        self._telemetry = telemetry
        self._exporter = exporter
        self._resolver = resolver
        self._count = 0
        telemetry.read(BALANCER_BACKENDS, (exporter, resolver), lambda: self._count)

    def resolved(self, success: bool) -> None:
        """It was asked which backends there are."""
        self._telemetry.count(BALANCER_RESOLUTIONS, (self._exporter, self._resolver, str(success).lower()))

    def backends(self, count: int) -> None:
        """So many there are from now on, which are not those that there were."""
        self._count = count
        self._telemetry.count(BALANCER_UPDATES, (self._exporter, self._resolver))

    def outcome(self, backend: str, success: bool, seconds: float) -> None:
        """An attempt to send to a backend took so long, and went well or not."""
        self._telemetry.count(BALANCER_OUTCOMES, (self._exporter, backend, str(success).lower()))
        self._telemetry.histogram(BALANCER_LATENCY, (self._exporter, backend)).observe(seconds * 1000)

    def rerouted(self, spans: int) -> None:
        """Spans go to another backend than the one they waited for."""
        self._telemetry.count(REROUTED_SPANS, (self._exporter,), spans)

    def left(self, backend: str) -> None:
        """A backend is one no longer. Addresses come and go without end, so what was counted of it goes, too."""
        for success in ("true", "false"):
            self._telemetry.forget(BALANCER_OUTCOMES, (self._exporter, backend, success))
        self._telemetry.forget(BALANCER_LATENCY, (self._exporter, backend))


class ProcessorTelemetry:
    """Where one processor counts."""

    def __init__(self, telemetry: Telemetry, processor: str, exporter: str) -> None:
        self._telemetry = telemetry
        self._labels = (processor, exporter)
        self._is_filter = processor.partition("/")[0] == "filter"

    def processed(self, incoming: int, outgoing: int) -> None:
        """So many spans came, and so many went on."""
        self._telemetry.count(PROCESSOR_INCOMING, self._labels, incoming)
        self._telemetry.count(PROCESSOR_OUTGOING, self._labels, outgoing)
        if self._is_filter:
            self._telemetry.count(FILTERED_SPANS, self._labels, incoming - outgoing)

    def failed(self, rule: str, count: int) -> None:
        """A rule could not be evaluated for so many spans or events."""
        self._telemetry.count(PROCESSOR_FAILURES, (*self._labels, rule), count)

    def decided(self, policy: str, kept: bool, count: int) -> None:
        """A sampler decided so for so many spans."""
        self._telemetry.count(SAMPLED_SPANS, (*self._labels, policy, str(kept).lower()), count)

    def traces_decided(self, decisions: TraceDecisions) -> None:
        """A tail sampler decided about traces."""
        count, labels = self._telemetry.count, self._labels
        count(TAIL_NEW_TRACES, labels, decisions.opened)
        count(TAIL_EARLY, labels, decisions.early)
        for (policy, decision, sampled), traces in decisions.votes.items():
            count(TAIL_VOTES, (*labels, policy, str(sampled).lower(), decision), traces)
        for (policy, kept), spans in decisions.spans.items():
            count(TAIL_SPANS, (*labels, policy, str(kept).lower()), spans)
        for metric, by_kept in ((TAIL_TRACES, decisions.traces), (TAIL_LATE, decisions.late)):
            for kept, traces in by_kept.items():
                count(metric, (*labels, str(kept).lower()), traces)
        for policy, failures in decisions.failures.items():
            count(TAIL_FAILURES, (*labels, policy), failures)
        self._telemetry.histogram(TAIL_AGE_SECONDS, labels).add(decisions.ages, decisions.age_s)

    def holds(self, held: HeldReaders) -> None:
        """Show what a tail sampler holds."""
        for metric, reader in ((TAIL_HELD_TRACES, held.traces), (TAIL_HELD_SPANS, held.spans), (TAIL_HELD_BYTES, held.nbytes)):
            self._telemetry.read(metric, self._labels, reader)

    def changed(self, change: str, count: int) -> None:
        """So many attributes, events or links were changed or removed."""
        self._telemetry.count(PROCESSOR_CHANGES, (*self._labels, change), count)

    def measured(self, measures: SpanMeasures | CallMeasures) -> None:
        """So much was counted of the spans of a batch."""
        self._telemetry.measured(measures)

    def dropped(self, rule: str, reason: str, count: int) -> None:
        """A rule dropped so many spans."""
        self._telemetry.rule_dropped((*self._labels, rule, reason), count)


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
