"""The collector is away, slow, or answers nonsense: the service goes on with what it knew, and says once what is wrong."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from spanhouse_sdk import failures
from spanhouse_sdk.follower import Follower
from spanhouse_sdk.settings import Settings
from spanhouse_sdk.tracing_config import TracingConfig

from tests.support.daemon import eventually as until

CONFIG = {
    "service": "c a/rt",
    "traced": True,
    "samplingRate": 0.25,
    "excludedPaths": ["/x"],
    "propagateContext": False,
    "rule": "exact",
}
KNOWN = TracingConfig(0.25, ("/x",), False, "exact")
RULES = {
    "rules": [
        {
            "id": "00000000-0000-0000-0000-000000000001",
            "failure": {"type": "reset"},
            "probability": 1.0,
            "match": {},
            "endsAt": "2100-01-01T00:00:00Z",
        }
    ]
}
REQUEST = failures.Request("/", "GET /", {}, {})


class Collector(ThreadingHTTPServer):
    """Answers what tests say."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.config: bytes = json.dumps(CONFIG).encode()
        self.rules: bytes = json.dumps(RULES).encode()
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, Any]] = []
        self.dawdles = threading.Event()
        self.dawdles.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers))
        self.server.dawdles.wait(30)
        body = self.server.config if "/check?" in self.path else self.server.rules
        same = "/check?" not in self.path and self.headers.get("If-None-Match") == '"1"'
        self.send_response(304 if same else self.server.status)
        self.send_header("ETag", '"1"')
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        if not same:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not same:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield collector
        collector.dawdles.set()
        collector.shutdown()
        thread.join()


def follower(collector: Collector, **said: Any) -> Follower:
    return Follower(Settings("c a/rt", collector.url, "my shop", fault_injection=True, **said))


