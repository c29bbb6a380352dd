"""The command line, without a daemon."""

from __future__ import annotations

import asyncio
import gzip
import io
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.cli import UserError, main, parser
from collector.replay import pieces
from collector.replay.files import files_of, requests_of
from collector.replay.senders import connect
from exporters.clickhouse.schema import TEMPLATES
from tests.support.certificates import Authority
from tests.support.messages import canonical_spans
from tests.support.otlp_json import to_json
from tests.support.requests import EPOCH, every_value_request, tree_request

ROOT = Path(__file__).resolve().parents[2]
SECOND = 10**9


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "collector", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


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


@pytest.mark.parametrize("name", ["nowhere.pb", "x" * 300], ids=["missing", "too long"])
def test_a_file_to_replay_that_cannot_be_read_is_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", name]) == 1
    assert capsys.readouterr().err.startswith(f"spanhouse replay: {name} cannot be read: ")


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


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m collector schema | head -1"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stderr == ""


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_replay_without_a_receiver_is_one_clear_line(protocol: str, tmp_path: Path) -> None:
    (tmp_path / "one.pb").write_bytes(tree_request(depth=1).SerializeToString())
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{unused.getsockname()[1]}"
        ended = run("replay", str(tmp_path / "one.pb"), "--protocol", protocol, "--endpoint", endpoint)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"spanhouse replay: nobody takes OTLP over {protocol} at {endpoint}; ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_what_is_wrong_with_encryption_is_told_as_such(protocol: str, tmp_path: Path) -> None:
    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    identity = Authority(tmp_path).issue("127.0.0.1")
    of_nobody_known = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    of_nobody_known.load_cert_chain(identity.cert_file, identity.key_file)
    remedies = {of_nobody_known: "not accepted: .* in OTEL_EXPORTER_OTLP_CERTIFICATE$", None: "does not speak TLS; .*http://"}
    for encryption, told in remedies.items():
        async with await asyncio.start_server(refuse, "127.0.0.1", 0, ssl=encryption) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(UserError, match=told):
                async with connect(protocol, f"https://127.0.0.1:{port}"):
                    pass


def test_the_schema_of_a_pipeline_without_clickhouse_is_told_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "collector.yaml"
    parts = "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {debug: }\n"
    file.write_text(f"{parts}service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [debug]}}}}}}\n")
    for action in ([], ["plan"], ["apply"]):
        assert main(["schema", *action, "-c", str(file)]) == 1
        assert "no exporter" in capsys.readouterr().err


def test_replay_takes_every_form_of_file_and_directories(tmp_path: Path) -> None:
    request = every_value_request()
    body, text = request.SerializeToString(), to_json(request)
    contents = {"a.pb": body, "b.pb.gz": gzip.compress(body), "c.json": text, "d.json.gz": gzip.compress(text)}
    contents |= {"e.jsonl": text + b"\n" + text + b"\n", "notes.txt": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    read = list(requests_of(files_of(tmp_path), move_to_now=False))
    assert [item.source.name for item in read] == ["a.pb", "b.pb.gz", "c.json", "d.json.gz", "e.jsonl", "e.jsonl"]
    for item in read:
        assert list(canonical_spans(ExportTraceServiceRequest.FromString(item.body))) == list(canonical_spans(request))
    assert {item.spans for item in read} == {2}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.pb", b"\xff", "cannot be read as an OTLP trace request"),
        ("a.pb.gz", b"no gzip", "cannot be read as an OTLP trace request"),
        ("a.json", b"[1", "cannot be read as an OTLP trace request"),
        ("a.txt", b"", "is not known to be OTLP"),
    ],
)
def test_a_file_that_is_no_request_is_told_by_name(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=told):
        list(requests_of(files_of(tmp_path / name), move_to_now=False))


def large_request(resources: int) -> ExportTraceServiceRequest:
    """So many resources of a MiB each."""
    request = ExportTraceServiceRequest()
    for number in range(resources):
        part = tree_request(depth=1, seed=number, start_time_unix_nano=EPOCH).resource_spans[0]
        part.scope_spans[0].spans[0].name = f"{number} {'x' * (1 << 20)}"
        request.resource_spans.append(part)
    return request


