"""The command line, without a daemon."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from collector.cli import main, parser
from exporters.clickhouse.schema import TEMPLATES

ROOT = Path(__file__).resolve().parents[2]


def pipeline_without_clickhouse(directory: Path) -> Path:
    file = directory / "collector.yaml"
    parts = "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {debug: }\n"
    file.write_text(f"{parts}service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [debug]}}}}}}\n")
    return file


def test_a_good_file_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-c", str(ROOT / "collector.yaml")]) == 0
    assert capsys.readouterr().out == f"{ROOT / 'collector.yaml'} is valid\n"


def test_every_mistake_in_a_file_is_told_with_line_and_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "collector.yaml"
    file.write_text(
        (ROOT / "collector.yaml").read_text().replace("grpc:", "grcp:").replace("compress", "compres") + "\nservise: {}\n"
    )
    assert main(["validate", "-c", str(file)]) == 1
    told = capsys.readouterr().err
    assert "2 problems" in told
    assert "did you mean grpc?" in told
    assert "did you mean service?" in told


def test_a_file_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-c", "nowhere.yaml"]) == 1
    assert "nowhere.yaml: cannot be read: No such file or directory" in capsys.readouterr().err


def test_dead_letters_that_cannot_be_read_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    letters = tmp_path / "letters"
    file = tmp_path / "collector.yaml"
    file.write_text((ROOT / "collector.yaml").read_text().replace("database: otel", f"dead_letters: {{directory: {letters}}}"))
    assert main(["dead-letter", "list", "-c", str(file)]) == 0
    assert capsys.readouterr().out == f"no spans are set aside in {letters / 'clickhouse'}\n"
    letters.mkdir()
    (letters / "clickhouse").touch()
    assert main(["dead-letter", "list", "-c", str(file)]) == 1
    assert f"{letters / 'clickhouse'} cannot be read: Not a directory; " in capsys.readouterr().err


def test_the_schema_is_complete_sql_with_its_comments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "-c", str(ROOT / "collector.yaml")]) == 0
    sql = capsys.readouterr().out
    kinds = [statement.split()[:2] for statement in sql.split(";\n\n")[:-1]]
    assert kinds[:4] == [["CREATE", kind] for kind in ("DATABASE", "TABLE", "TABLE", "MATERIALIZED")]
    assert len(kinds) == 1 + len(TEMPLATES)
    assert "-- " in sql


def test_the_version_names_what_a_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("spanhouse ")
    assert any(line.startswith("numba ") for line in lines)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["rnu"],
        ["replay"],
        ["replay", "x.pb", "--rate", "0"],
        ["replay", "x.pb", "--concurrency", "0"],
        ["demo", "--rate", "-1"],
    ],
)
def test_wrong_usage_ends_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: spanhouse" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "command", "unknown"),
    [
        (["run", "--confg", "x.yaml"], "run", "--confg x.yaml"),
        (["validate", "x.yaml"], "validate", "x.yaml"),
        (["dead-letter", "list", "--al"], "dead-letter list", "--al"),
        (["sampling", "dry-run", "x.pb", "--explian=1"], "sampling dry-run", "--explian=1"),
    ],
)
def test_an_unknown_option_is_told_with_the_usage_of_its_command(
    arguments: list[str], command: str, unknown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    told = capsys.readouterr().err
    assert told.startswith(f"usage: spanhouse {command} [-h]")
    assert f"spanhouse {command}: error: unrecognized arguments: {unknown}" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["demo", "--rate", "fast"], "argument --rate: must be a number greater than 0, found 'fast'"),
        (["replay", "x.pb", "--concurrency", "1.5"], "argument --concurrency: must be a whole number of at least 1, found '1.5'"),
    ],
)
def test_a_value_that_is_no_number_is_told_with_what_would_be_right(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert told in capsys.readouterr().err


def test_the_version_is_an_option_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("spanhouse ")


def test_help_loads_no_command() -> None:
    script = "import sys; from collector.cli import parser; parser().format_help(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not {"numba", "numpy", "grpc", "aiohttp", "pydantic", "structlog"} & set(loaded)
    assert {"run", "validate", "schema", "replay", "demo", "doctor", "version"} <= set(parser().format_help().split())


def test_the_schema_of_a_pipeline_without_clickhouse_is_told_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = pipeline_without_clickhouse(tmp_path)
    for action in ([], ["plan"], ["apply"]):
        assert main(["schema", *action, "-c", str(file)]) == 1
        assert "no exporter" in capsys.readouterr().err


def test_a_doctor_says_what_a_file_is_wrong_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "collector.yaml").write_text("receivers: {}\n")
    assert main(["doctor", "-c", str(tmp_path / "collector.yaml")]) == 1
    assert capsys.readouterr().out.startswith("fail  configuration: ")


def test_a_doctor_tells_of_kernels_that_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "kernels").touch()
    command = [sys.executable, "-m", "collector", "doctor", "-c", str(pipeline_without_clickhouse(tmp_path))]
    environment = {**os.environ, "SPANHOUSE_KERNEL_CACHE": str(tmp_path / "kernels")}
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60).stdout
    assert "warn  kernels: there is nowhere to keep them" in told
    assert "SPANHOUSE_KERNEL_CACHE" in told


def test_a_doctor_finds_who_holds_a_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = (ROOT / "collector.yaml").read_text().replace("localhost:4317", f"127.0.0.1:{port}")
        (tmp_path / "collector.yaml").write_text(text)
        assert main(["doctor", "-c", str(tmp_path / "collector.yaml")]) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if f":{port}" in line)
    assert line.startswith("fail  receivers.otlp.protocols.grpc.endpoint: ")
    assert "held by" in line


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may read everything")
@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["doctor"], ["fail  journal: {hidden} cannot be written; ", "fail  data directory: {hidden} cannot be written; "]),
        (["schema", "plan"], ["exporters.clickhouse.embedded.path: {hidden}/data cannot be used: Permission denied for user "]),
    ],
)
def test_directories_that_nobody_else_may_look_into_are_told(tmp_path: Path, command: list[str], told: list[str]) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0)
    file = tmp_path / "collector.yaml"
    text = (ROOT / "collector.yaml").read_text().replace("./spanhouse-data", f"{hidden}/data")
    file.write_text(text.replace("./spanhouse-journal", f"{hidden}/journal"))
    obedient = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    words = [*obedient, sys.executable, "-m", "collector", *command, "-c", str(file)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert [each for each in told if each.format(hidden=hidden) not in done.stdout + done.stderr] == []


def test_a_doctor_finds_a_file_where_a_directory_is_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    text = (ROOT / "collector.yaml").read_text().replace("./spanhouse-journal", f"{tmp_path}/file")
    (tmp_path / "collector.yaml").write_text(text)
    assert main(["doctor", "-c", str(tmp_path / "collector.yaml")]) == 1
    assert f"fail  journal: {tmp_path}/file is not a directory; move it away, or change " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("journal", "line"),
    [
        (None, "warn  journal: there is none"),
        ("max_bytes: 1000", "ok    journal: {directory} holds 0.0 GiB"),
        ("max_bytes: 1000000000000000000", "warn  journal: {directory} holds 0.0 GiB"),
    ],
)
def test_a_doctor_looks_at_the_journal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], journal: str | None, line: str
) -> None:
    directory = tmp_path / "journal"
    kept = "" if journal is None else f"extensions: {{journal: {{directory: {directory}, {journal}}}}}\n"
    (tmp_path / "collector.yaml").write_text(
        "receivers: {otlp: {protocols: {grpc: {endpoint: localhost:0}}}}\n"
        "exporters: {clickhouse: {endpoint: http://localhost:1}}\n"
        f"{kept}service: {{extensions: [{'journal' if kept else ''}], "
        "pipelines: {traces: {receivers: [otlp], exporters: [clickhouse]}}}\n"
    )
    main(["doctor", "-c", str(tmp_path / "collector.yaml")])
    found = [each for each in capsys.readouterr().out.splitlines() if " journal: " in each]
    assert len(found) == 1
    assert found[0].startswith(line.format(directory=directory))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            '{"service_strategies": [{"service": "a", "type": "probabilistic", "param": 1}]}',
            "ok    {key}: {file} names 1 services",
        ),
        (
            '{"default_strategy": {"type": "adaptive", "param": 1}}',
            "fail  {key}: {key}: {file}: default_strategy.type: must be one of",
        ),
    ],
)
def test_a_doctor_reads_the_file_of_strategies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, line: str
) -> None:
    file, key = tmp_path / "strategies.json", "extensions.jaeger_remote_sampling.source.file"
    file.write_text(content)
    (tmp_path / "collector.yaml").write_text(
        "receivers: {otlp: {protocols: {grpc: {endpoint: localhost:0}}}}\n"
        "exporters: {clickhouse: {endpoint: http://localhost:1}}\n"
        f"extensions: {{jaeger_remote_sampling: {{http: {{endpoint: localhost:0}}, source: {{file: {file}}}}}}}\n"
        "service: {extensions: [jaeger_remote_sampling], "
        "pipelines: {traces: {receivers: [otlp], exporters: [clickhouse]}}}\n"
    )
    main(["doctor", "-c", str(tmp_path / "collector.yaml")])
    found = [each for each in capsys.readouterr().out.splitlines() if f" {key}: " in each]
    assert len(found) == 1
    assert found[0].startswith(line.format(key=key, file=file))


def test_a_doctor_tries_certificates_and_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "config" / "examples" / "secured.yaml").read_text()
    (tmp_path / "token").write_text("short")
    text = text.replace("/run/secrets/shop-token", str(tmp_path / "token")).replace(
        "${env:METRICS_TOKEN}", "${env:HOME}/0123456789"
    )
    text = text.replace("${env:CLICKHOUSE_PASSWORD}", "secret")
    (tmp_path / "collector.yaml").write_text(text)
    assert main(["doctor", "-c", str(tmp_path / "collector.yaml")]) == 1
    lines = capsys.readouterr().out.splitlines()
    wrong = "cannot read /etc/spanhouse/tls/tls.crt: No such file or directory"
    for key in ("receivers.otlp.protocols.grpc.tls", "receivers.otlp.protocols.http.tls", "extensions.query.tls"):
        assert [line for line in lines if line.startswith(f"fail  {key}: {key}.cert_file: {wrong}")]
    assert [
        line for line in lines if line.startswith("fail  extensions.tokens.tokens[0].token_file: ") and "must have 16" in line
    ]
    assert [line for line in lines if line.startswith("fail  ClickHouse: exporters.clickhouse.tls.ca_file: cannot read")]
