"""What the daemon needs of the machine: addresses, room on disk, compiled kernels."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from collector.control.strategy_file import StrategyFileError, read_strategies
from collector.doctor.finding import Finding
from collector.kernels import REMEDY, are_kept
from config.exporters import ClickHouseExporter
from config.extensions import QueryExtension
from config.journal import JournalExtension
from config.model import Config
from config.remote_sampling import RemoteSamplingExtension
from config.values import TcpAddress, UnixAddress
from proto.warm import cache_directory, is_warm

_LEAST_FREE_BYTES: Final = 1 << 30
_OUR_COMMANDS: Final = ("spanhouse run", "-m collector ", "-m collector.embedded ")
_LISTENING: Final = "0A"  # the state in /proc/net/tcp


def kernels() -> Finding:
    """Whether kernels are compiled, or where they would be kept."""
    directory = cache_directory()
    if is_warm():
        return Finding("ok", "kernels", f"compiled, in {directory}")
    if are_kept():
        return Finding("ok", "kernels", f"the first start compiles them into {directory}, which takes about a minute")
    return Finding("warn", "kernels", "there is nowhere to keep them, so every start compiles them for about a minute", REMEDY)


def addresses(config: Config) -> Iterator[Finding]:
    """Whether each address that the daemon listens on is free, and who holds it if not."""
    for subject, address in _listeners(config):
        if isinstance(address, UnixAddress):
            yield _unix_socket(subject, address)
        else:
            yield _tcp_address(subject, address)


def embedded_database(exporter: ClickHouseExporter) -> Iterator[Finding]:
    """Whether the embedded ClickHouse is installed and has room."""
    if importlib.util.find_spec("chdb") is None:
        yield Finding("fail", "embedded ClickHouse", "chdb is not installed", "run: pip install 'spanhouse[embedded]'")
    path = Path(exporter.embedded.path).absolute()
    existing = _nearest_existing(path)
    if unusable := _unusable(existing, "data directory", "exporters.clickhouse.embedded.path"):
        yield unusable
        return
    free = shutil.disk_usage(existing).free
    text = f"{path} has {free / (1 << 30):.1f} GiB free"
    if free < _LEAST_FREE_BYTES:
        yield Finding("warn", "data directory", text, "make room, or shorten exporters.clickhouse.ttl")
    else:
        yield Finding("ok", "data directory", text)


def strategies(config: Config) -> Iterator[Finding]:
    """Whether the file of sampling strategies can be used."""
    for name in config.service.extensions:
        extension = config.extensions[name]
        if isinstance(extension, RemoteSamplingExtension) and extension.source.file:
            key, file = f"extensions.{name}.source.file", extension.source.file
            try:
                found = read_strategies(file, key, extension.source.default_sampling_probability)
            except StrategyFileError as error:
                yield Finding("fail", key, str(error))
            else:
                yield Finding("ok", key, f"{file} names {len(found.services)} services")


def journal(config: Config) -> Finding:
    """Whether there is a journal, and room for it."""
    extensions = [config.extensions[name] for name in config.service.extensions]
    for extension in extensions:
        if isinstance(extension, JournalExtension):
            return _journal_directory(Path(extension.directory).absolute(), extension.max_bytes)
    text = "there is none, so acknowledged spans that are not stored yet are lost with the process"
    return Finding("warn", "journal", text, "add a journal extension and name it in service.extensions")


def _journal_directory(path: Path, max_bytes: int) -> Finding:
    existing = _nearest_existing(path)
    if unusable := _unusable(existing, "journal", "extensions.journal.directory"):
        return unusable
    held = sum(file.stat().st_size for file in path.glob("*.journal"))
    room = shutil.disk_usage(existing).free + held
    holds, most, available = (f"{nbytes / (1 << 30):.1f}" for nbytes in (held, max_bytes, room))
    text = f"{path} holds {holds} GiB and may grow to {most}; the disk has room for {available}"
    if room < max_bytes:
        return Finding("warn", "journal", text, "make room, or lower extensions.journal.max_bytes")
    return Finding("ok", "journal", text)


def _listeners(config: Config) -> Iterator[tuple[str, TcpAddress | UnixAddress]]:
    for name in config.service.pipelines.traces.receivers:
        for keys, server in config.receivers[name].listeners.items():
            yield ".".join(("receivers", name, *keys, "endpoint")), server.address
    for name in config.service.extensions:
        extension = config.extensions[name]
        if isinstance(extension, QueryExtension):
            yield f"extensions.{name}.endpoint", extension.address
        elif isinstance(extension, RemoteSamplingExtension):
            for key, listener in extension.listeners.items():
                yield f"extensions.{name}.{key}.endpoint", listener.address
    for name, exporter in config.stores.items():
        if exporter.is_embedded:
            yield f"exporters.{name}.embedded.listen", exporter.embedded.address


def _tcp_address(subject: str, address: TcpAddress) -> Finding:
    try:
        candidates = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        return Finding("fail", subject, f"{address} is no address: {error.strerror or error}", f"correct {subject}")
    for family, kind, protocol, _, target in candidates:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(target)
            except OSError as error:
                holder = _holder(address.port)
                if any(name in holder for name in _OUR_COMMANDS):
                    return Finding("ok", subject, f"{address} is held by {holder}, which runs already")
                by = f"held by {holder}" if holder else f"not to be had ({error.strerror})"
                return Finding("fail", subject, f"{address} is {by}", f"stop the other program, or change {subject}")
    return Finding("ok", subject, f"{address} is free")


def _unix_socket(subject: str, address: UnixAddress) -> Finding:
    path = Path(address.path)
    if not os.access(path.parent, os.W_OK):
        return Finding("fail", subject, f"{path.parent} does not exist or cannot be written", f"make it, or change {subject}")
    if path.exists() and not path.is_socket():
        return Finding("fail", subject, f"{path} is a file that is not a socket", "move it away")
    return Finding("ok", subject, f"{path} can be made")


def _holder(port: int) -> str:
    """The process that listens on a port, as `name (process 123)`; empty when it cannot be told."""
    inodes = set(_listening_inodes(port))
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(file.readlink()) in inodes for file in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().split(b"\0")
                words = [Path(word.decode(errors="replace")).name for word in command[:3]]
                return f"{' '.join(filter(None, words))} (process {process.name})"
        except OSError:
            # Gone meanwhile, or another user's.
            continue
    return ""


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"


def _nearest_existing(path: Path) -> Path:
    # Not `Path.exists`, which fails where somebody else's directory hides what is in it.
    return next(directory for directory in (path, *path.absolute().parents) if os.access(directory, os.F_OK))


def _unusable(existing: Path, subject: str, key: str) -> Finding | None:
    """What keeps the daemon from having its files in what is there; None if nothing does."""
    if not existing.is_dir():
        return Finding("fail", subject, f"{existing} is not a directory", f"move it away, or change {key}")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding("fail", subject, f"{existing} cannot be written", f"let its owner be the daemon's user, or change {key}")
    return None
