"""When traces are to be decided: their slots by ticks, so that those of a tick come out together."""

from __future__ import annotations

import heapq
from typing import Final

import numpy as np

from proto.spans import Table
from proto.trace_table import Slots

NEVER: Final = -1
"""The deadline of a slot that is not in use."""


class Deadlines:
    """Slots by the tick of their deadline, and in the order in which they were given.

    Args:
        traces: of dtype TRACE, shape (slots,): `deadline` says which deadline of a slot counts, if it was given several.
    """

    def __init__(self, traces: Table) -> None:
        self.traces = traces
        self._slots: dict[int, list[Slots]] = {}
        self._ticks: list[int] = []

    def put(self, slots: Slots, tick: int) -> None:
        """Set the deadline of slots."""
        if not len(slots):
            return
        self.traces["deadline"][slots] = tick
        if tick not in self._slots:
            self._slots[tick] = []
            heapq.heappush(self._ticks, tick)
        self._slots[tick].append(slots)

    @property
    def earliest(self) -> int | None:
        """The tick of the earliest deadline; None if there is none. All slots with it may have got another one meanwhile."""
        return self._ticks[0] if self._ticks else None

    def take(self, most_spans: int, most_traces: int, until: int | None = None) -> Slots:
        """The slots with the earliest deadlines, each once: as few as have so many spans or are so many traces, but at least one.

        Args:
            until: none with a later deadline; None for no bound.
        """
        taken = []
        while self._ticks and most_spans > 0 and most_traces > 0 and (until is None or self._ticks[0] <= until):
            tick = heapq.heappop(self._ticks)
            slots = np.concatenate(self._slots.pop(tick))
            slots = slots[self.traces["deadline"][slots] == tick]
            # A slot that was given back may have been put here again, for another trace; the last time counts.
            backwards = np.unique(slots[::-1], return_index=True)[1]
            slots = slots[np.sort(len(slots) - 1 - backwards)]
            spans = np.cumsum(self.traces["spans"][slots], dtype=np.int64)
            enough = min(int(np.searchsorted(spans, most_spans)) + 1, most_traces)
            taken.append(slots[:enough])
            self.traces["deadline"][taken[-1]] = NEVER
            self.put(slots[enough:], tick)
            most_traces -= len(taken[-1])
            most_spans -= int(spans[len(taken[-1]) - 1]) if len(taken[-1]) else 0
        return np.concatenate(taken) if taken else np.empty(0, np.int32)
