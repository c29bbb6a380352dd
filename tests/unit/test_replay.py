"""`spanhouse replay`: the files that it reads, and the receivers that it looks for."""

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

from collector.cli import UserError, main
from collector.replay import pieces
from collector.replay.files import files_of, requests_of
from collector.replay.senders import connect
from tests.support.certificates import Authority
from tests.support.messages import canonical_spans
from tests.support.otlp_json import to_json
from tests.support.requests import EPOCH, every_value_request, tree_request

ROOT = Path(__file__).resolve().parents[2]
SECOND = 10**9


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "collector", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", ["nowhere.pb", "x" * 300], ids=["missing", "too long"])
def test_a_file_to_replay_that_cannot_be_read_is_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", name]) == 1
    assert capsys.readouterr().err.startswith(f"spanhouse replay: {name} cannot be read: ")


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


async def test_a_certificate_of_another_name_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    identity = authority.issue("collector.example.com")
    encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    encryption.load_cert_chain(identity.cert_file, identity.key_file)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(authority.file))
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=encryption) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UserError, match=r"IP address mismatch.*; give the endpoint a name that the certificate has$"):
            async with connect("grpc", f"https://127.0.0.1:{port}"):
                pass


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
