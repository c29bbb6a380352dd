"""One measurement: send a fixed number of requests to a contender and read what that cost it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self
from urllib.parse import quote

from bench.captured import count_rows
from bench.contenders import Contender
from bench.loads import Load
from bench.processes import ROOT, Process, free_port, listens, python_module

SETTLED_S = 0.6
"""All is written once nothing has arrived for so long, three times the contenders' batch time-out, ..."""
SETTLED_CPU_S = 0.06
"""... while the contender used less CPU time than this: one that is busy may still have a batch to send."""
POLL_S = 0.02


class MeasurementError(Exception):
    """A measurement that must not be reported: requests were refused, or rows are missing."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one measurement found.

    Attributes:
        cpu_s: CPU time of the contender's process, from the first request until it has written everything and settled.
        seconds: wall time from the first request until the last answer, and until the last insert where it writes.
        requests, spans: how much was sent.
    """

    cpu_s: float
    seconds: float
    requests: int
    spans: int

    @property
    def cpu_us_per_span(self) -> float:
        """CPU microseconds per span."""
        return self.cpu_s / self.spans * 1e6

    @property
    def cpu_us_per_request(self) -> float:
        """CPU microseconds per request."""
        return self.cpu_s / self.requests * 1e6

    @property
    def spans_per_second(self) -> float:
        """Spans per second of wall time, on a machine that the sender and the sink share."""
        return self.spans / self.seconds


class SinkServer:
    """The sink's process and what can be asked of it."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        command = python_module("bench.sink", "--port", self.port)
        self._process = Process("sink", command, lambda: listens(self.port), directory / "sink.log")

    def __enter__(self) -> Self:
        self._process.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.__exit__(kind, error, trace)

    def bytes_received(self) -> int:
        """Bytes of all inserts since the start, as they came over the wire."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/bench/state") as response:
            received: int = json.load(response)["bytes"]
            return received

    def capture_to(self, directory: Path | None) -> None:
        """Write the inserts from now on to files there; None ends that."""
        path = quote(str(directory)) if directory else ""
        url = f"http://127.0.0.1:{self.port}/bench/capture?directory={path}"
        urllib.request.urlopen(urllib.request.Request(url, method="POST")).close()

    def wait_until_settled(self, contender: Contender) -> float:
        """Wait until the contender has written all it has; the monotonic time at which the last bytes were seen to arrive."""
        seen, changed = self.bytes_received(), time.monotonic()
        quiet_since, cpu = changed, contender.process.cpu_seconds()
        while time.monotonic() - quiet_since < SETTLED_S:
            time.sleep(POLL_S)
            if (now := self.bytes_received()) != seen:
                seen, changed = now, time.monotonic()
            elif contender.process.cpu_seconds() - cpu < SETTLED_CPU_S:
                continue
            quiet_since, cpu = time.monotonic(), contender.process.cpu_seconds()
        return changed


class Sender:
    """The load process, its connections open; it belongs to one contender and one load."""

    def __init__(self, contender: Contender, load: Load) -> None:
        self._name = f"{load.name} to {contender.name}"
        self._process = subprocess.Popen(
            python_module("bench.load", load.name, contender.endpoint(load), load.in_flight),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def send(self, requests: int) -> float:
        """Send so many requests and return the seconds until the last answer. Raises MeasurementError for a refusal."""
        refused, seconds, error = self.offer(requests)
        if refused:
            raise MeasurementError(f"{self._name}: {refused} of {requests} refused, first: {error}")
        return seconds

    def offer(self, requests: int) -> tuple[int, float, str]:
        """Send so many requests; returns how many were refused, the seconds until the last answer, and the first refusal."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{requests}\n")
        self._process.stdin.flush()
        answer = json.loads(self._line())
        return int(answer["refused"]), float(answer["seconds"]), str(answer["error"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise MeasurementError(f"{self._name}: the load process ended with status {self._process.wait()}")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def measure(contender: Contender, sender: Sender, sink: SinkServer, load: Load, requests: int) -> Cost:
    """Send `requests` requests and read the clocks. The contender must be warm and the sink settled."""
    cpu_before = contender.process.cpu_seconds()
    started = time.monotonic()
    seconds = sender.send(requests)
    if contender.writes:
        seconds = max(seconds, sink.wait_until_settled(contender) - started)
    cpu = contender.process.cpu_seconds() - cpu_before
    return Cost(cpu, seconds, requests, load.spans_sent(requests))


def check_rows(contender: Contender, sender: Sender, sink: SinkServer, load: Load) -> int:
    """Send each body once and return how many rows too many arrived, negative when too few: 0 when every span arrived once.

    Spans that a receiver may refuse may arrive or not.
    """
    spans = load.spans()
    with TemporaryDirectory() as directory:
        sink.capture_to(Path(directory))
        sender.send(len(spans))
        sink.wait_until_settled(contender)
        sink.capture_to(None)
        rows = count_rows(Path(directory))
    most = sum(spans)
    return rows - min(max(rows, most - load.refusable()), most)