def test_it_is_asked_for_the_service_with_its_token_and_makes_no_spans_of_that(collector: Collector) -> None:
    following = follower(collector, token="secret-token")
    assert following.config == TracingConfig()
    following.refresh()
    assert following.config == KNOWN
    injection = following.injection(REQUEST, 1)
    assert injection is not None
    assert injection.failure.type == "reset"
    held = following.config
    following.refresh()
    assert following.config is held
    assert following.injection(REQUEST, 1) is not None
    check, rules, _, rules_again = collector.asked
    assert check[0] == "/api/v1/workspaces/my%20shop/tracing-configs/check?service=c%20a%2Frt"
    assert rules[0] == "/api/v1/workspaces/my%20shop/failure-rules/of-service?service=c%20a%2Frt"
    assert check[1]["Authorization"] == "Bearer secret-token"
    assert rules_again[1]["If-None-Match"] == '"1"'
    assert not {"traceparent", "x-trace-id"} & {name.lower() for name in check[1]}
    assert context.get_value(_SUPPRESS_INSTRUMENTATION_KEY) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b" " * (1 << 21),
        json.dumps({**CONFIG, "samplingRate": 2}).encode(),
        json.dumps({**CONFIG, "samplingRate": float("nan")}).encode(),
        json.dumps({**CONFIG, "samplingRate": True}).encode(),
        json.dumps({**CONFIG, "traced": "no"}).encode(),
        json.dumps({**CONFIG, "excludedPaths": ["/"] * 101}).encode(),
        json.dumps({**CONFIG, "excludedPaths": "/*"}).encode(),
        json.dumps({**CONFIG, "rule": 7}).encode(),
    ],
    ids=range(16),
)
def test_nonsense_changes_nothing(collector: Collector, answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    following = follower(collector)
    following.refresh()
    collector.config = answer
    with caplog.at_level(logging.INFO):
        following.refresh()
        following.refresh()
        assert following.config == KNOWN
        assert len(caplog.records) == 1
        collector.config = json.dumps(CONFIG).encode()
        following.refresh()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_nothing_ends_the_following_for_good(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    following = follower(collector)
    with monkeypatch.context() as patched:
        patched.setattr(json, "loads", lambda _: {}[0])
        following.refresh()
    assert following.config == TracingConfig()
    following.refresh()
    assert following.config == KNOWN


@pytest.mark.parametrize("status", [204, 302, 401, 404, 500, 503])
def test_other_answers_change_nothing_and_nobody_else_is_asked(collector: Collector, status: int) -> None:
    following = follower(collector, token="secret-token")
    following.refresh()
    collector.status, collector.config = status, b'{"samplingRate": 0}'
    collector.headers = {"Location": f"{collector.url}/elsewhere"}
    following.refresh()
    assert following.config == KNOWN
    assert not any("elsewhere" in path for path, _ in collector.asked)


def test_a_collector_that_is_away_is_no_reason_to_stop(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    following = follower(collector)
    following.refresh()
    gone = Follower(Settings("cart", "http://127.0.0.1:1", default_rate=0.5))
    with caplog.at_level(logging.WARNING):
        gone.refresh()
        gone.refresh()
    assert gone.config == TracingConfig(0.5)
    assert len(caplog.records) == 1


def test_failures_end_where_the_collector_is_not_heard_of(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    following = follower(collector)
    following.refresh()
    assert following.injects
    later = time.monotonic() + 31
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not following.injects
    assert following.injection(REQUEST, 1) is None
    assert following.config == KNOWN
    following.refresh()
    assert following.injects


def test_nobody_waits_for_a_slow_collector_and_the_thread_ends_when_it_is_told(collector: Collector) -> None:
    collector.dawdles.clear()
    following = follower(collector, refresh_interval_s=0.1)
    following.start()
    try:
        assert following.config == TracingConfig()
        collector.dawdles.set()
        until(lambda: following.config == KNOWN, "the config")
    finally:
        following.stop()
    thread = following._thread
    assert thread is not None
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_goes_on_by_itself(collector: Collector) -> None:
    following = follower(collector, refresh_interval_s=0.1)
    following.start()
    try:
        until(lambda: following.config == KNOWN, "the config")
        collector.config = json.dumps({**CONFIG, "samplingRate": 0.5}).encode()
        reads, writes = os.pipe()
        child = os.fork()
        if not child:
            try:
                until(lambda: following.config.sampling_rate == 0.5, "the new config")
                os.write(writes, b"yes")
            finally:
                os._exit(0)
        os.close(writes)
        assert os.read(reads, 3) == b"yes"
        os.close(reads)
        os.waitpid(child, 0)
    finally:
        following.stop()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SPANHOUSE_ENDPOINT", "https://collector:443/", ("endpoint", "https://collector:443")),
        ("SPANHOUSE_ENDPOINT", "file:///etc/passwd", ("endpoint", "http://localhost:4319")),
        ("SPANHOUSE_ENDPOINT", "http://[", ("endpoint", "http://localhost:4319")),
        ("SPANHOUSE_ENDPOINT", "http://me:pass@collector:4319", ("endpoint", "http://localhost:4319")),
        ("SPANHOUSE_ENDPOINT", "http://a:99999", ("endpoint", "http://localhost:4319")),
        ("SPANHOUSE_TOKEN", "a\r\nb", ("token", None)),
        ("SPANHOUSE_REFRESH_INTERVAL", "0", ("refresh_interval_s", 5.0)),
        ("SPANHOUSE_REFRESH_INTERVAL", "2.5", ("refresh_interval_s", 2.5)),
        ("OTEL_TRACES_SAMPLER_ARG", "often", ("default_rate", 1.0)),
        ("OTEL_TRACES_SAMPLER_ARG", "nan", ("default_rate", 1.0)),
        ("OTEL_TRACES_SAMPLER_ARG", "0.1", ("default_rate", 0.1)),
        ("OTEL_SERVICE_NAME", "shop", ("service", "shop")),
        ("SPANHOUSE_FAULT_INJECTION", "true", ("fault_injection", True)),
    ],
)
def test_settings_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: str, expected: tuple[str, Any]
) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(Settings.from_environment(), expected[0]) == expected[1]
    assert "me:pass" not in caplog.text
    assert "token" not in repr(Settings("cart", token="s3"))
