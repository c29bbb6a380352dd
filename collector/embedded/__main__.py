"""`python -m collector.embedded --path DIR --listen 127.0.0.1:8123`: the server process.

On standard output it prints one line of JSON when it is ready, or when it cannot start; later on, a line at most once a second
that says how many requests were refused since the last one, by reason. It stops at SIGTERM or SIGINT and, with
`--with-parent`, when its standard input ends: the process that started it is gone. Who may ask stands in the environment (see
`accounts`); by default `default` may read, from this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import structlog
import uvloop
from aiohttp import web

from collector.directories import in_use, unusable
from collector.errors import Refused
from collector.http_connection import ConnectionLimits, Runner
from collector.logging import configure_logging
from collector.tls import TlsError, listening_options
from config.tls import ServerTls
from exporters.embedded.accounts import ENVIRONMENT, Accounts
from exporters.embedded.admission import Admission
from exporters.embedded.engine import Engine
from exporters.embedded.engine_config import EngineLimits
from exporters.embedded.errors import DatabaseError
from exporters.embedded.limits import ServerLimits
from exporters.embedded.refusals import Refusals
from exporters.embedded.rights import Rights, SpanTables
from exporters.embedded.server import CONNECTION_OPTIONS, MAX_HEADER_BYTES, MAX_URL_BYTES, Server
from proto.errors import MalformedRequest

_log = structlog.get_logger(__name__)

_PR_SET_PDEATHSIG = 1
_DRAIN_S = 10.0
_REPORT_INTERVAL_S = 1.0


class StartError(Exception):
    """Why the server cannot start, and what to do about it."""


def main() -> int:
    """Run the server; returns the exit status."""
    arguments = _arguments()
    # On standard error: standard output belongs to what the parent is told.
    configure_logging()
    # Spans are nobody else's business, whatever the machine lets its users read.
    os.umask(0o077)
    if arguments.with_parent:
        _die_with_parent()
    try:
        return uvloop.run(_serve(arguments))
    except StartError as refused:
        _say({"error": str(refused)})
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m collector.embedded", description="ClickHouse's HTTP interface over chDB.")
    parser.add_argument("--path", type=Path, required=True, help="data directory")
    parser.add_argument("--listen", default="127.0.0.1:8123", help="host:port; port 0 takes a free one")
    parser.add_argument("--tables", type=_tables, default=SpanTables(), help="SpanTables as JSON: what readers may read")
    parser.add_argument("--allowed-host", action="append", default=[], help="a name by which browsers may call the server")
    parser.add_argument("--limits", type=json.loads, default={}, help="EngineLimits as JSON")
    parser.add_argument("--server-limits", type=json.loads, default={}, help="ServerLimits as JSON")
    parser.add_argument("--tls", type=ServerTls.model_validate_json, help="the listener's `tls` as JSON; clear text without")
    parser.add_argument("--key", default="exporters.clickhouse.embedded", help="where all this is configured, for messages")
    parser.add_argument("--with-parent", action="store_true", help="stop when standard input ends or the parent dies")
    return parser.parse_args()


def _tables(text: str) -> SpanTables:
    values = json.loads(text)
    return SpanTables(values["database"], tuple(values["names"]))


async def _serve(arguments: argparse.Namespace) -> int:
    host, port = _address(arguments.listen)
    # Held to the end of the process, whatever ends it.
    lock = _lock(arguments.path, f"{arguments.key}.path")
    handed_over = os.environ.pop(ENVIRONMENT, "")
    accounts = Accounts.from_json(handed_over) if handed_over else Accounts()
    rights = {account.name: Rights.of(account.reader.workspaces, account.reader.limits) for account in accounts if account.reader}
    engine = _open_engine(arguments.path, f"{arguments.key}.path", EngineLimits(**arguments.limits), arguments.tables, rights)
    try:
        limits = ServerLimits(**arguments.server_limits)
        refusals = Refusals()
        server = Server(engine, Admission(accounts, rights, limits), (host, *arguments.allowed_host), refusals)
        runner = _runner(server, limits, refusals)
        await runner.setup()
        listener = None
        try:
            listener = await _listen(runner, host, port, arguments.tls, arguments.key)
            stopped = _stop_event(watch_input=arguments.with_parent)
            _say({"ready": {"host": host, "port": listener.sockets[0].getsockname()[1], "version": engine.version}})
            while not await _within(_REPORT_INTERVAL_S, stopped):
                _report(refusals)
        finally:
            if listener is not None:
                listener.close()
            await runner.cleanup()
        _report(refusals)
    finally:
        engine.close()
        os.close(lock)
    return 0


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise StartError(f"the address to listen at is {listen!r}; it must read host:port, as in 127.0.0.1:8123")
    return host.strip("[]"), int(port)


def _lock(path: Path, key: str) -> int:
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as refused:
        raise StartError(unusable(key, path, refused)) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        raise StartError(in_use(key, path, holder)) from None
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    except OSError as refused:
        raise StartError(unusable(key, path, refused)) from None
    return lock


def _open_engine(path: Path, key: str, limits: EngineLimits, tables: SpanTables, rights: Mapping[str, Rights]) -> Engine:
    try:
        return Engine(path, limits, tables, rights.values())
    except ImportError as missing:
        raise StartError(f"chDB is not installed ({missing}); install the extra 'embedded'") from None
    except OSError as refused:
        raise StartError(unusable(key, path, refused)) from None
    except DatabaseError as refused:
        raise StartError(f"{key}: the engine does not start on {path}: {refused.text}") from None


def _runner(server: Server, limits: ServerLimits, refusals: Refusals) -> Runner:
    connections = ConnectionLimits(
        max_header_bytes=MAX_HEADER_BYTES,
        max_url_bytes=MAX_URL_BYTES,
        header_timeout_s=limits.head_timeout_s,
        idle_timeout_s=limits.idle_timeout_s,
        max_connections=limits.max_connections,
        kept_for_this_machine=limits.kept_for_this_machine,
    )
    refuse = partial(_refuse, refusals)
    return Runner(server.application(), connections, refuse, shutdown_timeout_s=_DRAIN_S, **CONNECTION_OPTIONS)


def _refuse(refusals: Refusals, error: Exception) -> web.Response:
    """The answer to what is no request, or to a connection too many."""
    if not isinstance(error, Refused | MalformedRequest):
        _log.error("request_failed", exc_info=error)
        return web.Response(status=500, text="Internal error\n")
    reason = error.kind if isinstance(error, Refused) else "malformed"
    refusals.count(reason, text=str(error))
    return web.Response(status=431 if reason == "header_too_large" else 400, text=f"{error}\n")


async def _listen(runner: web.AppRunner, host: str, port: int, tls: ServerTls | None, key: str) -> asyncio.Server:
    assert runner.server is not None  # noqa: S101 - it was set up
    try:
        encryption = listening_options(tls, f"{key}.tls")
        return await asyncio.get_running_loop().create_server(runner.server, host, port, reuse_address=True, **encryption)
    except TlsError as refused:
        raise StartError(str(refused)) from None
    except OSError as refused:
        if refused.errno == errno.EADDRINUSE:
            raise StartError(f"the port {port} of {host} is taken; stop what listens there, or change {key}.listen") from None
        raise StartError(f"cannot listen at {host}:{port} ({refused.strerror}); change {key}.listen") from None


def _report(refusals: Refusals) -> None:
    """Tell the process that started this one who was turned away."""
    if counted := refusals.take():
        _say({"refused": counted})


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Whether the event came within so many seconds."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def _stop_event(*, watch_input: bool) -> asyncio.Event:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if watch_input:
        # Nothing is ever written to it: it becomes readable when its other end is gone.
        loop.add_reader(sys.stdin.fileno(), stopped.set)
    return stopped


def _die_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the parent process is gone")


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
