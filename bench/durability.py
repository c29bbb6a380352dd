"""What it costs that an acknowledged span outlives the process, and how fast it comes back.

    python bench/durability.py [--quick]

Four comparisons, each within one run on one machine, all with the daemon writing to the sink of `bench/sink.py`:

- `journal`: CPU per span with a journal (`sync: interval`) against spans that wait in memory;
- `always`: throughput of 32 clients with `sync: always` against `sync: interval`;
- `replay`: spans a second that a start takes out of a full journal, against those that come in over the network;
- `refusal`: CPU of turning a request away at a full journal against taking it, over gRPC and over HTTP, and against the least
  that a server on the same library spends on any call.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.contenders import Contender, floor, spanhouse_writing_to
from bench.loads import LOADS, Load
from bench.measure import Cost, Sender, SinkServer, measure
from bench.processes import free_port, wait_for

REPETITIONS = 5
CLIENTS = 32
BATCH_SPANS = 8192
SPANS_512 = LOADS["spans-512"]
MANY_CLIENTS = replace(SPANS_512, in_flight=CLIENTS)
ONE_SPAN = LOADS["one-span"]
HTTP_GZIP = LOADS["http-gzip"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two figures of one run, and what their ratio should keep.

    Attributes:
        limit: of the first over the second: at most so much for a cost, at least so much for a speed.
    """

    name: str
    unit: str
    first: float
    second: float
    limit: float
    is_cost: bool

    @property
    def ratio(self) -> float:
        """The first over the second."""
        return self.first / self.second

    def __str__(self) -> str:
        met = self.ratio <= self.limit if self.is_cost else self.ratio >= self.limit
        bound = f"{'≤' if self.is_cost else '≥'} {self.limit:g}: {'met' if met else 'MISSED'}"
        return f"{self.name:<28} {self.first:>12,.2f} {self.second:>12,.2f} {self.unit:<14} {self.ratio:>6.2f}  {bound}"


def daemon(directory: Path, sink_port: int, name: str, journal: dict[str, object] | None) -> Contender:
    """A daemon whose journal, if it has one, is in its own directory."""
    clickhouse: dict[str, object] = {"endpoint": f"http://127.0.0.1:{sink_port}", "create_schema": False}
    kept = None if journal is None else {"directory": str(directory / name / "journal"), **journal}
    return spanhouse_writing_to(directory / name, clickhouse, kept, name=name)


