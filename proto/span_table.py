"""Which span called which: a compiled table of spans by their ids, within a batch and beyond it.

A *caller* is a span that others may name as their parent, or link to; a *callee* is one that names another. Both meet under the
key of the caller's ids. Within a batch all spans are at hand (`find_callers`). What a batch leaves open are *halves*, which wait
for each other in a `SpanTable`, in either order, for as long as it has room and they have time.
"""

from __future__ import annotations

import secrets
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto import call_kernels as kernels
from proto.spans import ABSENT, Table, records

HALF = np.dtype(
    [
        ("key", "<u8"),  # of the caller's ids
        ("start", "<u8"),  # nanoseconds since 1970
        ("duration", "<u8"),  # nanoseconds
        ("weight", "<f8"),  # how many spans it stands for
        ("service", "<i4"),  # any number that stands for the service, in one workspace
        ("peer", "<i4"),  # of a caller: a number that stands for what it says that it called; ABSENT for nothing
        ("kind", "<i4"),
        ("side", "<i4"),  # CALLER; CALLEE: the caller is its parent; LINKED: the caller is a producer that it links to
        ("failed", "<i4"),
        ("matched", "<i4"),  # of a caller: whether a callee was found
    ]
)
"""What is known of a call from one of its sides."""

_SEED: Final = np.uint64(secrets.randbits(64))


class Calls(NamedTuple):
    """The calls among the spans of a batch.

    Attributes:
        callers: row of each span's caller, or ABSENT; shape (spans,).
        parents: row of each span's parent, or ABSENT; shape (spans,).
        matched: which spans are the caller of another, or share their ids with what they called; shape (spans,).
        slots: by which `look_up` finds rows.
    """

    callers: NDArray[np.int32]
    parents: NDArray[np.int32]
    matched: NDArray[np.bool_]
    slots: NDArray[np.int32]


def span_keys(data: NDArray[np.uint8], trace_ids: NDArray[Any], span_ids: NDArray[Any]) -> NDArray[np.uint64]:
    """For each pair of ids, given by their offsets, a number that stands for it; 0 for a span id that is ABSENT or zero.

    The same on every machine and in every release: keys are stored. Two pairs of ids have the same with a probability of 2**-64.
    """
    keys = np.empty(len(span_ids), np.uint64)
    kernels.hash_ids(keys, data, np.ascontiguousarray(trace_ids), np.ascontiguousarray(span_ids))
    return keys


def find_callers(
    keys: NDArray[np.uint64],
    parent_keys: NDArray[np.uint64],
    services: NDArray[np.int32],
    kinds: NDArray[np.int32],
    alone: NDArray[np.bool_],
) -> Calls:
    """The calls among the spans of a batch; all shapes (spans,).

    A span was called if its parent is of another service, and not both are clients or producers. The caller is the parent, or,
    where the parent is internal, the nearest client or producer above it that is reached through internal spans of its service.
    Where several spans have the same ids, as with Zipkin's shared ones, a server or consumer counts before others.

    Args:
        keys, parent_keys: of each span and of its parent, as `span_keys`; 0 for no parent.
        services: a number for each service, ABSENT for spans without one, which call nobody and are not called.
        kinds: of the spans, as OTLP numbers them.
        alone: spans that call something of which there are no spans.
    """
    rows = len(keys)
    calls = Calls(
        np.full(rows, ABSENT, np.int32),
        np.full(rows, ABSENT, np.int32),
        np.zeros(rows, np.bool_),
        np.full(_places(rows), ABSENT, np.int32),
    )
    kernels.match_rows(*calls, keys, parent_keys, services, kinds, alone, _SEED)
    return calls


def look_up(wanted: NDArray[np.uint64], keys: NDArray[np.uint64], slots: NDArray[np.int32]) -> NDArray[np.int32]:
    """The row of each key among those for which `find_callers` has made `slots`, or ABSENT."""
    found = np.empty(len(wanted), np.int32)
    kernels.find_rows(found, wanted, keys, slots, _SEED)
    return found


def _places(entries: int) -> int:
    """How many places a table has in which so many entries are found quickly: a power of two."""
    return 1 << max(2 * entries - 1, 1).bit_length()


class SpanTable:
    """Halves that wait for each other.

    Memory is taken once, 80 to 96 bytes a half. For one thread at a time.

    Args:
        capacity: how many halves wait at most.
    """

    def __init__(self, capacity: int) -> None:
        self._halves = np.zeros(capacity, HALF)
        self._times = np.empty(capacity, np.float64)
        self._links = np.full((capacity, 2), ABSENT, np.int32)
        self._slots = np.full(_places(capacity), ABSENT, np.int32)
        # Where the oldest stands, how many there are from there on, and how many of these are callees that wait.
        self._ring = np.zeros(3, np.int64)

    def __len__(self) -> int:
        return int(self._ring[1])

    @property
    def _state(self) -> tuple[Any, ...]:
        return records(self._halves), self._times, self._links, self._slots, self._ring

    def add(self, halves: Table, time_s: float) -> tuple[Table, Table, Table]:
        """Let halves, of dtype HALF, meet those that wait and each other, and let those wait that may meet more.

        Args:
            time_s: now, by a clock that never goes back.

        Returns:
            callers, callees: both sides of the calls that were found, of dtype HALF.
            evicted: halves that met nobody and had to make room.
        """
        callers, callees, evicted = [], [], []
        step = len(self._halves)
        for start in range(0, len(halves), step):
            part = halves[start : start + step]
            evicted.append(self._take(-np.inf, len(part)))
            pairs = np.empty((2, len(part) + int(self._ring[2])), HALF)
            found = kernels.add_halves(records(pairs[0]), records(pairs[1]), records(part), time_s, *self._state, _SEED)
            callers.append(pairs[0, :found])
            callees.append(pairs[1, :found])
        nothing = [halves[:0]]
        return np.concatenate(callers or nothing), np.concatenate(callees or nothing), np.concatenate(evicted or nothing)

    def expire(self, before_s: float) -> Table:
        """Take out the halves that came before this time, and return those that met nobody."""
        return self._take(before_s, 0)

    def services_and_peers(self) -> NDArray[np.int32]:
        """The numbers of all services and peers of the halves that wait, each once."""
        oldest, count, _ = self._ring.tolist()
        halves = self._halves[(oldest + np.arange(count)) % len(self._halves)]
        halves = halves[halves["side"] != kernels.NO_SIDE]
        numbers: NDArray[np.int32] = np.unique(np.concatenate([halves["service"], halves["peer"]]))
        return np.delete(numbers, np.flatnonzero(numbers == ABSENT))

    def _take(self, before_s: float, room: int) -> Table:
        out = np.empty(len(self), HALF)
        return out[: kernels.expire_halves(records(out), before_s, room, *self._state, _SEED)]
