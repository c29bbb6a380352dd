"""Every metric of the daemon, in one list: its name, its kind, what it tells.

Names follow the OpenTelemetry Collector's (`otelcol_*`) where the meaning is the same, else they are `spanhouse_*`. Prometheus
shows counters with its suffix `_total`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from collector.trace_decisions import AGE_BOUNDS_S


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric.

    Attributes:
        name: without Prometheus' suffixes.
        kind: what its numbers mean: a counter only grows, a gauge is read when asked for, a histogram counts by size.
        text: its description, as Prometheus shows it.
        labels: names of its labels; values are given in this order.
        buckets: upper bounds of a histogram.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_RECEIVER: Final = ("receiver", "transport")
_EXPORTER: Final = ("exporter",)
_BALANCER: Final = ("exporter", "resolver")
_PROCESSOR: Final = ("processor", "exporter")

# Requests were answered with success; spans that were refused within them are not among these.
ACCEPTED_SPANS: Final = Definition(
    "otelcol_receiver_accepted_spans", "counter", "Spans taken from clients and acknowledged.", _RECEIVER
)
# Uncompressed protobuf, whatever came over the wire.
ACCEPTED_BYTES: Final = Definition(
    "spanhouse_receiver_accepted_bytes", "counter", "Bytes of acknowledged requests, as uncompressed protobuf.", _RECEIVER
)
ACCEPTED_REQUESTS: Final = Definition(
    "spanhouse_receiver_accepted_requests", "counter", "Requests that were acknowledged.", _RECEIVER
)
# The sum over all reasons, under the name that dashboards for the Collector ask for.
REFUSED_SPANS: Final = Definition(
    "otelcol_receiver_refused_spans", "counter", "Spans of acknowledged requests that were refused as invalid.", _RECEIVER
)
# Reasons: trace_id_length, trace_id_zero, span_id_length, span_id_zero, parent_span_id_length.
REFUSED_BY_REASON: Final = Definition(
    "spanhouse_receiver_refused_spans", "counter", "Spans refused as invalid, by reason.", (*_RECEIVER, "reason")
)
# Reasons are rows of the answers table: malformed, too_large, unavailable, ... How many spans they held is often unknown.
FAILED_REQUESTS: Final = Definition(
    "spanhouse_receiver_failed_requests", "counter", "Requests that were not taken, by reason.", (*_RECEIVER, "reason")
)
# Reasons: bytes or spans for a limit, share for more than a fair share of a queue that is nearly full. An empty workspace stands
# for those that came after the first thousand.
THROTTLED_REQUESTS: Final = Definition(
    "spanhouse_workspace_throttled_requests",
    "counter",
    "Requests of a workspace that were told to come later.",
    ("receiver", "workspace", "reason"),
)
# Against service.max_in_flight_bytes.
IN_FLIGHT_BYTES: Final = Definition("spanhouse_receiver_in_flight_bytes", "gauge", "Bytes of requests not yet answered.")

# Where several exporters have cursors of their own in the journal, processors work for each of them.
PROCESSOR_INCOMING: Final = Definition(
    "otelcol_processor_incoming_items", "counter", "Spans that a processor was given.", _PROCESSOR
)
PROCESSOR_OUTGOING: Final = Definition(
    "otelcol_processor_outgoing_items", "counter", "Spans that a processor let on.", _PROCESSOR
)
# Policies are what decided, as the Collector calls it: trace_id_hash, trace_id_w3c, sampling_randomness (rv), sampling_priority.
SAMPLED_SPANS: Final = Definition(
    "otelcol_processor_probabilistic_sampler_count_traces_sampled",
    "counter",
    "Spans, for all that the name says, that a sampler has kept or not.",
    (*_PROCESSOR, "policy", "sampled"),
)
# Of tail_sampling. Votes are those of all policies, whoever decided; decision is what the policy said: sampled, not_sampled,
# inverted_sampled, inverted_not_sampled, dropped.
TAIL_VOTES: Final = Definition(
    "otelcol_processor_tail_sampling_count_traces_sampled",
    "counter",
    "Traces for which a policy was, or was not.",
    (*_PROCESSOR, "policy", "sampled", "decision"),
)
# By the policy or rule that decided.
TAIL_SPANS: Final = Definition(
    "otelcol_processor_tail_sampling_count_spans_sampled",
    "counter",
    "Spans that were kept or dropped with their traces.",
    (*_PROCESSOR, "policy", "sampled"),
)
TAIL_TRACES: Final = Definition(
    "otelcol_processor_tail_sampling_global_count_traces_sampled", "counter", "Traces kept or dropped.", (*_PROCESSOR, "sampled")
)
TAIL_NEW_TRACES: Final = Definition(
    "otelcol_processor_tail_sampling_new_trace_id_received", "counter", "Traces of which a first span came.", _PROCESSOR
)
TAIL_HELD_TRACES: Final = Definition(
    "otelcol_processor_tail_sampling_sampling_traces_on_memory", "gauge", "Traces that wait for their decision.", _PROCESSOR
)
TAIL_HELD_SPANS: Final = Definition("spanhouse_tail_sampling_held_spans", "gauge", "Spans of these traces.", _PROCESSOR)
TAIL_HELD_BYTES: Final = Definition(
    "spanhouse_tail_sampling_held_bytes", "gauge", "Bytes of memory that these spans take.", _PROCESSOR
)
# Decided on what had come, not dropped, for all that the name says.
TAIL_EARLY: Final = Definition(
    "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early",
    "counter",
    "Traces decided before their time, since too much was held.",
    _PROCESSOR,
)
TAIL_AGE_SECONDS: Final = Definition(
    "otelcol_processor_tail_sampling_sampling_trace_removal_age",
    "histogram",
    "Seconds from a trace's first span to its decision.",
    _PROCESSOR,
    buckets=AGE_BOUNDS_S,
)
TAIL_LATE_SPAN_AGE_SECONDS: Final = Definition(
    "otelcol_processor_tail_sampling_sampling_late_span_age",
    "histogram",
    "Seconds from the decision about a trace to a span of it that comes later.",
    _PROCESSOR,
    buckets=AGE_BOUNDS_S,
)
# In milliseconds, since the name is the Collector's.
TAIL_DECISION_MILLISECONDS: Final = Definition(
    "otelcol_processor_tail_sampling_sampling_decision_timer_latency",
    "histogram",
    "Milliseconds that it took to decide about all traces that were due.",
    _PROCESSOR,
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000),
)
# In microseconds, since the name is the Collector's. There an observation is of one trace, here of all that are decided at once.
TAIL_POLICY_MICROSECONDS: Final = Definition(
    "otelcol_processor_tail_sampling_sampling_decision_latency",
    "histogram",
    "Microseconds that it took to ask a policy about all traces that were decided at once.",
    (*_PROCESSOR, "policy"),
    buckets=(10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000),
)
TAIL_LATE: Final = Definition(
    "otelcol_processor_tail_sampling_early_releases_from_cache_decision",
    "counter",
    "Traces of which spans came after their decision, and followed it.",
    (*_PROCESSOR, "sampled"),
)
TAIL_FAILURES: Final = Definition(
    "otelcol_processor_tail_sampling_sampling_policy_evaluation_error",
    "counter",
    "Spans and events for which a condition of policies could not be worked out; as internal_error traces that they failed on.",
    (*_PROCESSOR, "policy"),
)
# The difference of incoming and outgoing, under the name that dashboards for the Collector ask for.
FILTERED_SPANS: Final = Definition(
    "otelcol_processor_filter_spans_filtered", "counter", "Spans that a filter dropped.", ("filter", "exporter")
)
# Changes are, of limits, value_cut, value_too_long, too_many_attributes, too_many_events, too_many_links; of redaction, removed,
# masked.
PROCESSOR_CHANGES: Final = Definition(
    "spanhouse_processor_changes",
    "counter",
    "Attributes, events and links in spans that a processor cut, masked or removed.",
    (*_PROCESSOR, "change"),
)
# Of service_policy: rules are the ids of tracing configs, or default; reasons are disabled, excluded, sampled. An empty rule
# stands for those that came after the first thousand.
DROPPED_BY_RULE: Final = Definition(
    "spanhouse_processor_dropped_spans",
    "counter",
    "Spans that a processor dropped, by the rule that says so.",
    (*_PROCESSOR, "rule", "reason"),
)
TRACING_CONFIGS: Final = Definition("spanhouse_tracing_configs", "gauge", "Tracing configs in force, of all workspaces.")
# Grows while the store is away; then those that were read last stay in force.
TRACING_CONFIGS_AGE_SECONDS: Final = Definition(
    "spanhouse_tracing_configs_age_seconds", "gauge", "Seconds since the store last said which tracing configs there are."
)
# Reasons are those of exporters: unreachable, timeout, unknown_table, ...
TRACING_CONFIGS_FAILURES: Final = Definition(
    "spanhouse_tracing_configs_failures", "counter", "Times that tracing configs could not be read, by reason.", ("reason",)
)
# Reasons as above.
ADAPTIVE_SAMPLING_FAILURES: Final = Definition(
    "spanhouse_adaptive_sampling_failures", "counter", "Times that a round of adaptive sampling failed, by reason.", ("reason",)
)
# Rules are places in the configuration, such as traces.span[0]; a sampler's trace_state, threshold and already_sampled say what
# was wrong with a span's trace state; internal_error is a fault of the daemon's own.
PROCESSOR_FAILURES: Final = Definition(
    "spanhouse_processor_failures",
    "counter",
    "Spans and events for which a rule of a processor could not be evaluated.",
    (*_PROCESSOR, "rule"),
)

# The store has confirmed them.
SENT_SPANS: Final = Definition("otelcol_exporter_sent_spans", "counter", "Spans stored.", _EXPORTER)
SENT_BYTES: Final = Definition("spanhouse_exporter_sent_bytes", "counter", "Bytes sent of what was stored.", _EXPORTER)
# As in the Collector: given up for good. The sum of spanhouse_exporter_dropped_spans over all reasons.
SEND_FAILED_SPANS: Final = Definition(
    "otelcol_exporter_send_failed_spans", "counter", "Spans that could not be stored and were given up.", _EXPORTER
)
DROPPED_SPANS: Final = Definition(
    "spanhouse_exporter_dropped_spans", "counter", "Acknowledged spans that were dropped, by reason.", (*_EXPORTER, "reason")
)
DEAD_LETTER_SPANS: Final = Definition(
    "spanhouse_exporter_dead_letter_spans",
    "counter",
    "Acknowledged spans that could not be stored and were set aside, by reason.",
    (*_EXPORTER, "reason"),
)
# Rows that processors make of spans, such as red_metrics. They are no spans, so the ledger does not have them.
DERIVED_ROWS: Final = Definition(
    "spanhouse_exporter_derived_rows", "counter", "Rows made of spans that were stored, by table.", (*_EXPORTER, "table")
)
DROPPED_DERIVED_ROWS: Final = Definition(
    "spanhouse_exporter_dropped_derived_rows",
    "counter",
    "Rows made of spans that could not be stored and were given up, by reason.",
    (*_EXPORTER, "table", "reason"),
)
RETRIED_BATCHES: Final = Definition(
    "spanhouse_exporter_retries", "counter", "Attempts that failed and were repeated, by reason.", (*_EXPORTER, "reason")
)
INSERT_SECONDS: Final = Definition(
    "spanhouse_exporter_insert_seconds",
    "histogram",
    "Seconds from sending a batch to the store's confirmation.",
    _EXPORTER,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
# What was stored by one insert; under the names that the Collector's batch processor has for its batches.
BATCH_SPANS: Final = Definition(
    "otelcol_processor_batch_batch_send_size",
    "histogram",
    "Spans in a batch.",
    _EXPORTER,
    buckets=(1, 10, 100, 500, 1000, 2000, 4000, 8192, 16384, 32768, 65536),
)
BATCH_BYTES: Final = Definition(
    "otelcol_processor_batch_batch_send_size_bytes",
    "histogram",
    "Bytes that went over the wire for a batch.",
    _EXPORTER,
    buckets=(1e3, 1e4, 1e5, 2.5e5, 5e5, 1e6, 2.5e6, 5e6, 1e7, 2.5e7),
)

# Where spans are spread over several collectors. Names and units are the Collector's, exporter is a label of our own.
BALANCER_RESOLUTIONS: Final = Definition(
    "otelcol_loadbalancer_num_resolutions",
    "counter",
    "How often it was asked which backends there are.",
    (*_BALANCER, "success"),
)
BALANCER_BACKENDS: Final = Definition("otelcol_loadbalancer_num_backends", "gauge", "Backends in use.", _BALANCER)
BALANCER_UPDATES: Final = Definition(
    "otelcol_loadbalancer_num_backend_updates", "counter", "How often the backends have changed.", _BALANCER
)
BALANCER_OUTCOMES: Final = Definition(
    "otelcol_loadbalancer_backend_outcome",
    "counter",
    "Attempts to send to a backend, by whether they went well.",
    (*_EXPORTER, "endpoint", "success"),
)
BALANCER_LATENCY: Final = Definition(
    "otelcol_loadbalancer_backend_latency",
    "histogram",
    "Milliseconds that an attempt to send to a backend took.",
    (*_EXPORTER, "endpoint"),
    buckets=(5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000),
)
# Their backend has gone, or has failed for long.
REROUTED_SPANS: Final = Definition(
    "spanhouse_loadbalancer_rerouted_spans", "counter", "Spans that went to another backend than their own.", _EXPORTER
)

# Spans that were acknowledged and are not yet stored. The unit is the one that bounds the queue: bytes.
QUEUE_SIZE: Final = Definition("otelcol_exporter_queue_size", "gauge", "Bytes waiting to be stored.", _EXPORTER)
QUEUE_CAPACITY: Final = Definition("otelcol_exporter_queue_capacity", "gauge", "Bytes that may wait to be stored.", _EXPORTER)
QUEUE_SPANS: Final = Definition("spanhouse_queue_spans", "gauge", "Spans waiting to be stored.", _EXPORTER)
QUEUE_PEAK_BYTES: Final = Definition("spanhouse_queue_peak_bytes", "gauge", "Most bytes that ever waited.", _EXPORTER)
QUEUE_OLDEST_SECONDS: Final = Definition(
    "spanhouse_queue_oldest_age_seconds", "gauge", "Seconds for which the oldest span has been waiting.", _EXPORTER
)

# Their requests were answered with "come back later", or were larger than the whole queue.
QUEUE_REFUSED_SPANS: Final = Definition(
    "otelcol_exporter_enqueue_failed_spans", "counter", "Spans that were not let in because the queue was full.", _EXPORTER
)

# Reasons: unauthenticated, permission_denied, invalid (a header), host, origin, busy, workspace_busy, and
# what is no request.
QUERY_REFUSED: Final = Definition(
    "spanhouse_query_refused_requests",
    "counter",
    "Requests to the query port that were refused before they were answered, by reason.",
    ("extension", "reason"),
)

# States: accepted = stored + dead_letters + dropped + waiting. With a journal they go on over restarts. What was refused is
# counted under no exporter. Services are told apart in /api/v1/ledger alone: they would make thousands of series.
LEDGER_SPANS: Final = Definition(
    "spanhouse_ledger_spans", "gauge", "Spans of a workspace by what became of them.", ("exporter", "workspace", "state")
)

# Of the journal on disk.
JOURNAL_BYTES: Final = Definition("spanhouse_journal_bytes", "gauge", "Bytes that the files of the journal take.")
JOURNAL_CAPACITY: Final = Definition("spanhouse_journal_capacity_bytes", "gauge", "Bytes that they may take.")
JOURNAL_MEMORY_BYTES: Final = Definition(
    "spanhouse_journal_memory_bytes", "gauge", "Bytes of memory that requests take which are on disk as well."
)
JOURNAL_APPENDED_SPANS: Final = Definition("spanhouse_journal_appended_spans", "counter", "Spans written to the journal.")
JOURNAL_REPLAYED_SPANS: Final = Definition(
    "spanhouse_journal_replayed_spans", "counter", "Spans read back from disk, after a restart or a long wait.", _EXPORTER
)
JOURNAL_DAMAGED_BYTES: Final = Definition(
    "spanhouse_journal_damaged_bytes", "counter", "Bytes of the journal that were cut off or set aside as unreadable."
)
JOURNAL_SYNC_SECONDS: Final = Definition(
    "spanhouse_journal_sync_seconds",
    "histogram",
    "Seconds that it took to make what was written last beyond a power cut.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)

# Of the ClickHouse that the daemon starts itself.
EMBEDDED_RESTARTS: Final = Definition(
    "spanhouse_embedded_restarts", "counter", "Times that the embedded ClickHouse was started again after a crash."
)
# Reasons: unauthenticated, foreign (a web page of somebody else, or another host name), busy (too many requests or sessions at a
# time), unavailable (a connection too many), slow_head, header_too_large, and malformed for what is no request.
EMBEDDED_REFUSED: Final = Definition(
    "spanhouse_embedded_refused_requests",
    "counter",
    "Requests and connections that the embedded ClickHouse turned away, by reason.",
    ("reason",),
)

# Those of the collector that holds the lease.
ALERTS_ACTIVE: Final = Definition("spanhouse_alerts_active", "gauge", "Alerts that are active or acknowledged.")
ALERT_EVALUATIONS: Final = Definition("spanhouse_alert_evaluations", "counter", "Evaluations of alert rules.")
ALERT_EVALUATIONS_MISSED: Final = Definition(
    "spanhouse_alert_evaluations_missed",
    "counter",
    "Groups of alert rules that were not evaluated for a minute, since the one before took too long.",
)
ALERT_EVALUATION_LAG_SECONDS: Final = Definition(
    "spanhouse_alert_evaluation_lag_seconds",
    "histogram",
    "Seconds from when a minute could be measured until the rules that are measured together were evaluated.",
    buckets=(1.0, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0),
)
# Whats: fired, repeated, acknowledged, resolved, test.
ALERT_EVENTS: Final = Definition("spanhouse_alert_events", "counter", "Events of alerts that people are to be told.", ("what",))
# Reasons as of TRACING_CONFIGS_FAILURES, and too_many_groups.
ALERT_FAILURES: Final = Definition(
    "spanhouse_alert_failures", "counter", "Times that alert rules could not be read or evaluated, by reason.", ("reason",)
)
ALERT_DELIVERY_FAILURES: Final = Definition(
    "spanhouse_alert_delivery_failures", "counter", "Times that an event could not be handed to channels, by reason.", ("reason",)
)
# Channel types: slack, email, pagerduty, webhook, alertmanager; empty for a channel that does not exist. Outcomes: delivered,
# failed, disabled, gone.
NOTIFICATIONS: Final = Definition(
    "spanhouse_notifications", "counter", "Events of alerts that are done with at a channel.", ("channel_type", "outcome")
)
# Reasons: timeout, unreachable, connection_lost, certificate, throttled, server_error; refused, redirected, rejected, after which
# nothing is tried again; unauthenticated and secret, which are of the collector's configuration.
NOTIFICATION_FAILURES: Final = Definition(
    "spanhouse_notification_failures",
    "counter",
    "Attempts to tell a channel of an event that failed, by reason.",
    ("channel_type", "reason"),
)
NOTIFICATIONS_WAITING: Final = Definition(
    "spanhouse_notifications_waiting", "gauge", "Events that are on their way to a channel, or wait for another attempt."
)

LOAD_TESTS: Final = Definition("spanhouse_load_tests", "gauge", "Load tests that this collector runs.")
# States: completed, stopped, cancelled, interrupted, failed; and refused, where the target or a secret is not allowed.
LOAD_TEST_RUNS: Final = Definition("spanhouse_load_test_runs", "counter", "Runs of load tests that have ended here.", ("state",))
# Outcomes: success, failure; and refused, where the target or a secret is not allowed.
REQUEST_EXECUTIONS: Final = Definition("spanhouse_request_executions", "counter", "Saved requests that were sent.", ("outcome",))
# Types as of failure rules. Services beyond the first thousand count for their workspace, with an empty service.
INJECTED_FAILURES: Final = Definition(
    "spanhouse_injected_failures",
    "counter",
    "Requests of load tests and saved requests that went wrong on purpose.",
    ("workspace", "service", "type"),
)

# Outcomes: success, failure.
CONFIG_RELOADS: Final = Definition(
    "spanhouse_config_reloads", "counter", "How often the configuration was read again, by outcome.", ("outcome",)
)
PROCESS_CPU_SECONDS: Final = Definition("otelcol_process_cpu_seconds", "counter", "CPU time of the daemon, user and system.")
PROCESS_RESIDENT_BYTES: Final = Definition("otelcol_process_memory_rss", "gauge", "Bytes of memory that the daemon occupies.")
PROCESS_UPTIME_SECONDS: Final = Definition("otelcol_process_uptime", "counter", "Seconds since the daemon started.")
BUILD_INFO: Final = Definition("spanhouse_build_info", "gauge", "Always 1; the labels tell versions.", ("version", "python"))

METRICS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Definition))
"""Every metric of the daemon, in the order in which `/metrics` shows them."""
