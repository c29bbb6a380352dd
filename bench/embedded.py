"""The daemon writing into its embedded engine, against what that engine takes when the same blocks are simply posted to it.

The ready-made blocks are the daemon's own: it wrote them to the sink for the same requests. Both ways are timed from the first
byte until every row is found by a query, on the same table of the same engine, emptied before each.
"""

from __future__ import annotations

import http.client
import time
import urllib.request
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from bench.captured import Insert, inserts
from bench.contenders import spanhouse, spanhouse_writing_to
from bench.loads import LOADS
from bench.measure import Sender, SinkServer
from bench.processes import wait_for
from exporters.embedded.accounts import Account
from tests.support.clickhouse import embedded_server

TABLE = "otel.otel_traces"
TARGET = 0.8
CONCURRENT_POSTS = 4
"""Enough to keep the engine busy on a small machine; ten posts without a pause overrun the engine's memory limit."""
TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class EmbeddedRates:
    """Spans per second until queryable: through the daemon, and of the engine alone."""

    daemon: float
    engine: float

    @property
    def ratio(self) -> float:
        """The daemon's part of the engine's own rate."""
        return self.daemon / self.engine


class Engine:
    """The embedded engine, asked over its HTTP interface."""

    def __init__(self, port: int) -> None:
        self._port = port

    def run(self, sql: str) -> str:
        """One statement; its output as text."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/", data=sql.encode(), timeout=TIMEOUT_S) as response:
            return str(response.read().decode()).strip()

    def rows(self) -> int:
        """Spans stored."""
        return int(self.run(f"SELECT count() FROM {TABLE}"))

    def post(self, blocks: Sequence[Insert]) -> None:
        """Insert all blocks, several at a time, each under a token that the engine has not seen."""
        with ThreadPoolExecutor(CONCURRENT_POSTS) as pool:
            for share in [pool.submit(self._post_share, blocks[first::CONCURRENT_POSTS]) for first in range(CONCURRENT_POSTS)]:
                share.result()

    def _post_share(self, blocks: Sequence[Insert]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        for block in blocks:
            arguments = block.arguments | {"insert_deduplication_token": uuid.uuid4().hex, "query_id": uuid.uuid4().hex}
            headers = {"Content-Encoding": block.content_encoding} if block.content_encoding else {}
            connection.request("POST", f"/?{urlencode(arguments)}", body=block.body, headers=headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200:
                raise RuntimeError(f"the engine refused a block: {answer.decode(errors='replace')[:500]}")
        connection.close()


def compare(directory: Path, *, requests: int, repetitions: int) -> EmbeddedRates:
    """Median rates of both ways for so many requests of the load spans-512, taken in turn."""
    load = LOADS["spans-512"]
    spans = load.spans_sent(requests)
    blocks = _ready_made_blocks(directory, requests)
    daemon_rates: list[float] = []
    engine_rates: list[float] = []
    # Nobody but the daemon may write to an engine that it has started itself, so this one is started beside it.
    with embedded_server(directory / "engine", [Account(reader=None)]) as port:
        contender = spanhouse_writing_to(directory / "embedded", {"endpoint": f"http://127.0.0.1:{port}", "database": "otel"})
        with contender.process, Sender(contender, load) as sender:
            engine = Engine(port)
            sender.send(requests // 4)
            wait_for(lambda: engine.rows() == load.spans_sent(requests // 4), "rows of the warm-up", TIMEOUT_S)
            for _ in range(repetitions):
                for rates, store in ((daemon_rates, lambda: sender.send(requests)), (engine_rates, lambda: engine.post(blocks))):
                    engine.run(f"TRUNCATE TABLE {TABLE}")
                    started = time.monotonic()
                    store()
                    wait_for(lambda: engine.rows() == spans, f"{spans} rows in the engine", TIMEOUT_S)
                    rates.append(spans / (time.monotonic() - started))
    return EmbeddedRates(median(daemon_rates), median(engine_rates))


def _ready_made_blocks(directory: Path, requests: int) -> list[Insert]:
    """What the daemon posts for these requests."""
    captured = directory / "blocks"
    captured.mkdir()
    load = LOADS["spans-512"]
    with SinkServer(directory) as sink:
        contender = spanhouse(directory / "to-sink", sink.port)
        with contender.process, Sender(contender, load) as sender:
            sink.capture_to(captured)
            sender.send(requests)
            sink.wait_until_settled(contender)
    return list(inserts(captured))


def report(rates: EmbeddedRates) -> str:
    """One line."""
    verdict = "met" if rates.ratio >= TARGET else "MISSED"
    return (
        f"embedded     daemon {rates.daemon:,.0f} spans/s, engine alone {rates.engine:,.0f} spans/s until queryable: "
        f"{rates.ratio:.0%}  ≥ {TARGET:.0%}: {verdict}"
    )
