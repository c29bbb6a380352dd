"""What load tests write and read of HTTP: answers against the standard library's reader, requests against aiohttp's."""

from __future__ import annotations

import http.client
import io
import itertools
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from yarl import URL

from collector.monitor.expectations import Expectations, Judge
from collector.monitor.load.message import Message, TraceIds
from collector.monitor.load.response import AnswerReader, MalformedAnswer
from collector.monitor.load.schedule import Arrivals, first_due_s
from collector.monitor.requests.request import GraphqlRequest, HttpRequest, prepare

EXTRA = ["Date: now", "Connection: close", "X-Content-Length: 7", "Connection: keep-alive"]


class Socket(io.BytesIO):
    """As much of a socket as `http.client` reads from."""

    def makefile(self, *_: Any) -> Socket:
        return self


def whole(status: int, framing: str, chunks: list[bytes], extra: list[str]) -> bytes:
    """An answer whose body is framed in one of the ways of RFC 9112."""
    body = b"".join(chunks)
    lines = [f"HTTP/1.1 {status} Some Reason", *extra]
    if framing == "length":
        lines.append(f"cOntent-LENGTH:  {len(body)} ")
    elif framing == "chunked" and status not in (204, 304):
        lines.append("Transfer-Encoding: chunked")
        sizes = [b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk]
        body = b"".join(sizes) + b"0\r\nTrailer: x\r\n\r\n"
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if status in (204, 304) else body)


def read(reader: AnswerReader, data: bytes, cuts: list[int]) -> bool:
    """Feed in pieces; whether the answer is whole in the end."""
    done = False
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(places):
        done = reader.feed(data[start:end])
    return done or reader.end()


@given(
    st.sampled_from([200, 204, 304, 404, 500]),
    st.sampled_from(["length", "chunked", "end"]),
    st.lists(st.binary(max_size=30), max_size=4),
    # Of several, the library reads the first of a name.
    st.lists(st.sampled_from(EXTRA), max_size=3, unique_by=lambda line: line.partition(":")[0]),
    st.lists(st.integers(0, 10_000), max_size=8),
    st.integers(0, 2),
)
def test_answers_are_read_as_the_standard_library_reads_them(
    status: int, framing: str, chunks: list[bytes], extra: list[str], cuts: list[int], interim: int
) -> None:
    data = whole(status, framing, chunks, extra)
    oracle = http.client.HTTPResponse(Socket(data))  # type: ignore[arg-type]  # it needs no more of a socket
    oracle.begin()
    body = oracle.read()
    reader = AnswerReader(keeps_body=True)
    for _ in range(2):
        data_with_interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * interim + data
        assert read(reader, data_with_interim, cuts)
        assert (reader.status, bytes(reader.body), reader.nbytes) == (status, body, len(data_with_interim))
        assert reader.stays_open == (not oracle.will_close)
        reader.begin()


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6), st.booleans())
@example(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", [], False)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", [], False)
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", [], False)
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", [], False)
@example(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", [], False)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", [], True)
@example(b"SSH-2.0-OpenSSH\r\n", [], True)
def test_no_bytes_are_read_in_two_ways(data: bytes, cuts: list[int], with_head: bool) -> None:
    if with_head:
        data = b"HTTP/1.1 200 OK\r\n" + data
    outcomes = set()
    for pieces in ([], cuts, list(range(len(data)))):
        reader = AnswerReader(keeps_body=True)
        try:
            outcomes.add((read(reader, data, pieces), reader.status, bytes(reader.body)))
        except MalformedAnswer:
            outcomes.add((False, 0, b"malformed"))
    assert len(outcomes) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (64 << 10),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * (8 << 10),
    ],
    ids=["head", "chunk"],
)
def test_what_never_ends_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedAnswer, match="too long"):
        AnswerReader().feed(data + b"x")


def test_who_says_close_once_means_it() -> None:
    said = b"HTTP/1.%d 204 No Content\r\n%b\r\n"
    for minor, lines, stays_open in (
        (1, b"", True),
        (1, b"Connection: close\r\nConnection: keep-alive\r\n", False),
        (0, b"", False),
        (0, b"connection: Keep-Alive\r\n", True),
        (0, b"Connection: keep-alive, close\r\n", False),
    ):
        reader = AnswerReader()
        assert reader.feed(said % (minor, lines))
        assert reader.stays_open == stays_open


def test_a_head_alone_is_a_whole_answer_to_who_asked_for_it() -> None:
    assert AnswerReader(without_body=True).feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")


