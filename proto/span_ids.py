"""Span ids as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from proto.native_scan import read_ids
from proto.texts import Texts


def id_numbers(columns: Sequence[Texts]) -> tuple[list[NDArray[np.uint64]], dict[int, str]]:
    """The ids of each column as numbers, 0 for an empty text, and the texts of those that are not 16 hex digits.

    An id of 16 lower-case hex digits, not all zero, is what they say. Other writers' ids get numbers that no id of these columns
    has; they stand in the order of their texts.
    """
    numbers = [np.empty(len(column.offsets), np.uint64) for column in columns]
    odd_rows = [np.empty(len(column.offsets), np.int64) for column in columns]
    counts = [read_ids(*each) for each in zip(numbers, odd_rows, *zip(*columns, strict=True), strict=True)]
    if not any(counts):
        return numbers, {}
    odd = [
        {row: _text(column, row) for row in rows[:found].tolist()}
        for column, rows, found in zip(columns, odd_rows, counts, strict=True)
    ]
    taken = {0}.union(*(column.tolist() for column in numbers))
    free = (number for number in count(1) if number not in taken)
    number_of = dict(zip(sorted(set().union(*(texts.values() for texts in odd))), free, strict=False))
    for column, texts in zip(numbers, odd, strict=True):
        for row, text in texts.items():
            column[row] = number_of[text]
    return numbers, {number: text for text, number in number_of.items()}


def _text(column: Texts, row: int) -> str:
    start = int(column.offsets[row])
    return bytes(column.data[start : start + int(column.lengths[row])]).decode(errors="surrogateescape")
