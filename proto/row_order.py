"""A stable sort of runs of rows, as a kernel."""

from __future__ import annotations

from proto.kernel import kernel

_RUN = 16
"""So many rows are sorted by insertion."""


@kernel
def sort_rows(rows, begin, end, keys, spare):
    """Sort rows[begin:end] by their keys; rows with equal keys keep their order. spare[begin:end] is overwritten."""
    for first in range(begin, end, _RUN):
        for index in range(first + 1, min(first + _RUN, end)):
            row = rows[index]
            at = index
            while at > first and keys[rows[at - 1]] > keys[row]:
                rows[at] = rows[at - 1]
                at -= 1
            rows[at] = row
    width = _RUN
    while width < end - begin:
        for first in range(begin, end - width, 2 * width):
            merge_rows(rows, first, first + width, min(first + 2 * width, end), keys, spare)
        width *= 2


@kernel
def merge_rows(rows, first, middle, end, keys, spare):
    """Merge rows[first:middle] and rows[middle:end], each of which is sorted."""
    if keys[rows[middle - 1]] <= keys[rows[middle]]:
        return
    for index in range(first, middle):
        spare[index] = rows[index]
    left = first
    right = middle
    at = first
    while left < middle:
        if right < end and keys[rows[right]] < keys[spare[left]]:
            rows[at] = rows[right]
            right += 1
        else:
            rows[at] = spare[left]
            left += 1
        at += 1