def test_requests_are_told_apart_by_their_traces_alone() -> None:
    message = Message("POST", "/a?b=c", [("Host", "here"), ("TraceParent", "old"), ("X", "é")], b"body")
    trace_ids = TraceIds()
    drawn = [trace_ids.draw() for _ in range(3000)]
    assert len(set(drawn)) == 3000
    head, _, body = message.of(drawn[2999]).partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert lines[:4] == ["POST /a?b=c HTTP/1.1", "Host: here", "X: é", "Content-Length: 4"]
    name, parent = lines[4].split(": ")
    assert (name, parent[:3], parent[3:35], parent[53:], len(parent)) == (
        "traceparent",
        "00-",
        drawn[2999].decode(),
        "01",
        55,
    )
    assert body == b"body"
    for headers in ([("A", "b\r\nc")], [("A\n", "b")], [("A", "\0")], [("A", "日本")]):
        with pytest.raises(ValueError, match="a request's head has a"):
            Message("GET", "/", headers, b"")


@given(st.floats(0.1, 5000), st.floats(0, 30), st.integers(0, 5000))
def test_arrivals_are_those_of_the_area_under_the_rate(rate: float, ramp_up_s: float, number: int) -> None:
    arrivals = Arrivals(rate, ramp_up_s)
    due = arrivals.due_s(number)
    ramp = min(due, ramp_up_s)
    area = (rate * ramp**2 / (2 * ramp_up_s) if ramp_up_s else 0.0) + rate * (due - ramp)
    assert area == pytest.approx(number, rel=1e-6, abs=1e-6)
    assert arrivals.due_s(number + 1) > due
    assert first_due_s(3, 6, 10.0) == 5.0


def test_json_is_compared_as_json() -> None:
    def fault(body: bytes, path: str, equals: Any) -> str:
        expected = Expectations.model_validate({"json_values": ({"path": path, "equals": equals},)})
        return Judge(expected).judge(200, 0, body)

    body = b'{"a": {"b": [1, 2.0, true, null, {"c": "x"}]}, "d e": 3}'
    for path, equals in (
        ("$.a.b[0]", 1.0),
        ("$.a.b[1]", 2),
        ("$.a.b[2]", True),
        ("$.a.b[3]", None),
        ("$.a.b", [1, 2, True, None, {"c": "x"}]),
        ("$['d e']", 3),
        ("$.a.b[4].c", "x"),
        ("$.a.b[-1]['c']", "x"),
    ):
        assert fault(body, path, equals) == ""
    for path, equals in (("$.a.b[2]", 1), ("$.a.b[0]", True), ("$.missing", None), ("$.a.b", [1]), ("$.a.b[4].c", "y")):
        assert fault(body, path, equals) == f"{path!r} differs"
    assert fault(b"no", "$", 1) == "body is no JSON"
    with pytest.raises(ValidationError, match="RFC 9535"):
        Expectations.model_validate({"json_values": ({"path": "a.b", "equals": 1},)})
    for path in ("$..c", "$.a.*", "$.a[?match(@, '(a+)+$')]", "$.a[0,1]"):
        with pytest.raises(ValidationError, match="by names and positions alone"):
            Expectations.model_validate({"json_values": ({"path": path, "equals": 1},)})


def test_a_described_request_becomes_http() -> None:
    asked = HttpRequest(
        method="PUT", url="http://[::1]:8080/ä?c=d#e", headers={"accept": "text/csv", "X": "a ${secret:k}"}, body="é"
    )
    made = prepare(asked, {"k": "s"}.__getitem__, "agent")
    assert (made.method, made.url, made.body) == ("PUT", URL("http://[::1]:8080/%C3%A4?c=d#e"), "é".encode())
    assert made.headers == (("Host", "[::1]:8080"), ("User-Agent", "agent"), ("accept", "text/csv"), ("X", "a s"))
    query = GraphqlRequest(url="https://shop.example", query="{a}", variables={"n": 1}, operation_name="o")
    made = prepare(query, {}.__getitem__, "agent")
    assert (made.method, made.body, made.no_errors) == ("POST", b'{"query":"{a}","variables":{"n":1},"operationName":"o"}', True)
    assert dict(made.headers)["Host"] == "shop.example"
    for headers in ({"Content-Length": "1"}, {"traceparent": "x"}, {"a b": "x"}, {"a": "b\nc"}):
        with pytest.raises(ValidationError):
            HttpRequest(url="http://x/", headers=headers)
    for url in (
        "x",
        "http://",
        "http://u:p@x/",
        "http://x:0/",
        "http://0x7f.1/",
        "file:///etc/passwd",
        "http://a\\@b/",
        "http://x/a b",
    ):
        with pytest.raises(ValidationError):
            HttpRequest(url=url)
