"""Clients that send while the daemon is killed, and the ways in which it is killed."""

from __future__ import annotations

import http.client
import itertools
import random
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.batches import numbered
from tests.support.clickhouse import ClickHouse
from tests.support.daemon import Daemon

_CLIENTS: Final = 3


@dataclass
class Clients:
    """Threads that send spans for as long as there is a daemon; none sends a span twice.

    Attributes:
        trace_of: number of a span → its trace id, as a number.
        acknowledged: numbers of the spans that the daemon has taken.
        sent: how many spans were sent.
    """

    daemon: Daemon
    trace_of: Callable[[int], int] = lambda number: number + 1
    acknowledged: set[int] = field(default_factory=set)
    sent: int = 0
    _first: Any = field(default_factory=lambda: itertools.count(0, 40))
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Clients:
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(_CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _send(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self._over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.daemon.ports.http, timeout=30)
            try:
                while not self._over.is_set():
                    self._send_one(connection, next(self._first), chance.randrange(1, 40), chance.randrange(2000))
            except (OSError, http.client.HTTPException):
                self._over.wait(0.01)
            finally:
                connection.close()

    def body(self, first: int, count: int, filler: int) -> bytes:
        """The request with the spans `first`, `first + 1`, ..."""
        return numbered(first, count, filler=filler, trace_of=self.trace_of).data.tobytes()

    def _send_one(self, connection: http.client.HTTPConnection, first: int, count: int, filler: int) -> None:
        body = self.body(first, count, filler)
        self.sent += count
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        if answer.status == http.HTTPStatus.OK:
            self.acknowledged.update(range(first, first + count))


def configure_anew(
    daemon: Daemon, server: ClickHouse, database: str, chance: random.Random, processors: Mapping[str, Any]
) -> None:
    """Give the daemon these processors, and batches of another size each time."""
    daemon.configure(
        clickhouse={"endpoint": server.url, "database": database, "sending_queue": {"num_consumers": chance.randrange(1, 5)}},
        batch={"send_batch_size": chance.choice([1, 100, 2000]), "timeout": chance.choice(["0s", "5ms", "100ms"])},
        processors=processors,
        journal={"sync": "always", "segment_bytes": 100_000},
        service={"shutdown_timeout": "5s"},
    )


def kill_some_time(daemon: Daemon, chance: random.Random) -> None:
    """Start the daemon and kill it: as it starts, as it works, or as it stops."""
    assert daemon.process is None or daemon.process.poll() is not None
    how = chance.choice(["starting", "working", "working", "working", "stopping", "told twice"])
    pause = threading.Event()
    if how == "starting":
        daemon.launch()
        pause.wait(chance.uniform(0.2, 1.5))
    else:
        daemon.start()
        pause.wait(chance.uniform(0.0, 0.6))
    if how in ("stopping", "told twice"):
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGTERM)
        pause.wait(chance.uniform(0.0, 0.1))
    daemon.stop(signal.SIGTERM if how == "told twice" else signal.SIGKILL)
