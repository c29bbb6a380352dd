"""A hash table from traces to slots, which are small numbers, and what is gathered about each trace in its slot.

Trace ids come from outside. So that nobody can choose them to fall into one place, each table hashes with a seed of its own.
"""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proto.kernel import kernel, unchecked_kernel
from proto.spans import SpanBatch, Table, records
from proto.words import HASH_MULTIPLIER, join_caller, load64

KEY_WORDS: Final = 3
"""A key is the 16 bytes of a trace id, and 8 that stand for its workspace."""
UNKNOWN: Final = -1
"""The slot of a key that is not there."""

TRACE: Final = np.dtype(
    [
        ("start_time_unix_nano", "<u8"),  # of the span that starts first
        ("end_time_unix_nano", "<u8"),  # of the span that ends last
        ("first_ns", "<i8"),  # when its first span came
        ("deadline", "<i8"),  # in which tick its time is up
        ("wire_bytes", "<i8"),
        ("spans", "<i4"),
        ("marks", "<u4"),
    ]
)
"""What is gathered about a trace; who gathers says what the bits of `marks` mean."""

Keys = NDArray[np.uint64]
Slots = NDArray[np.int32]


class KeyTable:
    """Slots of keys. A slot that is given back is given out again first, so that as few as possible are in use.

    Attributes:
        keys: of each slot, uint64, shape (capacity, KEY_WORDS); arbitrary where it is not in use. What was never in use takes no
            memory.
        used: slots that are in use.
    """

    def __init__(self, capacity: int) -> None:
        self._seed = np.uint64(int.from_bytes(os.urandom(8), "little"))
        self.used = 0
        self.keys: Keys = np.zeros((capacity, KEY_WORDS), np.uint64)
        self._stack = np.arange(capacity, dtype=np.int32)
        self._make_index()

    @property
    def capacity(self) -> int:
        """How many keys there is room for."""
        return len(self.keys)

    def _make_index(self) -> None:
        # Twice as many places as keys, so that what is sought is soon found.
        self._index = np.zeros(2 << (self.capacity - 1).bit_length(), np.int32)

    def grow(self, capacity: int) -> None:
        """Make room for so many keys, which are more than before; slots stay what they are."""
        in_use = self._index[self._index != 0] - np.int32(1)
        self._stack = np.concatenate([self._stack, np.arange(self.capacity, capacity, dtype=np.int32)])
        keys = np.zeros((capacity, KEY_WORDS), np.uint64)
        keys[: self.capacity] = self.keys
        self.keys = keys
        self._make_index()
        place_keys(in_use, self.keys, self._index, self._seed)

    def enter(self, keys: Keys) -> tuple[Slots, Slots]:
        """The slots of keys, shape (keys,), and those of them that are new.

        Raises:
            IndexError: there is no room; `keys` may be as many as there is room for.
        """
        slots = np.empty(len(keys), np.int32)
        before = self.used
        self.used = enter_keys(slots, keys, self.keys, self._index, self._seed, self._stack, self.used)
        return slots, self._stack[before : self.used].copy()

    def find(self, keys: Keys) -> Slots:
        """The slots of keys, UNKNOWN for those that are not there; shape (keys,)."""
        slots = np.empty(len(keys), np.int32)
        find_keys(slots, keys, self.keys, self._index, self._seed)
        return slots

    def remove(self, slots: Slots) -> None:
        """Give slots back, each of which is in use and named once."""
        self.used = remove_keys(slots, self.keys, self._index, self._seed, self._stack, self.used)


def trace_keys(batch: SpanBatch, workspaces: NDArray[np.uint64]) -> Keys:
    """The key of each span's trace, shape (spans, KEY_WORDS).

    Args:
        workspaces: what stands for each of the batch's workspaces, shape (workspaces,).
    """
    keys = np.empty((len(batch), KEY_WORDS), np.uint64)
    places = batch.resources["workspace"][batch.scopes["resource"][batch.spans["scope"]]]
    read_keys(keys, batch.data, np.ascontiguousarray(batch.spans["trace_id_offset"]), places, workspaces)
    return keys


def gather(traces: Table, matched: NDArray[np.uint64], slots: Slots, spans: Table, marks: Any, matches: Any) -> None:
    """Add what spans say to what is known about their traces.

    Args:
        traces: of dtype TRACE, shape (capacity,).
        matched: bits of rules that matched a span of the trace, shape (capacity, words).
        slots: of each span.
        spans: of dtype SPAN.
        marks: of each span, uint32.
        matches: bits of rules that match it, uint64, shape (spans, words).
    """
    gather_spans(records(traces), matched, slots, records(spans), marks, matches)


@kernel
def read_keys(keys: Any, data: Any, offsets: Any, places: Any, workspaces: Any) -> None:
    """Fill `keys` as `trace_keys` says."""
    for row in range(offsets.size):
        offset = int(offsets[row])
        if offset < 0 or offset + 16 > data.size:
            raise IndexError("range outside the data")
        keys[row, 0] = load64(data, offset)
        keys[row, 1] = load64(data, offset + 8)
        keys[row, 2] = workspaces[places[row]]


