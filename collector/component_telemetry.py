"""Where the components of a pipeline count: exporters, load balancers and processors, each under its own labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from collector.histogram import Histogram
from collector.metrics import (
    BALANCER_BACKENDS,
    BALANCER_LATENCY,
    BALANCER_OUTCOMES,
    BALANCER_RESOLUTIONS,
    BALANCER_UPDATES,
    BATCH_BYTES,
    BATCH_SPANS,
    DEAD_LETTER_SPANS,
    DERIVED_ROWS,
    DROPPED_DERIVED_ROWS,
    DROPPED_SPANS,
    FILTERED_SPANS,
    INSERT_SECONDS,
    PROCESSOR_CHANGES,
    PROCESSOR_FAILURES,
    PROCESSOR_INCOMING,
    PROCESSOR_OUTGOING,
    REROUTED_SPANS,
    RETRIED_BATCHES,
    SAMPLED_SPANS,
    SEND_FAILED_SPANS,
    SENT_BYTES,
    SENT_SPANS,
    TAIL_AGE_SECONDS,
    TAIL_DECISION_MILLISECONDS,
    TAIL_EARLY,
    TAIL_FAILURES,
    TAIL_HELD_BYTES,
    TAIL_HELD_SPANS,
    TAIL_HELD_TRACES,
    TAIL_LATE,
    TAIL_LATE_SPAN_AGE_SECONDS,
    TAIL_NEW_TRACES,
    TAIL_POLICY_MICROSECONDS,
    TAIL_SPANS,
    TAIL_TRACES,
    TAIL_VOTES,
    Definition,
)
from collector.service_graph import CallMeasures
from collector.span_metrics import SpanMeasures
from collector.trace_decisions import HeldReaders, TraceDecisions


class Counts(Protocol):
    """What all components of the daemon count into (`collector.telemetry.Telemetry`)."""

    def count(self, metric: Definition, labels: tuple[str, ...], amount: float = 1) -> None:
        """Add to a counter."""

    def histogram(self, metric: Definition, labels: tuple[str, ...]) -> Histogram:
        """The histogram of these labels, to be observed directly."""

    def forget(self, metric: Definition, labels: tuple[str, ...]) -> None:
        """Show what was counted or observed under these labels no more."""

    def read(self, metric: Definition, labels: tuple[str, ...], reader: Callable[[], float]) -> None:
        """Let `reader` tell a gauge whenever `/metrics` is asked for."""

    def measured(self, measures: SpanMeasures | CallMeasures) -> None:
        """So much was counted of the spans of a batch."""

    def rule_dropped(self, labels: tuple[str, str, str, str], spans: int) -> None:
        """A rule of a processor dropped so many spans: processor, exporter, rule and reason."""


class ExporterTelemetry:
    """Where one exporter counts, or a component in front of it."""

    def __init__(self, telemetry: Counts, exporter: str) -> None:
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

    def __init__(self, telemetry: Counts, exporter: str, resolver: str) -> None:
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

    def __init__(self, telemetry: Counts, processor: str, exporter: str) -> None:
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
        for policy, took_s in decisions.took_s.items():
            self._telemetry.histogram(TAIL_POLICY_MICROSECONDS, (*labels, policy)).observe(1e6 * took_s)
        for histogram, ages in ((TAIL_AGE_SECONDS, decisions.ages), (TAIL_LATE_SPAN_AGE_SECONDS, decisions.late_ages)):
            self._telemetry.histogram(histogram, labels).add(*ages)

    def decision_took(self, seconds: float) -> None:
        """A tail sampler was so long at deciding what was due."""
        self._telemetry.histogram(TAIL_DECISION_MILLISECONDS, self._labels).observe(1000 * seconds)

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
