"""Kernel that writes a list of records in JSON, all with the same members, from columns."""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.kernel import kernel
from proto.numbers import write_integer, write_unsigned
from proto.words import copy, hex_digits, store64

# What a value is.
UNSIGNED: Final = 0
SIGNED: Final = 1
POSITION: Final = 2
"""As SIGNED, but null where it is below 0."""
TEXT: Final = 3
"""A place among texts, which are JSON already."""
HEX: Final = 4
"""16 hex digits, or nothing where it is 0."""

LONGEST_NUMBER: Final = 20
"""Bytes that a value which is no text takes at most."""
_HEX_DIGITS: Final = 16
_NULL: Final = np.frombuffer(b"null", np.uint8)


@kernel
def write_records(out, ends, values, forms, constants, constant_ends, texts, text_ends):
    """Write all records to `out`, and to `ends` where each ends.

    `values` has a row of uint64 for each record, and a column of one of the forms above for each member: the bits of integers,
    and places in `text_ends`, which says where each of `texts` ends. Before a member stands its constant, and behind the last the
    one more that there is; `constant_ends` says where each ends.
    """
    position = 0
    for row in range(values.shape[0]):
        for member in range(forms.size):
            position = write_part(out, position, constants, constant_ends, member)
            value = values[row, member]
            form = forms[member]
            if form == TEXT:
                position = write_part(out, position, texts, text_ends, np.int64(value))
            elif form == UNSIGNED:
                position = write_unsigned(out, position, value)
            elif form == HEX:
                position = write_id(out, position, value)
            elif form == POSITION and np.int64(value) < 0:
                position = copy(out, position, _NULL, 0, _NULL.size)
            else:
                position = write_integer(out, position, np.int64(value))
        position = write_part(out, position, constants, constant_ends, forms.size)
        ends[row] = position


@kernel
def write_part(out, position, parts, part_ends, index):
    """One of the parts that stand one behind the other."""
    start = np.int64(part_ends[index - 1]) if index > 0 else np.int64(0)
    return copy(out, position, parts, start, np.int64(part_ends[index]) - start)


@kernel
def write_id(out, position, number):
    """16 lower-case hex digits, or nothing for 0."""
    if number == 0:
        return position
    if position + _HEX_DIGITS > out.size:
        raise IndexError("no room for an id")
    # The digits of the first byte come first.
    number = swap_bytes(number)
    store64(out, position, hex_digits(number & np.uint64(0xFFFFFFFF)))
    store64(out, position + 8, hex_digits(number >> np.uint64(32)))
    return position + _HEX_DIGITS


@kernel
def swap_bytes(word):
    """The bytes of a word in the other order."""
    pairs = np.uint64(0x00FF00FF00FF00FF)
    halves = np.uint64(0x0000FFFF0000FFFF)
    word = (word >> np.uint64(8)) & pairs | (word & pairs) << np.uint64(8)
    word = (word >> np.uint64(16)) & halves | (word & halves) << np.uint64(16)
    return word >> np.uint64(32) | word << np.uint64(32)