@kernel
def hash_key(keys: Any, row: Any, seed: Any) -> Any:
    """A well-mixed word of a key."""
    join_caller()
    state = (keys[row, 0] ^ seed) * HASH_MULTIPLIER
    state ^= state >> np.uint64(32)
    state = (state ^ keys[row, 1]) * HASH_MULTIPLIER
    state ^= state >> np.uint64(32)
    state = (state ^ keys[row, 2]) * HASH_MULTIPLIER
    return state ^ state >> np.uint64(29)


@kernel
def is_same_key(left: Any, left_row: Any, right: Any, right_row: Any) -> bool:
    """Whether two keys are equal."""
    join_caller()
    return bool(
        left[left_row, 0] == right[right_row, 0]
        and left[left_row, 1] == right[right_row, 1]
        and left[left_row, 2] == right[right_row, 2]
    )


@kernel
def enter_keys(slots: Any, wanted: Any, keys: Any, index: Any, seed: Any, stack: Any, used: Any) -> Any:
    """Fill `slots`, and give new keys slots from `stack`, of which the first `used` are in use; returns how many are then.

    A place of `index` holds a slot and one, or 0; there are as many as a power of two.
    """
    last = index.size - 1
    for row in range(slots.size):
        if row and is_same_key(wanted, row, wanted, row - 1):
            slots[row] = slots[row - 1]
            continue
        place = np.int64(hash_key(wanted, row, seed) & np.uint64(last))
        while True:
            slot = np.int64(index[place]) - 1
            if slot == UNKNOWN:
                slot = np.int64(stack[used])
                for word in range(KEY_WORDS):
                    keys[slot, word] = wanted[row, word]
                index[place] = slot + 1
                used += 1
                break
            if is_same_key(keys, slot, wanted, row):
                break
            place = (place + 1) & last
        slots[row] = slot
    return used


@kernel
def find_keys(slots: Any, wanted: Any, keys: Any, index: Any, seed: Any) -> None:
    """Fill `slots`, with UNKNOWN for keys that are not there."""
    last = index.size - 1
    for row in range(slots.size):
        if row and is_same_key(wanted, row, wanted, row - 1):
            slots[row] = slots[row - 1]
            continue
        place = np.int64(hash_key(wanted, row, seed) & np.uint64(last))
        slot = np.int64(index[place]) - 1
        while slot != UNKNOWN and not is_same_key(keys, slot, wanted, row):
            place = (place + 1) & last
            slot = np.int64(index[place]) - 1
        slots[row] = slot


@kernel
def place_keys(slots: Any, keys: Any, index: Any, seed: Any) -> None:
    """Put slots into an index in which none of their keys is."""
    last = index.size - 1
    for row in range(slots.size):
        slot = np.int64(slots[row])
        place = np.int64(hash_key(keys, slot, seed) & np.uint64(last))
        while index[place]:
            place = (place + 1) & last
        index[place] = slot + 1


@kernel
def remove_keys(slots: Any, keys: Any, index: Any, seed: Any, stack: Any, used: Any) -> Any:
    """Take slots out of the index, and put them on the stack; returns how many are in use then.

    What stands behind a place that becomes free is moved up where it would not be found otherwise.
    """
    last = index.size - 1
    for row in range(slots.size):
        slot = np.int64(slots[row])
        place = np.int64(hash_key(keys, slot, seed) & np.uint64(last))
        while index[place] != slot + 1:
            if index[place] == 0:
                raise IndexError("a slot that is not in use")
            place = (place + 1) & last
        behind = (place + 1) & last
        while index[behind]:
            home = np.int64(hash_key(keys, np.int64(index[behind]) - 1, seed) & np.uint64(last))
            if ((behind - home) & last) >= ((behind - place) & last):
                index[place] = index[behind]
                place = behind
            behind = (behind + 1) & last
        index[place] = 0
        used -= 1
        stack[used] = slot
    return used


@kernel
def gather_spans(traces: Any, matched: Any, slots: Any, spans: Any, marks: Any, matches: Any) -> None:
    """See `gather`."""
    for row in range(slots.size):
        slot = slots[row]
        trace = traces[slot]
        span = spans[row]
        trace.start_time_unix_nano = min(trace.start_time_unix_nano, span.start_time_unix_nano)
        trace.end_time_unix_nano = max(trace.end_time_unix_nano, span.end_time_unix_nano)
        trace.wire_bytes += span.wire_length
        trace.spans += 1
        trace.marks |= marks[row]
        for word in range(matches.shape[1]):
            matched[slot, word] |= matches[row, word]


@unchecked_kernel
def admit(admitted: Any, wanted: Any, sizes: Any, room: Any) -> Any:
    """Let in what is wanted, one after the other, as far as there is room; what is too large does not keep out what is smaller.

    Shapes: admitted (rows,) bool, to be filled; wanted (rows,) bool, sizes (rows,) int64. Returns the room that is left, int64.
    """
    if wanted.size != admitted.size or sizes.size != admitted.size:
        raise IndexError("rows without a size")
    for row in range(admitted.size):
        admitted[row] = wanted[row] and sizes[row] <= room
        if admitted[row]:
            room -= sizes[row]
    return room
