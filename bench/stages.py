"""Where the CPU of a span goes: each stage of the way in, alone, in microseconds per span.

    python bench/stages.py [--load NAME] [--repetitions N]

Requests are decoded one by one and written as one block, as the batcher would make it of them. What is missing from the sum
beside the whole daemon's figure (`bench/ingest.py`) is the server, the pipeline and the event loop between them.
"""

from __future__ import annotations

import argparse
import http.client
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import lz4.frame

from bench.loads import LOADS, Load
from bench.measure import SinkServer
from collector.memory import keep_little
from collector.receivers.intake import LARGEST_INLINE_BYTES
from proto.arena import close_arena
from proto.join import concatenate
from proto.native_encode import Encoder
from proto.otlp_decode import Decoder, decode
from proto.spans import SpanBatch

REPETITIONS = 15
WARM_UP = 8
"""An arena is as large as the one before needed."""
STATEMENT = "INSERT INTO otel.otel_traces FORMAT Native"


def cpu_seconds(work: Callable[[], object], repetitions: int) -> float:
    """Median CPU time of this process for one call, after one that is not counted."""
    work()
    times = []
    for _ in range(repetitions):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return median(times)


def compressed(body: Any) -> bytes:
    """One LZ4 frame, made as the writer makes it."""
    return bytes(lz4.frame.compress(body, block_size=lz4.frame.BLOCKSIZE_MAX1MB))


def stages(bodies: list[bytes], sink_port: int) -> dict[str, Callable[[], object]]:
    """Each stage as a call, working on what the stage before it made. `bodies` are protobuf requests."""
    decoder = Decoder()

    def decoded() -> list[SpanBatch]:
        # As receivers do: large requests are decoded in threads, into memory of their own.
        batches = [(decode if len(body) > LARGEST_INLINE_BYTES else decoder.decode)(body).batch for body in bodies]
        close_arena(batches[-1])
        return batches

    for _ in range(WARM_UP):
        batches = decoded()
    whole = concatenate(batches)
    encoder = Encoder()
    block = encoder.encode(whole).data
    frame = compressed(block)
    connection = http.client.HTTPConnection("127.0.0.1", sink_port)

    def post() -> None:
        connection.request("POST", f"/?query={quote(STATEMENT)}", body=frame, headers={"Content-Encoding": "lz4"})
        connection.getresponse().read()

    return {
        "decode": decoded,
        "concatenate": lambda: concatenate(batches),
        "encode": lambda: encoder.encode(whole),
        "compress": lambda: compressed(block),
        "post": post,
    }


def asked(description: str | None, repetitions: int) -> tuple[Load, int]:
    """The load that the command line names, and how often work on it is repeated.

    Args:
        description: of the program, for `--help`.
        repetitions: unless the command line says otherwise.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    loads = [load.name for load in LOADS.values() if load.protocol == "grpc"]
    parser.add_argument("--load", choices=loads, default="spans-512")
    parser.add_argument("--repetitions", type=int, default=repetitions)
    arguments = parser.parse_args()
    return LOADS[arguments.load], arguments.repetitions


def main() -> None:
    """Print the table."""
    load, repetitions = asked(__doc__, REPETITIONS)
    bodies, spans = load.bodies(), sum(load.spans())
    with TemporaryDirectory(prefix="spanhouse-bench-") as directory, SinkServer(Path(directory)) as sink:
        print(f"{load.name}: {len(bodies)} requests, {spans:,} spans, {sum(map(len, bodies)) / spans:.0f} bytes a span")
        total = 0.0
        keep_little()
        for name, work in stages(bodies, sink.port).items():
            cost = cpu_seconds(work, repetitions) / spans * 1e6
            total += cost
            print(f"{name:<12} {cost:>7.3f} µs/span")
        print(f"{'sum':<12} {total:>7.3f} µs/span")


if __name__ == "__main__":
    main()
