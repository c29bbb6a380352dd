"""How fast stored spans are found: our API beside the best SQL for the same answer, and beside the standard table.

    python bench/query.py [--spans N] [--keep DIR] [--only TEXT] [--rounds N] [--cold]

Makes 20 million spans shaped like the real traces (`bench/many_spans.py`), spread over three days, and writes them into an
embedded ClickHouse: into our tables and those of the Collector's exporter. Then starts the daemon, and asks each question in
turn of its API, in SQL of our tables, and of the standard table as its readers ask. With `--keep`, the store stays in that
directory, and is used again the next time.

Warm is the median over all samples and rounds. Cold, the files have been dropped from the operating system's cache and the marks
from ClickHouse's before each question; the median of three samples.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
import yaml

from bench.contenders import spanhouse_writing_to
from bench.query_questions import QUESTIONS, Question
from bench.query_sql import Sample
from bench.query_store import DATABASE, fill, merged
from exporters.embedded.accounts import Account
from tests.support.clickhouse import embedded_server

SPANS: Final = 20_000_000
COLD_SAMPLES: Final = 3
TARGET_RATIO: Final = 1.3
TARGET_MS: Final = 5.0
JOIN_TARGET: Final = 50.0
_SETTINGS: Final = {"default_format": "JSONColumns", "wait_end_of_query": 1, "max_execution_time": 60}
ENOUGH_MS: Final = 20_000.0
"""A way of asking that has taken so long altogether is asked no more."""
_TIMEOUT_S: Final = 120.0
_CACHES: Final = ("MARK CACHE", "UNCOMPRESSED CACHE", "INDEX MARK CACHE", "INDEX UNCOMPRESSED CACHE", "QUERY CONDITION CACHE")


class Asker:
    """A connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)

    def get(self, path: str, status: int) -> bytes:
        """An answer of the API. Raises RuntimeError for another status."""
        return self._ask("GET", path, None, path, status)

    def sql(self, statement: str) -> bytes:
        """An answer of ClickHouse. Raises RuntimeError for an error."""
        return self._ask("POST", f"/?{urlencode(_SETTINGS)}", statement.encode(), statement, http.client.OK)

    def _ask(self, method: str, target: str, body: bytes | None, asked: str, status: int) -> bytes:
        try:
            self._connection.request(method, target, body)
            response = self._connection.getresponse()
        except http.client.RemoteDisconnected:
            # It was closed while somebody else was asked for longer than it is kept.
            self._connection.close()
            self._connection.request(method, target, body)
            response = self._connection.getresponse()
        answer = response.read()
        if response.status != status:
            raise RuntimeError(f"{response.status} for {asked}: {answer[:1000].decode(errors='replace')}")
        return answer


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of one way of asking, warm for each sample and round, and cold."""

    warm: list[float]
    cold: list[float]

    @property
    def typical(self) -> float:
        return median(self.warm)

    @property
    def p95(self) -> float:
        return float(np.percentile(self.warm, 95))


def measure(question: Question, api: Asker, store: Asker, rounds: int, drop: Callable[[], None] | None) -> dict[str, Times]:
    """Times of each way: `api`, `ours`, and `standard` where there is one."""
    samples = rows(store.sql(question.samples))
    ways: dict[str, Callable[[Sample], object]] = {}
    if (path := question.path) is not None:
        ways["api"] = lambda sample: api.get(path(sample), question.answers)
    ways["ours"] = lambda sample: store.sql(question.ours(sample))
    if (standard := question.standard) is not None:
        ways["standard"] = lambda sample: store.sql(standard(sample))
    if "standard" in ways:
        try:
            ways["standard"](samples[0])
        except RuntimeError as refused:
            print(f"{question.name}, standard: {str(refused)[:400]}")
            del ways["standard"]
    times = {way: Times([], []) for way in ways}
    if drop is not None:
        for way, ask in ways.items():
            for sample in samples[:COLD_SAMPLES]:
                drop()
                times[way].cold.append(_milliseconds(ask, sample))
    for ask in ways.values():
        ask(samples[0])
    for _ in range(rounds if len(samples) > 1 else 3 * rounds):
        for sample in samples:
            # By turns, so that what else the machine does falls on all alike.
            for way, ask in ways.items():
                if sum(times[way].warm) < ENOUGH_MS:
                    times[way].warm.append(_milliseconds(ask, sample))
    return times


def _milliseconds(ask: Callable[[Sample], object], sample: Sample) -> float:
    started = time.perf_counter()
    ask(sample)
    return 1e3 * (time.perf_counter() - started)


def rows(answer: bytes) -> list[Mapping[str, Any]]:
    """An answer of `sql`, row by row."""
    columns = json.loads(answer)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def line(question: Question, times: Mapping[str, Times]) -> str:
    """One line of the report."""
    api, ours, standard = times.get("api"), times["ours"], times.get("standard")
    columns, verdicts = [question.name], []
    if api is not None:
        columns += [f"{api.typical:.1f}", f"{api.p95:.1f}", f"{ours.typical:.1f}", f"{api.typical / ours.typical:.2f}"]
        verdicts.append(
            f"≤ {TARGET_RATIO} + {TARGET_MS:.0f} ms: {_verdict((api.typical - TARGET_MS) / ours.typical <= TARGET_RATIO)}"
        )
        if question.p95_ms is not None:
            verdicts.append(f"p95 < {question.p95_ms:.0f} ms: {_verdict(api.p95 < question.p95_ms)}")
    else:
        columns += ["—", "—", f"{ours.typical:.1f}", "—"]
    if standard is not None:
        ratio = standard.typical / (api or ours).typical
        columns += [f"{standard.typical:.1f}", f"{ratio:.2f}"]
        if api is None:
            verdicts.append(f"≥ {JOIN_TARGET:.0f} x: {_verdict(ratio >= JOIN_TARGET)}")
    else:
        columns += ["—", "—"]
    cold = [f"{way} {median(each.cold):.1f}" for way, each in times.items() if each.cold]
    widths = f"{columns[0]:<33}" + "".join(f"{column:>9}" for column in columns[1:])
    return f"{widths}  {', '.join(verdicts)}" + (f"; cold: {', '.join(cold)}" if cold else "")


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def forget_files(directory: Path) -> None:
    """Have the operating system drop what it has of these files in its cache."""
    for path in directory.rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)


@contextmanager
def stored(directory: Path, spans: int) -> Iterator[int]:
    """The port of a ClickHouse that has the spans; it makes them where the directory is empty."""
    done = directory / "spans"
    with embedded_server(directory / "clickhouse", [Account(reader=None)]) as port:
        url = f"http://127.0.0.1:{port}"
        if not done.exists():
            seconds = asyncio.run(fill(url, spans))
            asyncio.run(merged(url))
            done.write_text(f"{spans}\n")
            print(f"written in {seconds:,.0f} s", flush=True)
        yield port


def report(directory: Path, arguments: argparse.Namespace) -> None:
    """Ask everything, and print a line for each question."""
    with stored(directory, arguments.spans) as port:
        store = Asker(port)
        print(store.sql("SELECT count() AS spans, uniq(TraceId) AS traces FROM otel.otel_traces").decode().replace("\n", " "))
        print(f"{'ms':<33}" + "".join(f"{title:>9}" for title in ("api", "p95", "sql", "ratio", "standard", "ratio")))

        def drop() -> None:
            for cache in _CACHES:
                store.sql(f"SYSTEM DROP {cache}")
            forget_files(directory)

        contender = spanhouse_writing_to(
            directory / "daemon", {"endpoint": f"http://127.0.0.1:{port}", "database": DATABASE}, name="daemon"
        )
        with contender.process:
            configuration = yaml.safe_load((directory / "daemon" / "collector.yaml").read_text())
            query_port = int(configuration["extensions"]["query"]["endpoint"].rpartition(":")[2])
            api = Asker(query_port)
            for question in QUESTIONS:
                if arguments.only in question.name:
                    times = measure(question, api, store, arguments.rounds, drop if arguments.cold else None)
                    print(line(question, times), flush=True)
            print(f"memory of the daemon {contender.process.resident_bytes() / 2**20:.0f} MiB")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=SPANS)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the store stays for the next time")
    parser.add_argument("--only", default="", metavar="TEXT", help="questions whose names have this in them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="measure with empty caches, too")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        report(arguments.keep, arguments)
    else:
        with TemporaryDirectory(prefix="spanhouse-bench-") as directory:
            report(Path(directory), arguments)


if __name__ == "__main__":
    main()
