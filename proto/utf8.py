"""UTF-8 as OTLP's peers send it: checked, and repaired with U+FFFD where it is broken (receiver contract PB-05)."""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.words import copy, is_ascii, join_caller, stay_apart

REPLACEMENT_LENGTH = 3  # U+FFFD is EF BF BD


@kernel
def sequence_length(data, position, end):
    """Length of the character at `position`; negative, the length of what U+FFFD replaces, where it is broken.

    What is replaced as one is the longest run of bytes that begins a character but does not finish it: the practice that
    the Unicode standard recommends (chapter 3, "maximal subparts") and that Python's `errors="replace"` follows.
    """
    lead = data[position]
    if lead < 0x80:
        return 1
    low = 0x80
    high = 0xBF
    if 0xC2 <= lead <= 0xDF:
        length = 2
    elif 0xE0 <= lead <= 0xEF:
        length = 3
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:
            high = 0x9F
    elif 0xF0 <= lead <= 0xF4:
        length = 4
        if lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
    else:
        return -1
    for index in range(1, length):
        if position + index >= end or data[position + index] < low or data[position + index] > high:
            return -index
        low = 0x80
        high = 0xBF
    return length


@kernel
def is_utf8(data, start, end):
    """Whether data[start:end] is well-formed UTF-8."""
    join_caller()
    return is_ascii(data, start, end) or has_whole_characters(data, start, end)


@kernel
def has_whole_characters(data, position, end):
    stay_apart()
    while position < end:
        length = sequence_length(data, position, end)
        if length < 0:
            return False
        position += length
    return True


@kernel
def write_repaired(out, position, data, start, end):
    """data[start:end] into `out` with every broken run replaced; at most three times as long. Returns the new position."""
    while start < end:
        length = sequence_length(data, start, end)
        if length > 0:
            position = copy(out, position, data, start, length)
            start += length
        else:
            out[position] = 0xEF
            out[position + 1] = 0xBF
            out[position + 2] = 0xBD
            position += REPLACEMENT_LENGTH
            start -= length
    return position


@kernel
def repair_column(data, offsets, lengths, chosen, side, side_position):
    """Point the broken ones among the chosen texts of a column to repaired copies in `side`, which follows `data`.

    Returns the new position in `side`. Shapes: offsets, lengths, chosen (rows,); int32, int32, bool.
    """
    for row in range(len(offsets)):
        start = np.int64(offsets[row])
        end = start + lengths[row]
        if chosen[row] and not is_utf8(data, start, end):
            after = write_repaired(side, side_position, data, start, end)
            offsets[row] = data.size + side_position
            lengths[row] = after - side_position
            side_position = after
    return side_position
