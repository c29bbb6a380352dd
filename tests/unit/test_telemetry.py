"""What is counted is shown, under names that dashboards know."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector import metrics
from collector.clock import Clock
from collector.histogram import Histogram
from collector.metrics import METRICS
from collector.telemetry import Telemetry


def samples(telemetry: Telemetry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample that Prometheus would read: (name, labels) → value."""
    families = text_string_to_metric_families(telemetry.exposition().decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def test_every_metric_has_a_name_of_its_own() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS) > 0


def test_every_metric_is_named_for_the_collector_or_for_us_and_described() -> None:
    for metric in METRICS:
        assert metric.name.startswith(("otelcol_", "spanhouse_"))
        assert metric.text.endswith(".")
        assert not metric.name.endswith("_total"), "Prometheus adds it"
        assert bool(metric.buckets) == (metric.kind == "histogram")


def test_names_are_there_before_anything_is_counted() -> None:
    text = Telemetry("1.0").exposition().decode()
    for metric in METRICS:
        suffix = "_total" if metric.kind == "counter" else ""
        assert f"# TYPE {metric.name}{suffix} {metric.kind}\n" in text


def test_what_receivers_count_is_shown_by_receiver_and_transport() -> None:
    telemetry = Telemetry("1.0")
    telemetry.accepted("otlp", "grpc", 10, 1000)
    telemetry.accepted("otlp", "grpc", 5, 500)
    telemetry.accepted("otlp", "http", 1, 100)
    telemetry.refused("otlp", "grpc", "trace_id_zero", 2)
    telemetry.refused("otlp", "grpc", "span_id_length", 1)
    telemetry.failed("otlp", "http", "malformed")
    shown = samples(telemetry)
    grpc = (("receiver", "otlp"), ("transport", "grpc"))
    http = (("receiver", "otlp"), ("transport", "http"))
    assert shown["otelcol_receiver_accepted_spans_total", grpc] == 15
    assert shown["spanhouse_receiver_accepted_bytes_total", grpc] == 1500
    assert shown["spanhouse_receiver_accepted_requests_total", grpc] == 2
    assert shown["otelcol_receiver_accepted_spans_total", http] == 1
    assert shown["otelcol_receiver_refused_spans_total", grpc] == 3
    assert shown["spanhouse_receiver_refused_spans_total", (("reason", "trace_id_zero"), *grpc)] == 2
    assert shown["spanhouse_receiver_failed_requests_total", (("reason", "malformed"), *http)] == 1


def test_what_exporters_count_is_shown_by_exporter_and_reason() -> None:
    telemetry = Telemetry("1.0")
    exporter = telemetry.exporter("clickhouse")
    exporter.stored(8192, 900_000, 0.2)
    exporter.stored(1, 300, 0.004)
    exporter.dropped(7, "cannot_parse_text")
    exporter.retried("unreachable")
    shown = samples(telemetry)
    labels = (("exporter", "clickhouse"),)
    assert shown["otelcol_exporter_sent_spans_total", labels] == 8193
    assert shown["otelcol_exporter_send_failed_spans_total", labels] == 7
    assert shown["spanhouse_exporter_dropped_spans_total", (*labels, ("reason", "cannot_parse_text"))] == 7
    assert shown["spanhouse_exporter_retries_total", (*labels, ("reason", "unreachable"))] == 1
    assert shown["otelcol_processor_batch_batch_send_size_sum", labels] == 8193
    assert shown["spanhouse_exporter_insert_seconds_bucket", (*labels, ("le", "0.005"))] == 1
    assert shown["spanhouse_exporter_insert_seconds_count", labels] == 2


def test_gauges_are_read_when_they_are_asked_for() -> None:
    telemetry = Telemetry("1.0")
    waiting = [0]
    telemetry.read(metrics.QUEUE_SPANS, ("clickhouse",), lambda: waiting[0])
    waiting[0] = 12
    assert samples(telemetry)["spanhouse_queue_spans", (("exporter", "clickhouse"),)] == 12
    assert telemetry.value(metrics.QUEUE_SPANS, "clickhouse") == 12


def test_the_process_tells_of_itself() -> None:
    now_s = 100.0
    telemetry = Telemetry("1.2.3", Clock(monotonic=lambda: now_s))
    now_s = 130.0
    shown = samples(telemetry)
    assert shown["otelcol_process_uptime_total", ()] == 30
    assert shown["otelcol_process_memory_rss", ()] > 1 << 20
    assert shown["otelcol_process_cpu_seconds_total", ()] > 0
    assert any(name == "spanhouse_build_info" and ("version", "1.2.3") in labels for name, labels in shown)


@pytest.mark.parametrize(("value", "bucket"), [(0.5, 0), (1, 0), (1.5, 1), (10, 1), (11, 2)])
def test_an_upper_bound_belongs_to_its_bucket(value: float, bucket: int) -> None:
    histogram = Histogram((1, 10))
    histogram.observe(value)
    assert histogram.counts.index(1) == bucket
    assert histogram.cumulative()[-1] == ("+Inf", 1)


def test_of_a_backend_that_has_left_nothing_is_shown_any_more() -> None:
    telemetry = Telemetry("1.0")
    balancer = telemetry.load_balancer("loadbalancing", "dns")
    for backend in ("10.0.0.1:4317", "10.0.0.2:4317"):
        balancer.outcome(backend, True, 0.01)
        balancer.outcome(backend, False, 0.01)
    balancer.left("10.0.0.1:4317")
    endpoints = [dict(labels).get("endpoint") for _, labels in samples(telemetry)]
    assert "10.0.0.2:4317" in endpoints
    assert "10.0.0.1:4317" not in endpoints
