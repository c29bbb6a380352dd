"""A kernel that writes lists of attributes anew."""

from __future__ import annotations

import numpy as np

from proto.attribute_search import is_same
from proto.kernel import kernel
from proto.spans import ABSENT
from proto.words import join_caller


@kernel
def rewrite_lists(
    out, tail, new_starts, new_counts, data, attributes, removed, starts, counts, rows, keys, key_ends, found, cells, present
):
    """Write those lists of attributes anew whose numbers are in `rows`. Returns where the written lists end.

    `keys` has the keys that may have changed one behind the other, and `key_ends` is where each ends. `found` (int32, of shape
    (keys, lists)) is the first attribute with each key, or ABSENT; where it is `present` now, `cells` has what it is now. Others
    with the same key are left out, for what was meant to be hidden or removed may stand in them. Of attributes with other keys
    those are left out that are `removed`.

    `out` begins as `attributes` does. A list goes where it was, or behind `tail` if something is added to it.
    """
    for row in rows:
        start = np.int64(starts[row])
        end = start + np.int64(counts[row])
        grows = False
        for key in range(key_ends.size):
            grows |= present[key, row] and found[key, row] == ABSENT
        position = tail if grows else start
        new_starts[row] = position
        for place in range(start, end):
            key = column_at(found, row, place)
            if key == ABSENT:
                offset = np.int64(attributes[place].key_offset)
                length = np.int64(attributes[place].key_length)
                if removed[place] or has_key(data, offset, length, keys, key_ends):
                    continue
                if position != place:
                    out[position] = attributes[place]
                position += 1
            elif present[key, row]:
                out[position] = cells[key, row]
                position += 1
        for key in range(key_ends.size):
            if present[key, row] and found[key, row] == ABSENT:
                out[position] = cells[key, row]
                position += 1
        new_counts[row] = position - new_starts[row]
        tail = max(tail, position)
    return tail


@kernel
def column_at(found, row, place):
    """Which column the attribute at a place is in, or ABSENT."""
    join_caller()
    for key in range(found.shape[0]):
        if found[key, row] == place:
            return key
    return ABSENT


@kernel
def has_key(data, offset, length, keys, key_ends):
    """Whether data[offset : offset + length] is one of the keys."""
    join_caller()
    start = np.int64(0)
    for key in range(key_ends.size):
        if key_ends[key] - start == length and is_same(data, offset, keys, start, length):
            return True
        start = key_ends[key]
    return False
