"""A genuine ClickHouse server, without root and without a package repository.

An npm package of the chDB project holds ClickHouse as one shared library. Called as `clickhouse local` it can open the server's
own HTTP and native ports. npm fetches the package once into `.cache/`; its checksum is fixed here. Two settings differ from a
server's: `implicit_select` is on, and everything on the machine may be read.

    path = obtain()                       # Unavailable says why there is none
    with running(path, directory) as server:
        server.http_port, server.tcp_port
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PACKAGE = "@chdb/lib-linux-x64-gnu@26.7.3-stable.1"
_INTEGRITY = "XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw=="
_CACHE = ROOT / ".cache" / "genuine-clickhouse" / "26.7.3-stable.1"
_LIBRARY = "libchdb.so"
_FETCH_TIMEOUT_S = 600
_START_TIMEOUT_S = 60


class Unavailable(Exception):
    """There is no genuine ClickHouse on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class GenuineServer:
    """A running server on 127.0.0.1."""

    http_port: int
    tcp_port: int
    process: subprocess.Popen[bytes]


def is_cached() -> bool:
    """Whether it can be started without fetching anything."""
    return (_CACHE / _LIBRARY).exists()


@cache
def obtain() -> Path:
    """The library's path; fetched by npm if it is not there yet. Raises Unavailable."""
    library = _CACHE / _LIBRARY
    if library.exists():
        return library
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise Unavailable("the package exists for Linux on x86-64 only")
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed")
    _CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE.parent) as directory:
        try:
            subprocess.run(
                [npm, "pack", "--silent", "--pack-destination", directory, _PACKAGE],
                check=True,
                capture_output=True,
                timeout=_FETCH_TIMEOUT_S,
            )
        except subprocess.SubprocessError as failed:
            raise Unavailable(f"npm could not fetch {_PACKAGE}: {failed}") from None
        archive = next(Path(directory).glob("*.tgz"))
        with archive.open("rb") as file:
            found = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
        if found != _INTEGRITY:
            raise Unavailable(f"the package has the checksum {found}, not the known one")
        _CACHE.mkdir(exist_ok=True)
        # The name appears with the last byte, so that a run that is interrupted, or two at a time, leave nothing half-made.
        partial = Path(directory) / _LIBRARY
        with tarfile.open(archive) as package, partial.open("wb") as file:
            source = package.extractfile(f"package/{_LIBRARY}")
            if source is None:
                raise Unavailable(f"the package holds no {_LIBRARY}")
            shutil.copyfileobj(source, file)
        partial.replace(library)
    return library


@contextmanager
def running(library: Path, directory: Path, *arguments: str) -> Iterator[GenuineServer]:
    """A server with its data in `directory` and further arguments, from the moment that its ports answer."""
    http_port, tcp_port = _free_ports(2)
    command = [sys.executable, str(Path(__file__)), str(library), str(directory), str(http_port), str(tcp_port), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            _wait_until_alive(process, http_port)
            yield GenuineServer(http_port, tcp_port, process)
        finally:
            process.kill()


def _wait_until_alive(process: subprocess.Popen[bytes], http_port: int) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        # Waiting for its end is also a way to let it work.
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise Unavailable(f"the genuine ClickHouse ended at its start with status {process.wait(timeout=0.05)}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{http_port}/ping", timeout=5):
            return
    raise Unavailable(f"the genuine ClickHouse did not answer within {_START_TIMEOUT_S} s")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _serve(library: str, directory: str, http_port: str, tcp_port: str, *further: str) -> None:
    """Be the server, until standard input ends."""

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    # The last statement keeps the session, and with it the server, alive.
    statements = (
        "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; "
        "SELECT sleepEachRow(3) FROM system.numbers SETTINGS function_sleep_max_microseconds_per_block = 0, max_block_size = 1 "
        "FORMAT Null"
    )
    arguments = [
        *("clickhouse", *further),
        *("--path", directory, "--http_port", http_port, "--tcp_port", tcp_port, "--listen_host=127.0.0.1"),
        *("--query", statements),
    ]
    loaded = ctypes.CDLL(library)
    loaded.chdb_query_cmdline.restype = ctypes.c_void_p
    loaded.chdb_query_cmdline(len(arguments), (ctypes.c_char_p * len(arguments))(*(each.encode() for each in arguments)))


if __name__ == "__main__":
    _serve(*sys.argv[1:])
