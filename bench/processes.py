"""Processes under measurement: start, wait until they serve, CPU time, memory, stop."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
STOP_S = 20.0
READY_S = 300.0
"""A first start of spanhouse compiles its kernels, which other work on the machine can draw out."""


def free_port() -> int:
    """A TCP port of the loopback address that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers_ok(url: str) -> bool:
    """Whether GET answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=5.0) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 60.0, poll_s: float = 0.02) -> None:
    """Poll until the condition holds. Raises TimeoutError that says what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {timeout_s} s")
        time.sleep(poll_s)


class Process:
    """A process that serves; as a context manager it is started, ready and in the end stopped.

    Args:
        name: for messages.
        command: program and arguments.
        ready: polled until it holds.
        log: file for its output.
        directory: where it runs; the default suits modules of this tree.
    """

    def __init__(self, name: str, command: Sequence[str], ready: Callable[[], bool], log: Path, directory: Path = ROOT) -> None:
        self.name = name
        self._command = list(command)
        self._ready = ready
        self._log = log
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.seconds_to_ready = 0.0

    def __enter__(self) -> Self:
        started = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_for(self._is_ready, f"ready {self.name}", READY_S)
        except BaseException:
            self._stop()
            raise
        self.seconds_to_ready = time.monotonic() - started
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """Process id. Raises RuntimeError before the start."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not started")
        return self._process.pid

    def cpu_seconds(self) -> float:
        """CPU time of all its threads since its start, user and system, exact to the scheduler's clock."""
        # The kernel's per-process CPU clock; its id is made from the process id (man 2 clock_getres).
        return time.clock_gettime_ns((~self.pid << 3) | 2) / 1e9

    def resident_bytes(self) -> int:
        """Resident set size."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _is_ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise RuntimeError(f"{self.name} ended with status {self._process.returncode}:\n{tail}")
        return self._ready()

    def _stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def python_module(module: str, *arguments: object) -> list[str]:
    """The command that runs a module of this tree."""
    return [sys.executable, "-m", module, *(str(argument) for argument in arguments)]
