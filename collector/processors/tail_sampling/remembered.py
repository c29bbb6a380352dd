"""Decisions that are remembered, for spans that come after their traces were decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proto.edit import Mask
from proto.trace_table import UNKNOWN, Keys, KeyTable

DECISION: Final = np.dtype(
    [("probability", "<f8"), ("decided_ns", "<i8"), ("reason", "<i4"), ("kept", "?"), ("thresholds_stay", "?")]
)
"""A decision about a trace: `reason` is a place in a list of names that whoever remembers keeps, `decided_ns` when it was made,
or UNKNOWN_TIME."""
UNKNOWN_TIME: Final = np.iinfo(np.int64).min
"""When something was decided by a former process, whose clock was another."""

Decisions = NDArray[Any]
"""Of dtype DECISION."""


class Memory:
    """The last so many decisions.

    Args:
        capacity: how many.
    """

    def __init__(self, capacity: int) -> None:
        self._table = KeyTable(capacity)
        self._decisions: Decisions = np.zeros(capacity, DECISION)
        self._ring = np.zeros(capacity, np.int32)
        self._oldest = 0

    def __len__(self) -> int:
        return self._table.used

    def put(self, keys: Keys, decisions: Decisions) -> None:
        """Remember decisions, the oldest first, and forget the oldest where there are too many. What is known stays as it is."""
        capacity = len(self._ring)
        new = self._table.find(keys) == UNKNOWN
        # What would be forgotten at once need not be remembered.
        keys, decisions = keys[new][-capacity:], decisions[new][-capacity:]
        forgotten = max(self._table.used + len(keys) - capacity, 0)
        self._table.remove(self._ring[(self._oldest + np.arange(forgotten)) % capacity])
        self._oldest = (self._oldest + forgotten) % capacity
        start = self._oldest + self._table.used
        slots, fresh = self._table.enter(np.ascontiguousarray(keys))
        self._decisions[slots] = decisions
        self._ring[(start + np.arange(len(fresh))) % capacity] = fresh

    def recall(self, keys: Keys) -> tuple[Mask, Decisions]:
        """For which traces there is a decision, shape (keys,), and those decisions, shape (known,)."""
        slots = self._table.find(keys)
        known: Mask = slots != UNKNOWN
        return known, self._decisions[slots[known]]

    def all(self) -> tuple[Keys, Decisions]:
        """What is remembered, the oldest first."""
        slots = self._ring[(self._oldest + np.arange(len(self))) % len(self._ring)]
        return self._table.keys[slots], self._decisions[slots]


class Remembered:
    """What was decided about traces: those that were kept, and, apart from them, those that were not.

    Args:
        kept, dropped: how many of each.
    """

    def __init__(self, kept: int, dropped: int) -> None:
        self._memories = {True: Memory(kept), False: Memory(dropped)}

    def __len__(self) -> int:
        return sum(map(len, self._memories.values()))

    def put(self, keys: Keys, decisions: Decisions) -> None:
        """Remember decisions, the oldest first."""
        for kept, memory in self._memories.items():
            chosen = decisions["kept"] == kept
            memory.put(keys[chosen], decisions[chosen])

    def recall(self, keys: Keys) -> tuple[Mask, Decisions]:
        """For which traces there is a decision, and the decisions, zeros where there is none. Shapes are (keys,)."""
        decisions = np.zeros(len(keys), DECISION)
        all_known = np.zeros(len(keys), np.bool_)
        for memory in self._memories.values():
            known, found = memory.recall(keys)
            decisions[known] = found
            all_known |= known
        return all_known, decisions

    def all(self) -> Iterator[tuple[Keys, Decisions]]:
        """What is remembered of either kind, the oldest of it first."""
        return (memory.all() for memory in self._memories.values())
