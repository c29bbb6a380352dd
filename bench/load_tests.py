"""What a request of a load test costs: CPU time of the generator's process, and how many it sends a second.

    python bench/load_tests.py [--seconds S] [--repetitions N] [--connections N]

The other side is a process that answers every packet with the same bytes. The same is done by `wrk`, where it is installed, and
by a floor in the same language: protocols that write the same request again whenever something comes, and neither read answers
nor measure anything; and by aiohttp's client, which is what one would usually take.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import aiohttp
import uvloop

from bench.processes import Process, free_port, listens, python_module
from collector.monitor.load.interval import Summary
from collector.monitor.load.plan import HttpPlan, Plan

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\nUser-Agent: floor\r\ntraceparent: 00-%032d-%016d-01\r\n\r\n" % (1, 1)
TARGET_PER_SECOND = 5000
OPEN_RATE = 5000.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one run: requests a second, and CPU microseconds of the sender per request."""

    per_second: float
    cpu_us: float


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER)  # type: ignore[attr-defined]  # a TCP server's transport can write


class _Asking(asyncio.Protocol):
    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(REQUEST)  # type: ignore[attr-defined]  # as above

    def data_received(self, data: bytes) -> None:
        _Asking.count += 1
        self._transport.write(REQUEST)  # type: ignore[attr-defined]  # as above


async def serve(port: int) -> None:
    """Answer until killed."""
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", port)
    await server.serve_forever()


async def ask_aiohttp(port: int, connections: int, seconds: float) -> None:
    """The same with aiohttp's client."""
    url, count, end_s = f"http://127.0.0.1:{port}/", 0, time.monotonic() + seconds
    began_s = time.process_time()

    async def one_after_the_other(session: aiohttp.ClientSession) -> None:
        nonlocal count
        while time.monotonic() < end_s:
            async with session.get(url) as answer:
                await answer.read()
            count += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(one_after_the_other(session) for _ in range(connections)))
    print(json.dumps([count, time.process_time() - began_s]))


async def ask(port: int, connections: int, seconds: float) -> None:
    """The floor: print requests and CPU seconds."""
    loop = asyncio.get_running_loop()
    began_s = time.process_time()
    for _ in range(connections):
        await loop.create_connection(_Asking, "127.0.0.1", port)
    await asyncio.sleep(seconds)
    print(json.dumps([_Asking.count, time.process_time() - began_s]))


def generator(port: int, connections: int, seconds: float, rate: float | None = None) -> Measured:
    """The load generator, from its first second's end on."""
    plan = Plan(
        request=HttpPlan(method="GET", target="/", headers=(("Host", "here"), ("User-Agent", "bench"))),
        addresses=(("127.0.0.1", port),),
        concurrency=connections,
        rate=rate,
        max_rate=1e6,
        duration_s=seconds + 1,
    )
    command = python_module("collector.monitor.load")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(plan.model_dump_json(by_alias=True).encode() + b"\n")
        process.stdin.flush()
        intervals, cpu_ns = [], []
        for line in process.stdout:
            if "interval" in (said := json.loads(line)):
                intervals.append(Summary.model_validate(said["interval"]))
                cpu_ns.append(time.clock_gettime_ns((~process.pid << 3) | 2))
    # The last one is what was in flight at the end.
    counted = intervals[1:-1] if len(intervals) > 2 else intervals[1:]
    requests = sum(each.succeeded for each in counted)
    assert not any(each.failures for each in intervals)
    spent = cpu_ns[len(counted)] - cpu_ns[0]
    return Measured(requests / sum(each.seconds for each in counted), spent / 1e3 / requests)


def wrk(port: int, connections: int, seconds: float) -> Measured:
    """wrk, with one thread."""
    before = children_cpu_s()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}", f"http://127.0.0.1:{port}/"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) requests in ([\d.]+)s", told)
    assert found is not None, told
    requests = int(found[1])
    return Measured(requests / float(found[2]), (children_cpu_s() - before) * 1e6 / requests)


def floor(port: int, connections: int, seconds: float) -> Measured:
    """The loop that does nothing else."""
    command = python_module("bench.load_tests", "--ask", port, "--connections", connections, "--seconds", seconds)
    requests, cpu_s = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return Measured(requests / seconds, cpu_s * 1e6 / requests)


def aiohttp_client(port: int, connections: int, seconds: float) -> Measured:
    """aiohttp's client."""
    command = python_module("bench.load_tests", "--ask-aiohttp", port, "--connections", connections, "--seconds", seconds)
    requests, cpu_s = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return Measured(requests / seconds, cpu_s * 1e6 / requests)


def children_cpu_s() -> float:
    """CPU seconds of children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--ask", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--ask-aiohttp", type=int, metavar="PORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        uvloop.run(serve(arguments.serve))
    elif arguments.ask is not None:
        uvloop.run(ask(arguments.ask, arguments.connections, arguments.seconds))
    elif arguments.ask_aiohttp is not None:
        uvloop.run(ask_aiohttp(arguments.ask_aiohttp, arguments.connections, arguments.seconds))
    else:
        compare(arguments.connections, arguments.seconds, arguments.repetitions)


def compare(connections: int, seconds: float, repetitions: int) -> None:
    """Measure all in turn, and print medians."""
    senders = {"generator": generator, "floor": floor, "aiohttp": aiohttp_client, **({"wrk": wrk} if shutil.which("wrk") else {})}
    found: dict[str, list[Measured]] = {name: [] for name in (*senders, "by the clock")}
    port = free_port()
    with TemporaryDirectory() as directory:
        command = python_module("bench.load_tests", "--serve", port)
        with Process("server", command, lambda: listens(port), Path(directory) / "log"):
            for _ in range(repetitions):
                for name, send in senders.items():
                    found[name].append(send(port, connections, seconds))
                found["by the clock"].append(generator(port, connections, seconds, OPEN_RATE))
    print(f"{connections} connections, medians of {repetitions} runs of {seconds:g} s")
    medians = {
        name: Measured(median(run.per_second for run in runs), median(run.cpu_us for run in runs)) for name, runs in found.items()
    }
    for name, run in medians.items():
        beside = f"{run.cpu_us / medians['wrk'].cpu_us:6.2f}" if "wrk" in medians else "     —"
        print(
            f"{name:<14}{run.per_second:10,.0f} requests/s {run.cpu_us:8.2f} CPU µs/request "
            f"{run.cpu_us / medians['floor'].cpu_us:6.2f} / floor {beside} / wrk"
        )
    met = "met" if medians["generator"].per_second >= TARGET_PER_SECOND else "MISSED"
    print(f"target: at least {TARGET_PER_SECOND:,} requests/s: {met}")


if __name__ == "__main__":
    main()
