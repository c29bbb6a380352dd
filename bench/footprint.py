"""What the daemon takes without being asked: time to start, memory under load, CPU when idle.

python bench/footprint.py [--seconds N] [--idle-seconds N]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.contenders import spanhouse
from bench.loads import LOADS
from bench.measure import Sender, SinkServer

MEBIBYTE = 1 << 20
RSS_TARGET_MIB = 400
IDLE_TARGET = 0.01
READY_TARGET_S = 3.0
REQUESTS_PER_ROUND = 100
IDLE_SECONDS = 20.0
LOAD_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Footprint:
    """What was found.

    Attributes:
        ready_s: from start to readiness, kernels compiled before.
        resident: resident bytes before the load and after each round of it.
        idle_share: part of one core used after the load.
    """

    ready_s: float
    resident: tuple[int, ...]
    idle_share: float


def watch(directory: Path, *, load_seconds: float, idle_seconds: float) -> Footprint:
    """Start the daemon twice (the first start may compile), load it for so long without a pause, then leave it alone."""
    load = LOADS["spans-512"]
    with SinkServer(directory) as sink:
        with spanhouse(directory / "footprint", sink.port).process:
            pass
        contender = spanhouse(directory / "footprint", sink.port)
        with contender.process as daemon, Sender(contender, load) as sender:
            resident = [daemon.resident_bytes()]
            deadline = time.monotonic() + load_seconds
            while time.monotonic() < deadline:
                sender.send(REQUESTS_PER_ROUND)
                resident.append(daemon.resident_bytes())
            sink.wait_until_settled(contender)
            before = daemon.cpu_seconds()
            time.sleep(idle_seconds)
            idle = (daemon.cpu_seconds() - before) / idle_seconds
            return Footprint(daemon.seconds_to_ready, tuple(resident), idle)


def report(footprint: Footprint) -> str:
    """Three lines."""
    before, *loaded = (resident / MEBIBYTE for resident in footprint.resident)
    half = len(loaded) // 2
    peaks = f"{max(loaded[:half] or loaded):.0f} MiB in the first half, {max(loaded[half:]):.0f} MiB in the second"
    verdicts = {
        f"memory       {before:.0f} MiB when ready; under load at most {peaks}  ≤ {RSS_TARGET_MIB} MiB": max(loaded)
        <= RSS_TARGET_MIB,
        f"idle         {footprint.idle_share:.2%} of a core  < {IDLE_TARGET:.0%}": footprint.idle_share < IDLE_TARGET,
        f"start        ready after {footprint.ready_s:.2f} s  < {READY_TARGET_S:g} s": footprint.ready_s < READY_TARGET_S,
    }
    return "\n".join(f"{line}: {'met' if met else 'MISSED'}" for line, met in verdicts.items())


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=LOAD_SECONDS, help="duration of the load")
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="spanhouse-bench-") as directory:
        found = watch(Path(directory), load_seconds=arguments.seconds, idle_seconds=arguments.idle_seconds)
        print(report(found))


if __name__ == "__main__":
    main()