@pytest.mark.parametrize("name", ["a.pb", "a.json", "a.pb.gz", "a.jsonl.gz"])
def test_large_files_are_read_and_sent_in_pieces(tmp_path: Path, name: str) -> None:
    request = large_request(9)
    content = request.SerializeToString() if ".pb" in name else to_json(request)
    (tmp_path / name).write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    read = [ExportTraceServiceRequest.FromString(item.body) for item in requests_of([tmp_path / name], move_to_now=False)]
    assert [len(part.resource_spans) for part in read] == [3, 3, 3]
    assert [span for part in read for span in canonical_spans(part)] == list(canonical_spans(request))


def test_what_stands_before_damage_is_read_though_the_rest_cannot_be(tmp_path: Path) -> None:
    """So what stands behind it is not read before it is needed either."""
    (tmp_path / "a.pb.gz").write_bytes(gzip.compress(large_request(9).SerializeToString(), 0)[: 7 << 20])
    (tmp_path / "b.jsonl").write_bytes(to_json(tree_request(depth=1)) + b"\n[")
    for file in files_of(tmp_path):
        requests = requests_of([file], move_to_now=False)
        assert next(requests).spans
        with pytest.raises(UserError, match=f"{file.name} cannot be read"):
            list(requests)


@pytest.mark.parametrize(
    ("name", "told"),
    [("a.json", "write a request a line"), ("a.jsonl", "a line has more than"), ("a.pb", "the spans of a resource have")],
)
def test_what_can_only_be_read_as_a_whole_may_be_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    request = large_request(1)
    (tmp_path / name).write_bytes(request.SerializeToString() if name == "a.pb" else to_json(request))
    monkeypatch.setattr(pieces, "_MOST_BYTES", 1 << 20)
    with pytest.raises(UserError, match=told):
        list(requests_of([tmp_path / name], move_to_now=False))


@given(st.binary(max_size=200))
def test_pieces_of_any_bytes_are_those_bytes_or_told_to_be_none(content: bytes) -> None:
    with suppress(DecodeError, pieces.TooLarge):
        assert b"".join(pieces.requests_in(io.BytesIO(content))) == content


def test_moving_to_now_keeps_differences_also_between_files_that_share_a_trace(tmp_path: Path) -> None:
    whole = tree_request(depth=4, seed=7, start_time_unix_nano=EPOCH)
    halves = [ExportTraceServiceRequest(), ExportTraceServiceRequest()]
    for number, span in enumerate(whole.resource_spans[0].scope_spans[0].spans):
        span.events.add(time_unix_nano=span.start_time_unix_nano + 5)
        halves[number % 2].resource_spans.add().scope_spans.add().spans.append(span)
    other = tree_request(depth=1, seed=8, start_time_unix_nano=EPOCH - 1000 * SECOND)
    for name, request in (("a.pb", halves[0]), ("b.pb", halves[1]), ("c.pb", other)):
        (tmp_path / name).write_bytes(request.SerializeToString())
    moved = [ExportTraceServiceRequest.FromString(item.body) for item in requests_of(files_of(tmp_path), move_to_now=True)]
    spans = [[span for part in request.resource_spans for span in part.scope_spans[0].spans] for request in moved]
    before = {span.span_id: span for span in whole.resource_spans[0].scope_spans[0].spans}
    for group in spans[:2]:
        for span in group:
            assert span.end_time_unix_nano - span.start_time_unix_nano == 1000 * 10**6
            assert span.events[0].time_unix_nano == span.start_time_unix_nano + 5
            assert span.start_time_unix_nano - before[span.span_id].start_time_unix_nano > 0
    # Both halves moved by the same amount, up to the time between the reading of the one and of the other.
    shifts = [group[0].start_time_unix_nano - before[group[0].span_id].start_time_unix_nano for group in spans[:2]]
    assert abs(shifts[0] - shifts[1]) < 60 * SECOND
    assert spans[2][0].end_time_unix_nano - spans[0][0].end_time_unix_nano < 60 * SECOND


def test_a_doctor_says_what_a_file_is_wrong_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "collector.yaml").write_text("receivers: {}\n")
    assert main(["doctor", "-c", str(tmp_path / "collector.yaml")]) == 1
    assert capsys.readouterr().out.startswith("fail  configuration: ")


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
