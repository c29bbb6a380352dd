"""What a good file means: defaults, bare keys, variables, aliases; and what is kept out of sight."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.debug_exporter import DebugExporter
from config.load import load, parse
from config.load_balancing import LoadBalancingExporter
from config.model import Config
from config.otlp_exporters import OtlpExporter, OtlpHttpExporter
from config.problems import ConfigError, Problem, render_problems
from config.receivers import OtlpGrpc, OtlpHttp
from config.values import TcpAddress, UnixAddress

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.yaml"))
USES = "service: {pipelines: {traces: {receivers: [otlp], exporters: [clickhouse]}}}\n"
GRPC_ONLY = "receivers: {otlp: {protocols: {grpc: }}}\n"


def read(text: str, environment: Mapping[str, str] | None = None) -> Config:
    return parse(text.encode(), environment or {}, "collector.yaml")


def with_exporter(settings: str, environment: Mapping[str, str] | None = None) -> Config:
    indented = "".join(f"    {line}\n" for line in settings.splitlines())
    return read(f"{GRPC_ONLY}exporters:\n  clickhouse:\n{indented}{USES}", environment)


def with_server(settings: str, environment: Mapping[str, str] | None = None) -> Config:
    return with_exporter(f"endpoint: http://localhost:8123\n{settings}", environment)


def with_receiver(protocols: str) -> Config:
    return read(f"receivers: {{otlp: {{protocols: {protocols}}}}}\nexporters: {{clickhouse: }}\n{USES}")


def grpc(config: Config) -> OtlpGrpc:
    server = config.receivers["otlp"].protocols.grpc
    assert server is not None
    return server


def http(config: Config) -> OtlpHttp:
    server = config.receivers["otlp"].protocols.http
    assert server is not None
    return server


@pytest.mark.parametrize("file", [ROOT / "collector.yaml", *EXAMPLES], ids=lambda file: file.name)
def test_every_file_that_comes_with_spanhouse_is_valid(file: Path) -> None:
    server = {"CLICKHOUSE_ENDPOINT": "http://clickhouse:8123", "CLICKHOUSE_PASSWORD": "secret"}
    tokens = {"METRICS_TOKEN": "secret-of-16-or-more", "GRAFANA_PASSWORD": "secret", "COLLECTOR_TOKEN": "secret"}
    channels = {"SLACK_OPS_URL": "https://hooks.slack.com/services/T/B/x", "PAGERDUTY_KEY": "secret", "SMTP_PASSWORD": "secret"}
    config = load(file, {**server, **tokens, **channels})
    assert config.service.pipelines.traces.exporters in (("clickhouse",), ("loadbalancing",))


def test_the_file_of_the_first_command_listens_on_loopback_alone() -> None:
    config = load(ROOT / "collector.yaml", {})
    assert grpc(config).address == TcpAddress("localhost", 4317)
    assert http(config).address == TcpAddress("localhost", 4318)
    assert config.extensions["query"].address == TcpAddress("localhost", 4319)
    assert config.exporters["clickhouse"].urls == ("http://127.0.0.1:8123",)


def test_conf_01_a_protocol_without_a_value_is_on_and_an_absent_one_is_off() -> None:
    config = with_receiver("{grpc: }")
    assert grpc(config).endpoint == "localhost:4317"
    assert config.receivers["otlp"].protocols.http is None


def test_conf_02_a_path_gets_its_leading_slash() -> None:
    assert http(with_receiver("{http: {traces_url_path: traces}}")).traces_url_path == "/traces"


def test_conf_03_requests_may_have_64_mib_by_default() -> None:
    config = with_receiver("{grpc: , http: }")
    assert grpc(config).max_request_bytes == http(config).max_request_body_size == 64 << 20


def test_limit_07_a_limit_of_0_means_the_default() -> None:
    config = with_receiver("{grpc: {max_recv_msg_size_mib: 0}, http: {max_request_body_size: 0}}")
    assert grpc(config).max_request_bytes == http(config).max_request_body_size == 64 << 20


def test_net_09_a_unix_socket_is_an_address() -> None:
    config = with_receiver("{grpc: {transport: unix, endpoint: /run/otlp.sock}}")
    assert grpc(config).address == UnixAddress("/run/otlp.sock")


def test_net_10_keepalive_has_the_defaults_of_grpc_and_0_means_them() -> None:
    keepalive = grpc(with_receiver("{grpc: {keepalive: {server_parameters: {time: 0, timeout: 0s}}}}")).keepalive
    assert str(keepalive.server_parameters.time) == "2h"
    assert str(keepalive.server_parameters.timeout) == "20s"
    assert str(keepalive.enforcement_policy.min_time) == "5m"


def test_net_13_slow_clients_have_10_seconds_for_headers_and_a_minute_for_the_body() -> None:
    server = http(with_receiver("{http: }"))
    assert server.read_header_timeout.seconds == 10
    assert server.read_timeout.seconds == 60
    assert server.idle_timeout.seconds == 120


def test_a_plain_key_without_a_value_has_its_default() -> None:
    assert with_exporter("username:\nsending_queue:\nconnection_params:") == with_exporter("")


@pytest.mark.parametrize(
    ("written", "urls"),
    [
        ("http://a", ("http://a:8123",)),
        ("https://a", ("https://a:8443",)),
        ("http://a:0001/, https://b:2/clickhouse/", ("http://a:1", "https://b:2/clickhouse")),
        ("['http://[::1]:8123', 'http://b']", ("http://[::1]:8123", "http://b:8123")),
    ],
)
def test_servers_may_be_listed_in_either_form(written: str, urls: tuple[str, ...]) -> None:
    exporter = with_exporter(f"endpoint: {written}").exporters["clickhouse"]
    assert not exporter.is_embedded
    assert exporter.urls == urls


def test_settings_of_clickhouse_become_text() -> None:
    parameters = with_exporter("connection_params: {max_threads: 2, flag: true, ratio: 0.5, name: x}")
    assert parameters.exporters["clickhouse"].connection_params == {
        "max_threads": "2",
        "flag": "1",
        "ratio": "0.5",
        "name": "x",
    }


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${env:WHO}", "ann"),
        ("${WHO}", "ann"),
        ("a-${env:WHO}-${env:WHO}", "a-ann-ann"),
        ("${env:NOBODY:-bob}", "bob"),
        ("${env:EMPTY:-bob}", ""),
        ("'${env:NOBODY:-}'", ""),
        ("$${env:WHO}", "${env:WHO}"),
        ("$$$${WHO}", "$${WHO}"),
        ("$$${env:WHO}", "$ann"),
        ("$WHO", "$WHO"),
        ("${env:NESTED}", "${env:WHO}"),
    ],
)
def test_variables_are_put_in_once(written: str, value: str) -> None:
    environment = {"WHO": "ann", "EMPTY": "", "NESTED": "${env:WHO}"}
    assert with_server(f"username: {written}", environment).exporters["clickhouse"].username == value


def test_variables_may_hold_numbers_booleans_and_durations() -> None:
    environment = {"CONSUMERS": "3", "CREATE": "false", "TIMEOUT": "7s"}
    exporter = with_exporter(
        "sending_queue: {num_consumers: '${env:CONSUMERS}'}\ncreate_schema: ${env:CREATE}\ntimeout: ${env:TIMEOUT}",
        environment,
    ).exporters["clickhouse"]
    assert exporter.sending_queue.num_consumers == 3
    assert exporter.create_schema is False
    assert exporter.timeout.seconds == 7


def test_a_variable_of_digits_can_be_a_password() -> None:
    password = with_server("password: ${env:P}", {"P": "0123"}).exporters["clickhouse"].password
    assert password.get_secret_value() == "0123"


@pytest.mark.parametrize("word", ["no", "on", "y", "1:30", "2024-01-01", "0b1", "1_000", ".inf"])
def test_words_that_older_yaml_took_for_something_else_are_text(word: str) -> None:
    assert with_server(f"username: {word}").exporters["clickhouse"].username == word


@pytest.mark.parametrize("level", ["none", "basic", "normal", "detailed", "Detailed"])
def test_metrics_have_the_levels_that_the_collector_knows(level: str) -> None:
    service = USES.replace("}}}\n", f"}}}}, telemetry: {{metrics: {{level: {level}}}}}}}\n")
    config = read(f"{GRPC_ONLY}exporters: {{clickhouse: }}\n{service}")
    assert config.service.telemetry.metrics.level == level.lower()


def test_words_that_the_collector_takes_in_any_case_or_by_default_are_taken() -> None:
    config = read(
        f"{GRPC_ONLY}exporters: {{debug: {{verbosity: Detailed, sending_queue: {{batch: {{sizer: items}}}}}}}}\n"
        "service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}"
    )
    exporter = config.exporters["debug"]
    assert isinstance(exporter, DebugExporter)
    assert exporter.verbosity == "detailed"


def test_aliases_and_merge_keys_are_followed_and_own_keys_win() -> None:
    config = read(
        "receivers:\n"
        "  otlp: &otlp {protocols: {grpc: &server {max_concurrent_streams: 8, max_recv_msg_size_mib: 1}}}\n"
        "  otlp/2: {protocols: {grpc: {<<: *server, max_recv_msg_size_mib: 2, endpoint: 'localhost:1'}}}\n"
        "exporters: {clickhouse: }\n"
        "service: {pipelines: {traces: {receivers: [otlp, otlp/2], exporters: [clickhouse]}}}\n"
    )
    server = config.receivers["otlp/2"].protocols.grpc
    assert server is not None
    assert (server.max_concurrent_streams, server.max_recv_msg_size_mib) == (8, 2)


def test_exporters_may_have_the_names_that_the_collector_has_come_to_call_them_by() -> None:
    config = read(
        GRPC_ONLY
        + "exporters: {otlp_grpc/a: {endpoint: 'a:4317'}, otlp_http: {endpoint: 'http://a:4318'}, "
        + "load_balancing: {protocol: {otlp: }, resolver: {static: {hostnames: ['a:4317']}}}}\n"
        + "service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp_grpc/a, otlp_http, load_balancing]}}}"
    )
    assert [type(each) for each in config.exporters.values()] == [OtlpExporter, OtlpHttpExporter, LoadBalancingExporter]


def test_servers_that_let_the_system_choose_a_port_do_not_collide() -> None:
    config = with_receiver("{grpc: {endpoint: 'localhost:0'}, http: {endpoint: 'localhost:0'}}")
    assert grpc(config).address == http(config).address


def test_a_configuration_does_not_change() -> None:
    config = with_exporter("")
    with pytest.raises(ValidationError, match="frozen"):
        config.exporters["clickhouse"].username = "other"  # type: ignore[misc]  # what the test is about


def test_a_password_is_in_no_rendering_of_the_configuration() -> None:
    config = with_server("password: hunter2")
    assert config.exporters["clickhouse"].password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(config) + str(config) + config.model_dump_json() + repr(config.model_dump())


def test_what_was_written_out_reads_back_the_same() -> None:
    config = with_exporter("timeout: 90s\nttl: 72h")
    assert Config.model_validate(config.model_dump(mode="json", exclude_none=True)) == config


def test_a_file_that_is_not_there_is_a_problem_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "collector.yaml", {})
    assert caught.value.problems == (Problem("", 0, "cannot be read: No such file or directory"),)


def test_problems_are_rendered_as_terminals_and_editors_link_them() -> None:
    error = ConfigError(
        (Problem("", 0, "is empty"), Problem("exporters.clickhouse", 12, "is required", "add it")), "etc/collector.yaml"
    )
    assert render_problems(error) == (
        "etc/collector.yaml: is empty\netc/collector.yaml:12: exporters.clickhouse: is required; add it"
    )
