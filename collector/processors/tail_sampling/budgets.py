"""Rates that traces must fit into, in spans or in bytes. Times are those that the caller gives: nothing here looks at a clock."""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from proto.edit import Mask
from proto.trace_table import admit

_SECOND_NS: Final = 1_000_000_000


class Budget(Protocol):
    """What is left of a rate."""

    def take(self, wanted: Mask, sizes: NDArray[np.int64], now_ns: int) -> Mask:
        """Which of the wanted traces fit in, one after the other; their sizes are taken off. All shapes are (traces,)."""


class PerSecond:
    """So much in each second of the clock; what is left over is lost.

    Args:
        limit: what fits into a second.
    """

    def __init__(self, limit: float) -> None:
        self._limit = int(limit)
        self._second = -1
        self._left = 0

    def take(self, wanted: Mask, sizes: NDArray[np.int64], now_ns: int) -> Mask:
        """See `Budget`."""
        if self._second != now_ns // _SECOND_NS:
            self._second = now_ns // _SECOND_NS
            self._left = self._limit
        admitted, self._left = _admit(wanted, sizes, self._left)
        return admitted


class TokenBucket:
    """So much a second on average; what is left over is saved up to the bucket's size. It begins full.

    Args:
        rate: what comes in each second.
        capacity: the most that is saved.
    """

    def __init__(self, rate: int, capacity: int) -> None:
        self._rate = rate
        self._capacity = capacity
        self._tokens = float(capacity)
        self._at_ns: int | None = None

    def take(self, wanted: Mask, sizes: NDArray[np.int64], now_ns: int) -> Mask:
        """See `Budget`."""
        since = 0 if self._at_ns is None else max(now_ns - self._at_ns, 0)
        self._at_ns = now_ns
        self._tokens = min(self._tokens + self._rate * since / _SECOND_NS, self._capacity)
        whole = int(self._tokens)
        admitted, left = _admit(wanted, sizes, whole)
        self._tokens -= whole - left
        return admitted


def _admit(wanted: Mask, sizes: Any, room: int) -> tuple[Mask, int]:
    admitted = np.empty(len(wanted), np.bool_)
    left = admit(admitted, np.ascontiguousarray(wanted), np.ascontiguousarray(sizes, np.int64), room)
    return admitted, int(left)
