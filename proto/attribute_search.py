"""What conditions ask columns: where runs of attributes hold their keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proto.kernel import kernel, unchecked_kernel
from proto.spans import ABSENT, SpanBatch, Table, records
from proto.words import expect, join_caller, load64, load_below64

_AHEAD: Final = 16
"""So many attributes before one is looked at, its key is fetched."""


def find_attributes(batch: SpanBatch, owners: Table, keys: Sequence[bytes]) -> NDArray[np.int32]:
    """For each key and each row of `owners` the index of the first attribute with that key, or ABSENT; shape (keys, rows).

    Args:
        owners: rows of one of the tables of `batch` that own runs of attributes.
    """
    found = np.full((len(keys), len(owners)), ABSENT, np.int32)
    if keys:
        text = np.frombuffer(b"".join(keys), np.uint8)
        ends = np.cumsum([len(key) for key in keys], dtype=np.int64)
        starts = np.ascontiguousarray(owners["attributes_start"])
        counts = np.ascontiguousarray(owners["attributes_count"])
        search(found, batch.data, starts, counts, records(batch.attributes), text, ends)
    return found


@kernel
def search(found: Any, data: Any, starts: Any, counts: Any, attributes: Any, keys: Any, key_ends: Any) -> None:
    """Fill `found`, which holds ABSENT, as `find_attributes` says; `keys` has the keys one behind the other."""
    for row in range(starts.size):
        start = np.int64(starts[row])
        for index in range(start, start + counts[row]):
            if index + _AHEAD < attributes.size:
                expect(data, int(attributes[index + _AHEAD].key_offset))
            length = np.int64(attributes[index].key_length)
            key_start = np.int64(0)
            for key in range(key_ends.size):
                key_end = key_ends[key]
                if key_end - key_start == length and found[key, row] == ABSENT:
                    if is_same(data, np.int64(attributes[index].key_offset), keys, key_start, length):
                        found[key, row] = index
                key_start = key_end


@unchecked_kernel
def is_same(data: Any, offset: Any, keys: Any, start: Any, length: Any) -> bool:
    """Whether data[offset : offset + length] equals keys[start : start + length]."""
    join_caller()
    if length < 0 or offset < 0 or start < 0 or offset + length > data.size or start + length > keys.size:
        raise IndexError("range outside the data")
    if length < 8:
        return bool(load_below64(data, offset, length) == load_below64(keys, start, length))
    # The last word overlaps the one before it, so there is no rest to be looked at byte by byte.
    last = length - 8
    if load64(data, offset + last) != load64(keys, start + last):
        return False
    done = 0
    while done < last:
        if load64(data, offset + done) != load64(keys, start + done):
            return False
        done += 8
    return True
