"""Whatever stands in the file, loading it either works or raises ConfigError, and shows no secret."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.document import MAX_FILE_BYTES
from config.exporters import ClickHouseExporter
from config.load import parse
from config.problems import ConfigError

ROOT = Path(__file__).parent.parent.parent
VALID = (ROOT / "collector.yaml").read_bytes()
KEYS = ["receivers", "otlp", "protocols", "grpc", "http", "exporters", "clickhouse", "service", "pipelines", "traces"]
SECRET = "hunter2 8Zq"

# A busy machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary() | st.sampled_from(KEYS)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=4),
    max_leaves=12,
)


def load_or_refuse(content: bytes) -> str:
    """The words of the refusal; empty when the content was read."""
    try:
        parse(content, {"NAME": "value"}, "collector.yaml")
    except ConfigError as error:
        return str(error) or "a refusal without words"
    return ""


@unhurried
@given(st.binary())
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    load_or_refuse(content)


@unhurried
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,?~\n\t \\$<0", max_size=60))
def test_any_yaml_like_text_is_read_or_refused(text: str) -> None:
    load_or_refuse(text.encode())


@unhurried
@given(values)
def test_any_yaml_is_read_or_refused(value: object) -> None:
    load_or_refuse(yaml.dump(value).encode())


@unhurried
@given(st.integers(0, len(VALID) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_a_valid_file_with_a_slip_is_read_or_refused(position: int, inserted: bytes, removed: int) -> None:
    load_or_refuse(VALID[:position] + inserted + VALID[position + removed :])


@unhurried
@given(values, st.sampled_from(sorted(ClickHouseExporter.model_fields)))
def test_any_value_of_a_known_key_is_read_or_refused(value: object, key: str) -> None:
    tree = yaml.safe_load(VALID)
    tree["exporters"]["clickhouse"][key] = value
    load_or_refuse(yaml.dump(tree).encode())


@pytest.mark.parametrize(
    "settings_of_exporter",
    [
        {"password": [SECRET]},
        {"password": {"value": SECRET}},
        {"password": {SECRET: None}, "nonsense": 1} | {"username": {"a": SECRET}},
        {"pass": SECRET},
        {"auth": {"token": SECRET}},
        {"connection_params": {"user": SECRET}},
        {"connection_params": {"a": [SECRET]}},
        {"endpoint": f"http://user:{SECRET}@localhost:8123"},
        {"endpoint": f"user:{SECRET}@localhost:8123"},
        {"endpoint": ["http://a", f"tcp://user:x/{SECRET}@localhost"]},
        {"endpoint": f"clickhouse://localhost?password={SECRET}"},
        {"sending_queue": f"password {SECRET}"},
    ],
    ids=str,
)
def test_no_misplaced_secret_is_repeated(settings_of_exporter: dict[str, object]) -> None:
    tree = yaml.safe_load(VALID)
    tree["exporters"]["clickhouse"] = settings_of_exporter
    message = load_or_refuse(yaml.dump(tree).encode())
    assert message
    assert SECRET not in message.replace("exporters.clickhouse.password." + SECRET, "")


@pytest.mark.parametrize("escape", ['"\\UFFFFFFFF"', '"\\uD800"', '"\\x00"'])
def test_escapes_beyond_text_are_refused_or_harmless(escape: str) -> None:
    load_or_refuse(VALID.replace(b"database: otel", f"username: {escape}".encode()))


def test_a_file_of_sense_has_a_largest_size() -> None:
    assert "larger than" in load_or_refuse(VALID + b"#" * MAX_FILE_BYTES)


def test_merging_one_mapping_many_times_has_an_end() -> None:
    mapping = ", ".join(f"k{number}: 1" for number in range(2000))
    merges = "".join("  <<: *a\n" for _ in range(2000))
    assert "grows beyond all use" in load_or_refuse(f"x: &a {{{mapping}}}\ny:\n{merges}".encode())


def test_an_error_of_the_loader_has_no_cause_that_repeats_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(b"receivers: {otlp: {protocols: {grpc: {endpoint: 1}}}}", {}, "collector.yaml")
    assert caught.value.__cause__ is caught.value.__context__ is None
