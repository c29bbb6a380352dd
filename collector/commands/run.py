"""`spanhouse run -c FILE`: the daemon, from its start to its orderly end."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import platform
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog
import uvloop

from collector.cli import FAILED, OK, UserError, spanhouse_version
from collector.commands.configuration import configuration
from collector.embedded.database import EmbeddedDatabase, embedded_exporter, new_password, with_owner
from collector.embedded.process import EmbeddedStartError
from collector.journal.directory import JournalError
from collector.logging import configure_logging
from collector.memory import keep_little
from collector.open_files import allow_many
from collector.reloading import fingerprint
from collector.running import ConfigFile
from config.exposure import open_listeners
from config.load import load
from config.model import Config

if TYPE_CHECKING:
    from collector.daemon import Daemon

_log = structlog.get_logger(__name__)


def execute(arguments: argparse.Namespace) -> int:
    """Run until a signal asks for the end: 0 when every acknowledged span is stored or in the journal, else 1."""
    # Read when the library of gRPC clients is loaded. Else it tells on standard error, in a form of its own, of each handshake
    # that fails, and of each fork, for which nothing need be made ready: our children are other programs.
    os.environ.setdefault("GRPC_VERBOSITY", "error")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    keep_little()
    allow_many()
    # Until the daemon takes them, signals to have the configuration read again must not end the process.
    hangups: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: hangups.append(number))
    owner = new_password()
    seen = fingerprint(arguments.config)
    config = with_owner(configuration(arguments.config), owner)
    file = ConfigFile(arguments.config, lambda: with_owner(load(arguments.config, os.environ), owner), seen)
    logs = config.service.telemetry.logs
    configure_logging(logs.level, logs.encoding)
    version = spanhouse_version()
    _log.info("starting", version=version, python=platform.python_version(), config=str(arguments.config), pid=os.getpid())
    for key, what in open_listeners(config):
        _log.warning("open_listener", key=key, note=what)
    # What is written holds spans: nobody else's business on a shared machine. The group keeps what it was given.
    os.umask(os.umask(0o077) | 0o007)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            lost_nothing = runner.run(_run(config, file, version, hangups))
    except (OSError, EmbeddedStartError, JournalError) as error:
        raise UserError(str(error)) from error
    _log.info("stopped", nothing_lost=lost_nothing)
    return OK if lost_nothing else FAILED


async def _run(config: Config, file: ConfigFile, version: str, hangups: Sequence[int]) -> bool:
    """Run a daemon; whether nothing was lost.

    Args:
        hangups: the SIGHUPs that have come.
    """
    async with AsyncExitStack() as stack:
        exporter = embedded_exporter(config)
        database = await stack.enter_async_context(EmbeddedDatabase(*exporter)) if exporter else None
        # Loading the daemon's modules takes a second, in which ClickHouse starts.
        module = await asyncio.to_thread(importlib.import_module, "collector.daemon")
        daemon: Daemon = module.Daemon(config, file, version, database)
        _obey_signals(daemon)
        if hangups:
            daemon.reload()
        return await daemon.run()


def _obey_signals(daemon: Daemon) -> None:
    """SIGHUP has the configuration read again; the first SIGTERM or SIGINT stops the daemon in order, the second at once."""
    asked: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        if asked:
            consequence = "what is not stored yet stays in the journal" if daemon.keeps else "what is not stored yet is lost"
            _log.error("leaving_at_once", signal=number.name, consequence=consequence)
            os._exit(128 + number)
        asked.append(number)
        _log.info("stop_requested", signal=number.name, note="a second signal ends the daemon at once")
        daemon.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload)
