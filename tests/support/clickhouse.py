"""A pytest plugin: ClickHouse, embedded and genuine, each started once per session when a test first asks for it.

`clickhouse` runs a test against both. Where no genuine server can be had the tests run against the embedded one alone, and the
session says why. In modules that say `READERS_TOO = True` a test runs a third time, as somebody who may only read.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from exporters.embedded.accounts import ENVIRONMENT, Account, Accounts, password_digest
from tests.support import genuine_clickhouse as genuine

OWNER = "owner"
"""Name and password of the account that may write, where `default` may not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. Header names compare without regard to case. `complete` is false if the body's last chunk is missing."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    complete: bool = True


class Refusal(AssertionError):
    """ClickHouse refused a statement that a test relies on."""


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """A running ClickHouse.

    Attributes:
        kind: `embedded`, `genuine`, or `reader` for an embedded one where `default` may only read.
        http_port: of 127.0.0.1.
        tcp_port: of the native protocol; 0 for the embedded one, which does not speak it.
        credentials: headers of every request.
    """

    kind: str
    http_port: int
    tcp_port: int = 0
    credentials: Mapping[str, str] = field(default_factory=dict)

    def as_user(self, name: str, password: str) -> ClickHouse:
        """The same server, asked by somebody else."""
        return replace(self, credentials={"X-ClickHouse-User": name, "X-ClickHouse-Key": password})

    @property
    def as_owner(self) -> ClickHouse:
        """The same server, asked by somebody who may write."""
        return self.as_user(OWNER, OWNER) if self.kind == "reader" else self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def request(
        self,
        method: str,
        parameters: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        path: str = "/",
    ) -> Answer:
        """One HTTP request, as it is, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=60)
        try:
            target = f"{path}?{urlencode(parameters)}" if parameters else path
            connection.request(method, target, body, {**self.credentials, **(headers or {})})
            return _answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, body: bytes | str, headers: Mapping[str, str] | None = None, **parameters: str) -> Answer:
        """A POST whose body is a statement, or data for the statement in `query`."""
        return self.request("POST", parameters, body.encode() if isinstance(body, str) else body, headers)

    def get(self, headers: Mapping[str, str] | None = None, **parameters: str) -> Answer:
        """A GET."""
        return self.request("GET", parameters, headers=headers)

    def execute(self, statement: str, **parameters: str) -> bytes:
        """Run a statement and return its answer. Raises Refusal."""
        answer = self.request("POST", {"wait_end_of_query": "1", **parameters}, statement.encode())
        if answer.status != http.HTTPStatus.OK:
            raise Refusal(answer.body.decode())
        return answer.body


def _answer(response: http.client.HTTPResponse) -> Answer:
    try:
        return Answer(response.status, response.headers, response.read())
    except http.client.IncompleteRead as cut:
        return Answer(response.status, response.headers, cut.partial, complete=False)


@contextmanager
def embedded_server(path: Path, accounts: Iterable[Account], *arguments: str) -> Iterator[int]:
    """The embedded server, in a process of its own as always; its port."""
    command = [sys.executable, "-m", "collector.embedded", "--with-parent", "--path", str(path), "--listen", "127.0.0.1:0"]
    environment = {**os.environ, ENVIRONMENT: Accounts(accounts).to_json()}
    with subprocess.Popen(
        [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=genuine.ROOT, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["ready"]["port"]
        finally:
            process.stdin.close()
            process.wait(timeout=30)


@pytest.fixture(scope="session")
def embedded_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """The embedded server; as on a genuine one that was just installed, `default` may do everything."""
    with embedded_server(tmp_path_factory.mktemp("embedded-clickhouse"), [Account(reader=None)]) as port:
        yield ClickHouse("embedded", port)


@pytest.fixture(scope="session")
def reader_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """The embedded server as the daemon starts it: `default` may read."""
    accounts = [Account(OWNER, password_digest(OWNER), None), Account()]
    with embedded_server(tmp_path_factory.mktemp("reader-clickhouse"), accounts) as port:
        yield ClickHouse("reader", port)


@pytest.fixture(scope="session")
def genuine_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """The genuine server. Raises Unavailable where there is none: prefer `clickhouse`, which then leaves it out."""
    path = tmp_path_factory.mktemp("genuine-clickhouse")
    with genuine.running(genuine.obtain(), path) as server:
        yield ClickHouse("genuine", server.http_port, server.tcp_port)


@pytest.fixture(scope="session")
def clickhouse(request: pytest.FixtureRequest) -> ClickHouse:
    """Both servers, one after the other."""
    server: ClickHouse = request.getfixturevalue(f"{request.param}_clickhouse")
    return server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "clickhouse" in metafunc.fixturenames:
        kinds: list[Any] = ["embedded"]
        if not _why_not_genuine():
            # The same once more, so it waits for those who have the time.
            kinds.append(pytest.param("genuine", marks=pytest.mark.soak))
        kinds += ["reader"] if getattr(metafunc.module, "READERS_TOO", False) else []
        metafunc.parametrize("clickhouse", kinds, indirect=True, scope="session")


def pytest_report_header() -> str:
    if genuine.is_cached():
        return "genuine ClickHouse: in .cache"
    return "genuine ClickHouse: not in .cache; npm fetches it when a test asks for it"


def pytest_report_collectionfinish(items: list[pytest.Item]) -> str | None:
    if not any("clickhouse" in getattr(item, "fixturenames", ()) for item in items):
        return None
    reason = _why_not_genuine()
    if reason:
        return f"ClickHouse tests run against the embedded server ALONE: {reason}"
    return "ClickHouse tests run against the embedded server, and with -m soak against a genuine one"


def _why_not_genuine() -> str:
    try:
        genuine.obtain()
    except genuine.Unavailable as reason:
        return str(reason)
    return ""
