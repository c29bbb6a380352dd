"""The dashboard of the collectors themselves, from Prometheus."""

from __future__ import annotations

from typing import Final

from collector.grafana.model import Json, chosen_by_labels, dashboard, data_source
from collector.grafana.panels import arranged, graph, heading, prometheus_query

_OF: Final = 'instance=~"$instance"'


def _rate(metric: str, *labels: str) -> Json:
    """How fast a counter grows, by labels."""
    names = ", ".join(labels)
    return prometheus_query(f"sum by ({names}) (rate({metric}{{{_OF}}}[$__rate_interval]))", _legend(*labels))


def _value(metric: str, *labels: str, function: str = "sum") -> Json:
    """A gauge, by labels."""
    return prometheus_query(f"{function} by ({', '.join(labels)}) ({metric}{{{_OF}}})", _legend(*labels))


def _quantiles(metric: str, label: str) -> list[Json]:
    """Median and 99th percentile of a histogram."""
    return [
        prometheus_query(
            f"histogram_quantile({q}, sum by ({label}, le) (rate({metric}_bucket{{{_OF}}}[$__rate_interval])))",
            f"{name} {{{{{label}}}}}",
        )
        for name, q in (("p50", 0.5), ("p99", 0.99))
    ]


def _legend(*labels: str) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in labels)


def _share(part: str, whole: str, *labels: str) -> Json:
    """A gauge as a share of another."""
    names = ", ".join(labels)
    return prometheus_query(f"sum by ({names}) ({part}{{{_OF}}}) / sum by ({names}) ({whole}{{{_OF}}})", _legend(*labels))


_RECEIVING: Final = (
    graph("Accepted spans", _rate("otelcol_receiver_accepted_spans_total", "receiver", "transport"), unit="cps", width=6),
    graph(
        "Refused spans",
        _rate("spanhouse_receiver_refused_spans_total", "reason"),
        unit="cps",
        width=6,
        description="Invalid spans in requests that were otherwise taken.",
    ),
    graph(
        "Failed requests",
        _rate("spanhouse_receiver_failed_requests_total", "reason"),
        unit="reqps",
        width=6,
        description="Requests that were not taken. Clients come again after `unavailable`.",
    ),
    graph(
        "Throttled requests", _rate("spanhouse_workspace_throttled_requests_total", "workspace", "reason"), unit="reqps", width=6
    ),
)
_WAITING: Final = (
    graph(
        "Oldest unsent span",
        _value("spanhouse_queue_oldest_age_seconds", "instance", "exporter", function="max"),
        unit="s",
        width=6,
        description="Above a minute, the store does not keep up.",
    ),
    graph(
        "Queue",
        _share("otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity", "instance", "exporter"),
        unit="percentunit",
        width=6,
        description="How full it is. A full queue turns clients away.",
    ),
    graph(
        "Journal",
        _share("spanhouse_journal_bytes", "spanhouse_journal_capacity_bytes", "instance"),
        unit="percentunit",
        width=6,
        description="How full it is. A full journal turns clients away.",
    ),
    graph("Turned away", _rate("otelcol_exporter_enqueue_failed_spans_total", "exporter"), unit="cps", width=6),
)
_STORING: Final = (
    graph("Stored spans", _rate("otelcol_exporter_sent_spans_total", "exporter"), unit="cps", width=6),
    graph("Time of inserts", *_quantiles("spanhouse_exporter_insert_seconds", "exporter"), unit="s", width=6),
    graph("Repeated inserts", _rate("spanhouse_exporter_retries_total", "exporter", "reason"), unit="cps", width=6),
    graph(
        "Lost or set aside",
        _rate("spanhouse_exporter_dropped_spans_total", "exporter", "reason"),
        _rate("spanhouse_exporter_dead_letter_spans_total", "exporter", "reason"),
        unit="cps",
        width=6,
        description="Acknowledged spans that were not stored. There should be none.",
    ),
)
_PROCESSING: Final = (
    graph(
        "Taken away by processors",
        prometheus_query(
            f"sum by (processor) (rate(otelcol_processor_incoming_items_total{{{_OF}}}[$__rate_interval]))"
            f" - sum by (processor) (rate(otelcol_processor_outgoing_items_total{{{_OF}}}[$__rate_interval]))",
            "{{processor}}",
        ),
        unit="cps",
    ),
    graph("Dropped by rule", _rate("spanhouse_processor_dropped_spans_total", "rule", "reason"), unit="cps"),
    graph("Rules that fail", _rate("spanhouse_processor_failures_total", "processor", "rule"), unit="cps"),
)
_TAIL: Final = (
    graph(
        "Decisions",
        _rate("otelcol_processor_tail_sampling_global_count_traces_sampled_total", "sampled"),
        unit="cps",
        width=6,
        is_stacked=True,
        description="Traces kept (true) and dropped (false).",
    ),
    graph(
        "Traces that wait", _value("otelcol_processor_tail_sampling_sampling_traces_on_memory", "instance"), unit="short", width=6
    ),
    graph("Memory of traces that wait", _value("spanhouse_tail_sampling_held_bytes", "instance"), unit="bytes", width=6),
    graph(
        "Decided early",
        _rate("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total", "processor"),
        unit="cps",
        width=6,
        description="Traces that were decided before their time, since too much was held.",
    ),
)
_ACCOUNT: Final = (
    graph(
        "Account of spans",
        _value("spanhouse_ledger_spans", "workspace", "state"),
        unit="short",
        width=12,
        description="accepted = stored + dead_letters + dropped + waiting",
    ),
    graph("Refused on the query port", _rate("spanhouse_query_refused_requests_total", "reason"), unit="reqps", width=6),
    graph(
        "Refused by the embedded ClickHouse", _rate("spanhouse_embedded_refused_requests_total", "reason"), unit="reqps", width=6
    ),
)
_PROCESS: Final = (
    graph("Memory", _value("otelcol_process_memory_rss", "instance"), unit="bytes", width=6),
    graph(
        "Processor time",
        _rate("otelcol_process_cpu_seconds_total", "instance"),
        unit="short",
        width=6,
        description="Cores in use.",
    ),
    graph("Time since the start", _value("otelcol_process_uptime_total", "instance"), unit="s", width=6),
    graph(
        "Restarts of the embedded ClickHouse",
        prometheus_query(f"sum by (instance) (increase(spanhouse_embedded_restarts_total{{{_OF}}}[$__range]))", "{{instance}}"),
        unit="short",
        width=6,
    ),
)

HEALTH: Final = dashboard(
    "collector-health",
    "Spanhouse: collector health",
    "What the collectors take, keep, store and drop, from their /metrics.",
    variables=[
        data_source("prometheus"),
        chosen_by_labels("instance", "Collector", "label_values(spanhouse_build_info, instance)"),
    ],
    panels=arranged(
        [heading("Receiving")],
        _RECEIVING,
        [heading("Waiting")],
        _WAITING,
        [heading("Storing")],
        _STORING,
        [heading("Processors")],
        _PROCESSING,
        [heading("Tail sampling")],
        _TAIL,
        [heading("Account and access")],
        _ACCOUNT,
        [heading("Process")],
        _PROCESS,
    ),
)
