"""Kernels that read columns of ClickHouse's Native format."""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.kernel import kernel

_ID_DIGITS: Final = 16
_NO_DIGIT: Final = 0xFF
_DIGIT_VALUES: Final = np.array([b"0123456789abcdef".find(byte) & _NO_DIGIT for byte in range(256)], np.uint8)
_LONGEST_SHIFT: Final = 28


@kernel
def scan_texts(offsets, lengths, data, position):
    """Where each text of a String column lies that begins at `position`; returns the position after it."""
    for row in range(offsets.size):
        length = np.int64(0)
        shift = np.int64(0)
        while data[position] >= 0x80 and shift < _LONGEST_SHIFT:
            length |= np.int64(data[position] & 0x7F) << shift
            position += 1
            shift += 7
        length |= np.int64(data[position]) << shift
        position += 1
        if length > data.size - position:
            raise IndexError("a text that is cut")
        offsets[row] = position
        lengths[row] = length
        position += length
    return position


@kernel
def read_ids(numbers, odd_rows, data, offsets, lengths):
    """The number of each id; 0 for an empty text, and for one that is not 16 lower-case hex digits or is all zeros, whose row is
    written to `odd_rows`. Returns how many of those there are."""
    found = 0
    for row in range(numbers.size):
        number = np.uint64(0)
        is_odd = lengths[row] != _ID_DIGITS
        if not is_odd:
            for index in range(_ID_DIGITS):
                value = _DIGIT_VALUES[data[offsets[row] + index]]
                is_odd |= value == _NO_DIGIT
                number = number << np.uint64(4) | np.uint64(value)
        if is_odd or number == 0:
            number = np.uint64(0)
            if lengths[row]:
                odd_rows[found] = row
                found += 1
        numbers[row] = number
    return found