def costs(load: Load, contenders: Sequence[Contender], sink: SinkServer, repetitions: int, share: float) -> list[list[Cost]]:
    """Costs of a load for each contender, repetitions interleaved, after one that does not count."""
    found: list[list[Cost]] = [[] for _ in contenders]
    requests = load.scaled(share)
    with ExitStack() as stack:
        senders = [stack.enter_context(Sender(contender, load)) for contender in contenders]
        for contender, sender in zip(contenders, senders, strict=True):
            measure(contender, sender, sink, load, max(requests // 4, 1))
        for repetition in range(repetitions):
            order = range(len(contenders))
            for index in order if repetition % 2 else reversed(order):
                found[index].append(measure(contenders[index], senders[index], sink, load, requests))
    return found


def compare_ways(directory: Path, sink: SinkServer, repetitions: int, share: float) -> list[Comparison]:
    """Memory, interval and always beside each other."""
    ways: dict[str, dict[str, object] | None] = {"memory": None, "interval": {"sync": "interval"}, "always": {"sync": "always"}}
    with ExitStack() as stack:
        memory, interval, always = (
            stack.enter_context(_running(daemon(directory, sink.port, name, journal))) for name, journal in ways.items()
        )
        lines = []
        for load in (SPANS_512, ONE_SPAN):
            kept, held = costs(load, [interval, memory], sink, repetitions, share)
            figures = [median(cost.cpu_us_per_span for cost in each) for each in (kept, held)]
            limit = 1.3 if load is SPANS_512 else 2.0
            lines.append(Comparison(f"journal, {load.name}", "CPU µs/span", figures[0], figures[1], limit, is_cost=True))
        for load in (MANY_CLIENTS, ONE_SPAN):
            synced, kept = costs(load, [always, interval], sink, repetitions, share)
            figures = [median(load.spans_sent(cost.requests) / cost.seconds for cost in each) for each in (synced, kept)]
            lines.append(Comparison(f"always, {load.name} x {CLIENTS}", "spans/s", figures[0], figures[1], 0.5, is_cost=False))
        return lines


def taking(directory: Path, sink: SinkServer, load: Load, requests: int) -> Cost:
    """Requests that come over the network, go into a journal and out of it again."""
    with _running(daemon(directory, sink.port, f"taking-{load.name}", {})) as contender:
        return _second(contender, sink, load, requests)


def _second(contender: Contender, sink: SinkServer, load: Load, requests: int) -> Cost:
    """What requests cost after some that do not count."""
    with Sender(contender, load) as sender:
        measure(contender, sender, sink, load, requests // 4)
        return measure(contender, sender, sink, load, requests)


def compare_replay(directory: Path, sink: SinkServer, requests: int, taken: Cost) -> Comparison:
    """What comes out of a journal after a start, against what comes in over the network."""
    keys: dict[str, object] = {"memory_bytes": 1 << 20}
    nowhere = daemon(directory, free_port(), "replay", keys)
    with _running(nowhere), Sender(nowhere, SPANS_512) as sender:
        sender.send(requests)
    before = sink.bytes_received()
    again = daemon(directory, sink.port, "replay", keys)
    with _running(again):
        wait_for(lambda: sink.bytes_received() > before, "spans out of the journal")
        # From the end of the first batch to that of the last, so that the start itself does not count.
        started = time.monotonic()
        ended = sink.wait_until_settled(again)
    spans = SPANS_512.spans_sent(requests) - BATCH_SPANS
    return Comparison("replay", "spans/s", spans / (ended - started), taken.spans_per_second, 1.0, is_cost=False)


def compare_refusals(
    directory: Path, sink: SinkServer, requests: int, taken_by_grpc: Cost, taken_by_http: Cost
) -> Iterator[Comparison]:
    """CPU of requests that are turned away, against those that are taken, and against what the library itself costs."""
    refused = refusing(directory, SPANS_512, requests)
    yield Comparison("refusal, gRPC", "CPU µs/request", refused, taken_by_grpc.cpu_us_per_request, 0.05, is_cost=True)
    with _running(floor(directory, sink.port)) as contender:
        least = _second(contender, sink, SPANS_512, requests)
    yield Comparison("refusal, gRPC, to the floor", "CPU µs/request", refused, least.cpu_us_per_request, 1.0, is_cost=True)
    refused = refusing(directory, HTTP_GZIP, requests)
    yield Comparison("refusal, HTTP", "CPU µs/request", refused, taken_by_http.cpu_us_per_request, 0.05, is_cost=True)


def refusing(directory: Path, load: Load, requests: int) -> float:
    """CPU microseconds of a request that comes while the journal is full."""
    full = daemon(directory, free_port(), f"full-{load.name}", {"max_bytes": 10_000_000})
    with _running(full), Sender(full, load) as sender:
        sender.offer(requests)
        before = full.process.cpu_seconds()
        refused, _, _ = sender.offer(requests * 4)
        spent = full.process.cpu_seconds() - before
    return spent / refused * 1e6


@contextmanager
def _running(contender: Contender) -> Iterator[Contender]:
    """A contender whose process runs."""
    with contender.process:
        yield contender


def main() -> None:
    """Print a line for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repetition of a quarter of the requests")
    quick = parser.parse_args().quick
    repetitions, share, requests = (1, 0.25, 400) if quick else (REPETITIONS, 1.0, 2000)
    print(f"{'':<28} {'first':>12} {'second':>12} {'unit':<14} {'ratio':>6}  target")
    with TemporaryDirectory(prefix="spanhouse-bench-") as name, SinkServer(Path(name)) as sink:
        directory = Path(name)
        for line in compare_ways(directory, sink, repetitions, share):
            print(line, flush=True)
        by_grpc, by_http = (taking(directory, sink, load, requests) for load in (SPANS_512, HTTP_GZIP))
        print(compare_replay(directory, sink, requests, by_grpc), flush=True)
        for line in compare_refusals(directory, sink, requests, by_grpc, by_http):
            print(line, flush=True)


if __name__ == "__main__":
    main()
