"""The embedded server's process: started, watched, started again after a crash, stopped.

    server = EmbeddedServer(EmbeddedConfig(path=Path("spanhouse-data/clickhouse")))
    async with server, asyncio.TaskGroup() as tasks:      # started here; EmbeddedStartError if that fails
        tasks.create_task(server.supervise())             # ends when the server is stopped
        ...

What is stored survives `kill -9` of either process. The child dies with its parent: the kernel kills it when the thread that
started it ends (so start it from a thread that lives as long as the program, as the main thread does), and it stops by itself
when the pipe that is its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from config.tls import ServerTls
from exporters.embedded.accounts import ENVIRONMENT, Account, Accounts
from exporters.embedded.engine_config import EngineLimits
from exporters.embedded.limits import ServerLimits
from exporters.embedded.rights import SpanTables

_log = structlog.get_logger(__name__)
_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
# A server that has run so long was healthy: its next crash is not held against it.
_HEALTHY_S = 60.0


class EmbeddedStartError(Exception):
    """The server cannot start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class EmbeddedConfig:
    """Where the embedded server keeps its data and how it is reached.

    Attributes:
        path: data directory, one per server.
        listen: `host:port`; port 0 takes a free one, and keeps it over restarts.
        key: where it is configured, for messages.
        accounts: who may ask. Without an owner nobody can write.
        tables: what those may read who may only read.
        allowed_hosts: names by which browsers may call it, besides `localhost` and the one in `listen`.
        tls: encryption; None for clear text.
        engine, server: bounds on memory, threads and requests.
        start_timeout_s: how long a start may take (a large database has to be loaded).
        stop_timeout_s: how long a stop waits for running statements before it kills.
    """

    path: Path
    listen: str = "127.0.0.1:8123"
    key: str = "exporters.clickhouse.embedded"
    accounts: tuple[Account, ...] = (Account(),)
    tables: SpanTables = field(default_factory=SpanTables)
    allowed_hosts: tuple[str, ...] = ()
    tls: ServerTls | None = None
    engine: EngineLimits = field(default_factory=EngineLimits)
    server: ServerLimits = field(default_factory=ServerLimits)
    start_timeout_s: float = 60.0
    stop_timeout_s: float = 15.0


class EmbeddedServer:
    """An embedded ClickHouse, as its parent sees it.

    `restarts` counts the times that it had to be started again, `refused` the requests and connections that it turned away, by
    reason, up to the last second.
    """

    def __init__(self, config: EmbeddedConfig) -> None:
        self._config = config
        self._host, _, port = config.listen.rpartition(":")
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        self._relays: tuple[asyncio.Task[None], ...] = ()
        self._stopping = asyncio.Event()
        self.restarts = 0
        self.refused: Counter[str] = Counter()
        self.version = ""

    @property
    def url(self) -> str:
        """The base address, such as `http://host:port`; known after `start`."""
        return f"{'http' if self._config.tls is None else 'https'}://{self._host}:{self._port}"

    @property
    def port(self) -> int:
        """The port; known after `start`."""
        return int(self._port)

    @property
    def pid(self) -> int | None:
        """The server's process id; None when it does not run."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            EmbeddedStartError: a taken port, a directory in use or not writable, a missing chDB, a start that takes too long.
        """
        self._stopping.clear()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "collector.embedded", "--with-parent"),
            *("--path", str(self._config.path), "--listen", f"{self._host}:{self._port}"),
            *("--key", self._config.key),
            *("--tables", json.dumps(dataclasses.asdict(self._config.tables))),
            *(f"--allowed-host={name}" for name in self._config.allowed_hosts),
            *(("--tls", self._config.tls.model_dump_json()) if self._config.tls is not None else ()),
            *("--limits", json.dumps(dataclasses.asdict(self._config.engine))),
            *("--server-limits", json.dumps(dataclasses.asdict(self._config.server))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C is for the daemon, which still has spans to store here before it stops this process.
            start_new_session=True,
            env={**os.environ, ENVIRONMENT: Accounts(self._config.accounts).to_json()},
        )
        self._process = process
        self._relays = (asyncio.create_task(_relay_log(process)),)
        try:
            ready = await self._first_words(process)
        except BaseException:
            await self._kill()
            raise
        self._port, self.version = str(ready["port"]), ready["version"]
        self._relays += (asyncio.create_task(self._relay_counts(process)),)
        _log.info("clickhouse_ready", url=self.url, version=self.version, pid=process.pid, path=str(self._config.path))

    async def supervise(self) -> None:
        """Start the server again whenever it ends by itself, after a growing delay; returns once it is stopped."""
        loop = asyncio.get_running_loop()
        delay_s = _FIRST_DELAY_S
        while not self._stopping.is_set():
            began = loop.time()
            await self.wait_ended()
            if self._stopping.is_set():
                return
            if loop.time() - began > _HEALTHY_S:
                delay_s = _FIRST_DELAY_S
            status = None if self._process is None else self._process.returncode
            _log.error("clickhouse_ended", status=status, delay_s=delay_s, note="it is started again")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)
            if self._stopping.is_set():
                return
            await self._restart()
            delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
        # Whoever stopped it while it was being started again found no process.
        await self.stop()

    async def wait_ended(self) -> None:
        """Wait until the process ends, for whatever reason; at once if it does not run."""
        if self._process is not None:
            await self._process.wait()

    async def stop(self) -> None:
        """Stop the server: running statements may end within the configured time, then it is killed."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), self._config.stop_timeout_s)
            except TimeoutError:
                _log.warning("clickhouse_killed", timeout_s=self._config.stop_timeout_s, note="it did not stop in time")
        await self._kill()

    async def _restart(self) -> None:
        try:
            await self.start()
        except EmbeddedStartError as refused:
            _log.error("clickhouse_not_restarted", error=str(refused))
        else:
            self.restarts += 1

    async def _first_words(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        try:
            line = await asyncio.wait_for(process.stdout.readline(), self._config.start_timeout_s)
        except TimeoutError:
            raise EmbeddedStartError(
                f"the embedded ClickHouse was not ready within {self._config.start_timeout_s:g} s; its log lines say why"
            ) from None
        if not line:
            status = await process.wait()
            raise EmbeddedStartError(f"the embedded ClickHouse ended at its start (status {status}); its log lines say why")
        words: dict[str, Any] = json.loads(line)
        if "error" in words:
            raise EmbeddedStartError(words["error"])
        ready: dict[str, Any] = words["ready"]
        return ready

    async def _relay_counts(self, process: asyncio.subprocess.Process) -> None:
        """Add up what the server reports on its standard output."""
        assert process.stdout is not None  # noqa: S101 - it was asked for
        async for line in process.stdout:
            self.refused.update(json.loads(line)["refused"])

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
        if self._relays:
            await asyncio.gather(*self._relays)
            self._relays = ()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()


async def _relay_log(process: asyncio.subprocess.Process) -> None:
    """Everything that the server says on its standard error, line by line, into our log.

    It goes on to the end whatever comes: once nobody reads, the server would stand still at its next words.
    """
    assert process.stderr is not None  # noqa: S101 - it was asked for
    while True:
        try:
            line = await process.stderr.readline()
        except ValueError:
            continue  # longer than any that is read, and thrown away as far as it had come
        if not line:
            return
        _log.warning("clickhouse_says", line=line.decode(errors="replace").rstrip()[:2000])
