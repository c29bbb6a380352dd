"""What memory costs that another core had last: a batch is received on one core, and encoded on another.

    python bench/cores.py

Nanoseconds for a cache line of 64 bytes, where the same core or another one had it last: read after it was written, and the other
way round.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

MEBIBYTES = (0.25, 1.0, 4.0, 8.0)
REPETITIONS = 30
_WORDS_OF_LINE = 8

Memory = NDArray[np.int64]


def _touch(memory: Memory) -> int:
    total = 0
    for word in range(0, memory.size, _WORDS_OF_LINE):
        total += memory[word]
    return total


def _fill(memory: Memory) -> None:
    for word in range(memory.size):
        memory[word] = word


touch: Callable[[Memory], Any] = njit(nogil=True)(_touch)
fill: Callable[[Memory], Any] = njit(nogil=True)(_fill)


def line_ns(memory: Memory, last_core: int, core: int, before: Callable[[Memory], Any], work: Callable[[Memory], Any]) -> float:
    """The least nanoseconds for a line that `work` on one core takes, after `before` on another, or the same."""
    times = []
    for _ in range(REPETITIONS):
        os.sched_setaffinity(0, {last_core})
        before(memory)
        os.sched_setaffinity(0, {core})
        started = time.perf_counter_ns()
        work(memory)
        times.append(time.perf_counter_ns() - started)
    return min(times) / (memory.size / _WORDS_OF_LINE)


def main() -> None:
    """Print the table."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("bench/cores.py needs two cores")
    own, other = cores[:2]
    print("ns a line      read: own    other   write: own    other")
    for mebibytes in MEBIBYTES:
        memory: Memory = np.zeros(int(mebibytes * (1 << 20)) // 8, np.int64)
        found = [
            line_ns(memory, last, own, before, work) for before, work in ((fill, touch), (touch, fill)) for last in (own, other)
        ]
        print(f"{mebibytes:>5g} MiB {found[0]:>14.1f} {found[1]:>8.1f} {found[2]:>12.1f} {found[3]:>8.1f}")


if __name__ == "__main__":
    main()
