"""From `collector.yaml` to what the embedded ClickHouse is started with."""

from __future__ import annotations

from collector.embedded.database import embedded_exporter, new_password, server_config, with_owner
from collector.embedded.process import EmbeddedConfig
from config.load import parse
from config.model import Config
from exporters.embedded.accounts import Account, Reader, password_digest
from exporters.embedded.limits import ReaderLimits


def _config(embedded: str, exporter: str = "") -> Config:
    text = (
        "receivers: {otlp: {protocols: {grpc: }}}\n"
        f"exporters: {{clickhouse: {{{exporter} embedded: {{{embedded}}}}}}}\n"
        "service: {pipelines: {traces: {receivers: [otlp], exporters: [clickhouse]}}}\n"
    )
    return parse(text.encode(), {}, "collector.yaml")


def _started_with(config: Config) -> EmbeddedConfig:
    exporter = embedded_exporter(config)
    assert exporter is not None
    return server_config(*exporter)


def test_without_users_default_may_read_everything() -> None:
    started = _started_with(with_owner(_config("max_server_memory_usage: 4000"), new_password()))
    assert started.server.max_reader_memory_bytes == 2000
    owner, default = started.accounts
    assert owner.reader is None
    assert default == Account("default", password_digest(""), Reader(None, ReaderLimits()))


def test_the_owners_password_is_new_at_each_start_and_shown_nowhere() -> None:
    config = _config("")
    first, second = with_owner(config, new_password()), with_owner(config, new_password())
    passwords = {each.exporters["clickhouse"].password.get_secret_value() for each in (first, second)}
    assert len(passwords) == 2
    assert min(map(len, passwords)) == 64
    assert not any(password in f"{first}{first!r}{first.model_dump_json()}{_started_with(first)}" for password in passwords)
    assert _started_with(first).accounts[0].name == "spanhouse"


def test_users_get_what_is_written() -> None:
    digest = password_digest("pw")
    started = _started_with(
        _config(
            "allowed_hosts: [spans.example.com], users: ["
            f"{{name: ann, password_sha256: {digest.upper()}, workspaces: [a, b]}}, "
            '{name: ben, password: pw, workspaces: "*", max_execution_time: 2m, max_memory_usage: 1, max_result_rows: 2, '
            "max_result_bytes: 3, max_concurrent_queries: 4}]"
        )
    )
    assert started.allowed_hosts == ("spans.example.com",)
    assert started.accounts[1:] == (
        Account("ann", digest, Reader(("a", "b"))),
        Account("ben", digest, Reader(None, ReaderLimits(120, 1, 2, 3, 4))),
    )


def test_readers_read_the_tables_that_the_daemon_makes() -> None:
    tables = _started_with(_config("", "database: d, traces_table_name: t,")).tables
    red = ("t_red_minute", "t_red_quarter_hour", "t_red_hour")
    topology = ("t_topology_minute", "t_topology_halves", "t_topology_settled", "t_topology_hour")
    sampling = ("t_sampling_throughput", "t_sampling_probabilities")
    objects = ("otel_tracing_configs", "otel_objects")
    sent = ("otel_load_test_runs", "otel_load_test_progress", "otel_request_executions")
    spans = ("t", "t_trace_id_ts", "t_tags")
    alerts = ("t_alert_events", "t_alert_deliveries")
    assert (tables.database, tables.names) == ("d", (*spans, *objects, *sent, *red, *topology, *sampling, *alerts))
