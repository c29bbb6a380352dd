"""The entries of a KeyValueList in the order of their keys, in the int64 scratch `work`."""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.wire import LENGTH_DELIMITED, next_field
from proto.words import compare

# An entry: where its key and the message of its value lie.
KEY, KEY_LENGTH, VALUE, VALUE_LENGTH, ENTRY_SIZE = range(5)


@kernel
def sort_entries(data, position, end, work, base):
    """The entries of a KeyValueList into work[base:], sorted by key, of equal keys the last. Returns where they end.

    Heap sort: it needs no room of its own, and no input makes it slow.
    """
    count = 0
    while position < end:
        field, wire_type, length, position = next_field(data, position, end)
        if field == 1 and wire_type == LENGTH_DELIMITED:
            read_entry(data, position - length, position, work, base + ENTRY_SIZE * count)
            count += 1
    for root in range(count // 2 - 1, -1, -1):
        sift_down(data, work, base, root, count)
    for last in range(count - 1, 0, -1):
        swap_entries(work, base, base + ENTRY_SIZE * last)
        sift_down(data, work, base, np.int64(0), last)
    kept = base
    for entry in range(base, base + ENTRY_SIZE * count, ENTRY_SIZE):
        following = entry + ENTRY_SIZE
        if following < base + ENTRY_SIZE * count and compare_keys(data, work, entry, following) == 0:
            continue
        swap_entries(work, kept, entry)
        kept += ENTRY_SIZE
    return kept


@kernel
def read_entry(data, position, end, work, entry):
    """A KeyValue message into `work`."""
    for part in range(ENTRY_SIZE):
        work[entry + part] = 0
    work[entry + VALUE] = position
    work[entry + KEY] = position
    while position < end:
        field, wire_type, length, position = next_field(data, position, end)
        if wire_type == LENGTH_DELIMITED and field <= 2:
            work[entry + 2 * (field - 1)] = position - length
            work[entry + 2 * (field - 1) + 1] = length


@kernel
def sift_down(data, work, base, root, count):
    while 2 * root + 1 < count:
        child = 2 * root + 1
        if child + 1 < count and compare_entries(data, work, base, child, child + 1) < 0:
            child += 1
        if compare_entries(data, work, base, root, child) >= 0:
            return
        swap_entries(work, base + ENTRY_SIZE * root, base + ENTRY_SIZE * child)
        root = child


@kernel
def swap_entries(work, left, right):
    for part in range(ENTRY_SIZE):
        kept = work[left + part]
        work[left + part] = work[right + part]
        work[right + part] = kept


@kernel
def compare_entries(data, work, base, left, right):
    """Negative or positive as the left entry comes before or after the right: by key, and then by place in the message."""
    left = base + ENTRY_SIZE * left
    right = base + ENTRY_SIZE * right
    order = compare_keys(data, work, left, right)
    return order or work[left + VALUE] - work[right + VALUE]


@kernel
def compare_keys(data, work, left, right):
    return compare(data, work[left + KEY], work[left + KEY_LENGTH], work[right + KEY], work[right + KEY_LENGTH])
