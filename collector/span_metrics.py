"""What was counted of spans, for Prometheus, under the names of the Collector's connector `spanmetrics`.

Counts are of the spans that each span stands for, so they need not be whole numbers. They begin at the daemon's start; what is
to last is in ClickHouse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.series_bound import OVERFLOW, SeriesBound

_EXPIRY_INTERVAL_S: Final = 60.0
_LABELS: Final = ("workspace", "service_name", "span_name", "span_kind", "status_code")
_UNITS: Final = {"ms": ("milliseconds", 1_000_000), "s": ("seconds", 1_000_000_000)}
"""Unit → how a metric's name has it, and its nanoseconds."""


@dataclass(frozen=True, slots=True)
class SeriesSettings:
    """How series are told apart and shown.

    Attributes:
        dimensions: names of the labels behind those that every series has.
        bounds_ns: upper bounds of the histogram's buckets, rising, in nanoseconds.
        unit: of durations, ms or s.
        max_series: that are told apart, as `SeriesBound` has it; and as many that stand for others.
        expiration_s: a series ends so many seconds after its last span; 0 never.
    """

    dimensions: tuple[str, ...]
    bounds_ns: tuple[int, ...]
    unit: str
    max_series: int
    expiration_s: float


@dataclass(frozen=True, slots=True)
class SpanMeasures:
    """What was counted of the spans of one batch, a row for each series.

    Attributes:
        settings: the same for all batches of a processor.
        labels: workspace, service, operation, kind and status as in the table of the spans, then the dimensions.
        calls: spans, float64, shape (series,).
        durations_ns: their durations together, float64, shape (series,).
        buckets: of them, those in each bucket of the histogram, float64, shape (series, bounds + 1).
    """

    settings: SeriesSettings
    labels: Sequence[tuple[str, ...]]
    calls: NDArray[np.float64]
    durations_ns: NDArray[np.float64]
    buckets: NDArray[np.float64]


@dataclass(slots=True)
class _Series:
    calls: float
    duration_ns: float
    buckets: NDArray[np.float64]
    seen_s: float


class SpanMetrics(Collector):
    """The series of one daemon; of use from the event loop's thread alone.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._settings = SeriesSettings((), (), "ms", 0, 0)
        self._begin()

    def add(self, measures: SpanMeasures) -> None:
        """Count what was counted of a batch. Other settings begin anew."""
        if measures.settings != self._settings:
            self._settings = measures.settings
            self._begin()
        now_s = self._monotonic()
        self._expire(now_s)
        rows = zip(measures.labels, measures.calls.tolist(), measures.durations_ns.tolist(), measures.buckets, strict=True)
        for labels, calls, duration_ns, buckets in rows:
            series = self._place(labels)
            series.calls += calls
            series.duration_ns += duration_ns
            series.buckets += buckets
            series.seen_s = now_s

    def _begin(self) -> None:
        self._series: dict[tuple[str, ...], _Series] = {}
        self._next_expiry_s = 0.0
        most, expiration_s = self._settings.max_series, self._settings.expiration_s
        self._apart, self._together = (SeriesBound(most, expiration_s, self._monotonic) for _ in range(2))

    def _place(self, labels: tuple[str, ...]) -> _Series:
        """Where a series is counted: under its own labels as long as there is room."""
        if labels[2] == OVERFLOW or not self._apart.admit(labels):
            labels = overflowing(labels)
            if not self._together.admit(labels):
                labels = overflowing(("",) * len(labels))
        if labels not in self._series:
            self._series[labels] = _Series(0.0, 0.0, np.zeros(len(self._settings.bounds_ns) + 1), 0.0)
        return self._series[labels]

    def _expire(self, now_s: float) -> None:
        if self._settings.expiration_s and now_s >= self._next_expiry_s:
            oldest_s = now_s - self._settings.expiration_s
            self._series = {labels: series for labels, series in self._series.items() if series.seen_s > oldest_s}
            self._next_expiry_s = now_s + min(self._settings.expiration_s, _EXPIRY_INTERVAL_S)

    def collect(self) -> Iterable[Metric]:
        """All series in Prometheus' classes; nothing where no spans are counted."""
        settings = self._settings
        if not settings.bounds_ns:
            return []
        # When no spans come any more, too.
        self._expire(self._monotonic())
        unit, unit_ns = _UNITS[settings.unit]
        names = (*_LABELS, "otel_metric_overflow", *settings.dimensions)
        calls = CounterMetricFamily("traces_span_metrics_calls", "Spans, and those that sampling has dropped.", labels=names)
        durations = HistogramMetricFamily(f"traces_span_metrics_duration_{unit}", f"Durations of spans in {unit}.", labels=names)
        bounds = [*(f"{bound / unit_ns:g}" for bound in settings.bounds_ns), "+Inf"]
        for labels, series in self._series.items():
            shown = _shown(labels)
            calls.add_metric(shown, series.calls)
            cumulative = np.cumsum(series.buckets).tolist()
            durations.add_metric(shown, list(zip(bounds, cumulative, strict=True)), series.duration_ns / unit_ns)
        return [calls, durations]


def overflowing(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels under which a series is counted that is not told apart from others."""
    workspace, service, _, kind, status, *dimensions = labels
    return (workspace, service, OVERFLOW, kind, status, *("" for _ in dimensions))


def _shown(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Values of the labels, as the Collector has them. Prometheus takes an empty one as none."""
    workspace, service, operation, kind, status, *dimensions = labels
    is_overflow = operation == OVERFLOW
    return (
        workspace,
        service,
        "" if is_overflow else operation,
        f"SPAN_KIND_{kind.upper()}" if kind else "",
        f"STATUS_CODE_{status.upper()}" if status else "",
        "true" if is_overflow else "",
        *dimensions,
    )
