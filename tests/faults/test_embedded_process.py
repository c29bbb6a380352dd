"""The embedded server under `kill -9`, a taken port, a locked directory, a dead parent."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog

from collector.embedded.process import EmbeddedConfig, EmbeddedServer, EmbeddedStartError
from exporters.embedded.accounts import Account, password_digest
from tests.support.waiting import until

_DEADLINE_S = 60
_OWNER = Account(reader=None)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    embedded = EmbeddedServer(EmbeddedConfig(path=tmp_path / "clickhouse", listen="127.0.0.1:0", accounts=(_OWNER,)))
    async with embedded, asyncio.TaskGroup() as tasks:
        tasks.create_task(embedded.supervise())
        yield embedded
        await embedded.stop()


def _post(server: EmbeddedServer, body: bytes, **parameters: str) -> bytes:
    request = urllib.request.Request(f"{server.url}/?{urlencode(parameters)}", data=body)
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: bytes = response.read()
        return answer


async def _execute(server: EmbeddedServer, statement: str) -> bytes:
    return await asyncio.to_thread(_post, server, statement.encode())


async def test_what_was_acknowledged_survives_kill_and_a_resent_token_stores_nothing_twice(server: EmbeddedServer) -> None:
    await _execute(
        server, "CREATE TABLE t (x UInt64) ENGINE = MergeTree ORDER BY x SETTINGS non_replicated_deduplication_window = 1000"
    )

    def insert(batch: int) -> None:
        rows = b"".join(b"%d\n" % number for number in range(batch * 1000, batch * 1000 + 1000))
        _post(server, rows, query="INSERT INTO t FORMAT TSV", insert_deduplication_token=f"batch {batch}", async_insert="0")

    async def insert_until_acknowledged(batch: int) -> None:
        async with asyncio.timeout(_DEADLINE_S):
            while True:
                try:
                    return await asyncio.to_thread(insert, batch)
                except (OSError, http.client.HTTPException):
                    await asyncio.sleep(0.05)

    async def kill_twice() -> None:
        for restarts in (1, 2):
            pid = server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda restarts=restarts: server.restarts == restarts)  # type: ignore[misc]  # a default binds it

    async def insert_all() -> None:
        for batch in range(60):
            await insert_until_acknowledged(batch)
            if batch % 7 == 0:
                await insert_until_acknowledged(batch)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(insert_all())
        tasks.create_task(kill_twice())
    assert await _execute(server, "SELECT count(), uniqExact(x), max(x) FROM t") == b"60000\t60000\t59999\n"


async def test_data_and_port_stay_over_a_restart(server: EmbeddedServer) -> None:
    port = server.port
    await _execute(server, "CREATE TABLE t (x UInt64) ENGINE = MergeTree ORDER BY x")
    await _execute(server, "INSERT INTO t VALUES (1)")
    await server.stop()
    assert server.pid is None
    await server.start()
    assert server.port == port
    assert await _execute(server, "SELECT x FROM t") == b"1\n"


async def test_one_that_is_stopped_while_it_is_being_started_again_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()
    create = asyncio.create_subprocess_exec

    async def slowly(*command: Any, **options: Any) -> asyncio.subprocess.Process:
        begun.set()
        await may_go_on.wait()
        return await create(*command, **options)

    server = EmbeddedServer(EmbeddedConfig(path=tmp_path / "clickhouse", listen="127.0.0.1:0"))
    await server.start()
    assert server.pid is not None
    monkeypatch.setattr(asyncio, "create_subprocess_exec", slowly)
    watching = asyncio.create_task(server.supervise())
    os.kill(server.pid, signal.SIGKILL)
    await begun.wait()
    await server.stop()
    may_go_on.set()
    await watching
    assert server.pid is None


async def test_a_directory_in_use_is_named_with_the_process_that_uses_it(server: EmbeddedServer, tmp_path: Path) -> None:
    second = EmbeddedServer(EmbeddedConfig(path=tmp_path / "clickhouse", listen="127.0.0.1:0"))
    with pytest.raises(EmbeddedStartError, match=f"in use by the process with id {server.pid}; stop it"):
        await second.start()


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedStartError, match=f"the port {port} of 127.0.0.1 is taken.*embedded.listen"):
            await EmbeddedServer(EmbeddedConfig(path=tmp_path / "clickhouse", listen=f"127.0.0.1:{port}")).start()


async def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedStartError, match=r"^exporters.clickhouse.embedded.path: .*cannot be used: Not a directory; move"):
        await EmbeddedServer(EmbeddedConfig(path=tmp_path / "file" / "clickhouse", listen="127.0.0.1:0")).start()


async def test_ctrl_c_at_the_daemons_terminal_does_not_reach_the_server(server: EmbeddedServer) -> None:
    assert server.pid is not None
    assert os.getpgid(server.pid) != os.getpgrp()


async def test_stopping_lets_a_running_insert_end(server: EmbeddedServer) -> None:
    await _execute(server, "CREATE TABLE t (x UInt64) ENGINE = MergeTree ORDER BY x")
    insert = asyncio.create_task(_execute(server, "INSERT INTO t SELECT number + sleepEachRow(0.2) FROM numbers(10)"))

    async def runs() -> bool:
        return await _execute(server, "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%'") != b"1\n"

    await until(runs)
    await server.stop()
    await insert
    await server.start()
    assert await _execute(server, "SELECT count() FROM t") == b"10\n"


async def test_the_password_is_asked_for(tmp_path: Path) -> None:
    account = Account("spans", password_digest("secret"))
    config = EmbeddedConfig(path=tmp_path / "clickhouse", listen="127.0.0.1:0", accounts=(account,))
    async with EmbeddedServer(config) as server:
        with pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(_post, server, b"SELECT 1")
        refused.value.close()
        assert refused.value.code == 401
        assert await asyncio.to_thread(lambda: _post(server, b"SELECT 1", user="spans", password="secret")) == b"1\n"


async def test_files_commands_and_other_servers_are_out_of_reach(server: EmbeddedServer, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of this machine")
    await _execute(server, "CREATE TABLE t (x String) ENGINE = MergeTree ORDER BY x")
    dictionary = "CREATE DICTIONARY d (k UInt64, v String) PRIMARY KEY k SOURCE({}) LAYOUT(FLAT()) LIFETIME(0)"
    for statement in (
        f"SELECT file('{secret}')",
        f"SELECT * FROM file('{secret}', LineAsString)",
        f"SELECT * FROM `{secret}`",
        f"INSERT INTO t VALUES (file('{secret}'))",
        f"SELECT 1 INTO OUTFILE '{tmp_path}/out'",
        f"INSERT INTO FUNCTION file('{tmp_path}/out') SELECT 1",
        f"INSERT INTO t FROM INFILE '{secret}' FORMAT LineAsString",
        f"CREATE TABLE f (x String) ENGINE = File(LineAsString, '{secret}')",
        "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
        "SELECT * FROM remote('127.0.0.1:1', system.one)",
        "SELECT * FROM executable('id', TSV, 'x String')",
        dictionary.format("EXECUTABLE(COMMAND 'id' FORMAT TSV)"),
        dictionary.format(f"FILE(PATH '{secret}' FORMAT TSV)"),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            await _execute(server, statement)
        with refused.value as answer:
            text = answer.read()
        assert b"secret of this machine" not in text
        assert b"SYNTAX_ERROR" not in text, statement
    assert not (tmp_path / "out").exists()
    await _execute(server, "INSERT INTO t VALUES ('tables work')")


async def test_a_line_without_end_does_not_keep_the_server_from_going_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Python runs this at the start of each process.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys; sys.stderr.write('x' * 1_000_000 + '\\nthe end\\n'); sys.stderr.flush()"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    config = EmbeddedConfig(path=tmp_path / "clickhouse", listen="127.0.0.1:0", accounts=(_OWNER,))
    with structlog.testing.capture_logs() as lines:
        async with EmbeddedServer(config) as server:
            assert await _execute(server, "SELECT 1") == b"1\n"
    assert "the end" in [line.get("line") for line in lines]


_PARENT = """
import asyncio, sys
from pathlib import Path
from collector.embedded.process import EmbeddedConfig, EmbeddedServer

async def main():
    server = EmbeddedServer(EmbeddedConfig(path=Path(sys.argv[1]), listen="127.0.0.1:0"))
    await server.start()
    print("pid", server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PARENT, str(tmp_path / "clickhouse")]
    parent = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    line = b""
    while not line.startswith(b"pid "):
        line = await parent.stdout.readline()
        assert line, "the parent ended before its server ran"
    pid = int(line.split()[1])
    parent.kill()
    await parent.wait()
    await until(lambda: not _is_alive(pid))


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
