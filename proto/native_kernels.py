"""Kernels that write columns of ClickHouse's Native format: each appends to `out` at `position` and returns the new position.

Texts come as (offset, length) views into `data`. `starts` and `counts` are the runs of `attributes` that belong to each row. A
LowCardinality column is written in two steps: the `index_...` kernels give every text a code and find the texts that differ,
then codes and dictionary are written. The caller makes `out` large enough; if it were not, the bounds check would say so.
"""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.spans import ABSENT, STRING
from proto.value_leaves import is_number
from proto.value_text import write_types, write_value
from proto.words import copy, hash_bytes, is_equal, is_zero, write_hex

# Where a count begins: a literal 0 has a type of its own, for which Numba would compile all that it is given to once more.
ZERO = np.int64(0)
# Room in front of a value whose length is known only when it is written. It moves down to its length then, by `copy`, which is 32
# bytes ahead of itself: five for the length and those must fit.
LENGTH_GAP = 40


@kernel
def write_length(out, position, length):
    """A length as a varint."""
    while length >= 0x80:
        out[position] = np.uint8((length & 0x7F) | 0x80)
        position += 1
        length >>= 7
    out[position] = np.uint8(length)
    return position + 1


@kernel
def write_texts(out, position, data, offsets, lengths):
    """A String column of one text a row."""
    for row in range(offsets.size):
        length = np.int64(lengths[row])
        position = write_length(out, position, length)
        position = copy(out, position, data, np.int64(offsets[row]), length)
    return position


@kernel
def write_ids(out, position, data, offsets, lengths):
    """A String column of ids in hexadecimal; an absent or all-zero id is the empty string."""
    for row in range(offsets.size):
        offset = np.int64(offsets[row])
        length = np.int64(lengths[row])
        if offset == ABSENT or is_zero(data, offset, length):
            offset = 0
            length = 0
        position = write_length(out, position, 2 * length)
        position = write_hex(out, position, data, offset, length)
    return position


@kernel
def write_runs(out, position, source, starts, counts):
    """For each row its run of the bytes of `source`, one behind the other."""
    for row in range(starts.size):
        position = copy(out, position, source, np.int64(starts[row]), np.int64(counts[row]))
    return position


@kernel
def write_values(out, position, data, attributes, starts, counts, work):
    """The values of all runs as a String column (one run after the other, one text a value)."""
    for row in range(starts.size):
        start = np.int64(starts[row])
        for index in range(start, start + counts[row]):
            position = write_prefixed_value(out, position, data, attributes[index], work)
    return position


@kernel
def write_prefixed_value(out, position, data, attribute, work):
    """The text of one value behind its length."""
    if attribute.type == STRING:
        length = np.int64(attribute.value_length)
        position = write_length(out, position, length)
        return copy(out, position, data, np.int64(attribute.value_offset), length)
    if is_number(attribute.type):
        after = write_value(out, position + 1, data, attribute, work)
        out[position] = np.uint8(after - position - 1)
        return after
    start = position + LENGTH_GAP
    length = write_value(out, start, data, attribute, work) - start
    position = write_length(out, position, length)
    return copy(out, position, out, start, length)


@kernel
def write_value_runs(value_starts, value_counts, out, data, attributes, starts, counts, work):
    """The same into an `out` of its own, with the bytes that each run takes there: their start and their number."""
    position = ZERO
    for row in range(starts.size):
        value_starts[row] = position
        start = np.int64(starts[row])
        for index in range(start, start + counts[row]):
            position = write_prefixed_value(out, position, data, attributes[index], work)
        value_counts[row] = position - value_starts[row]


@kernel
def write_value_texts(offsets, lengths, text, data, attributes, rows, work):
    """The texts of the values in `rows` (ABSENT: the empty text) into `text`, and where each lies. Returns bytes written."""
    position = ZERO
    for row in range(rows.size):
        offsets[row] = position
        if rows[row] != ABSENT:
            position = write_value(text, position, data, attributes[rows[row]], work)
        lengths[row] = position - offsets[row]
    return position


@kernel
def write_type_lists(offsets, lengths, text, data, attributes, starts, counts, work):
    """The type letters of each run into `text`, and where each lies; a run of strings alone gets the empty text.

    A run with the letters of the run before it shares them.
    """
    position = ZERO
    for row in range(starts.size):
        begin = position
        start = np.int64(starts[row])
        end = start + counts[row]
        plain = True
        for index in range(start, end):
            plain &= attributes[index].type == STRING
        if not plain:
            for index in range(start, end):
                position = write_types(text, position, data, attributes[index], work)
        offsets[row] = begin
        lengths[row] = position - begin
        if row and lengths[row - 1] == lengths[row] and is_equal(text, np.int64(offsets[row - 1]), begin, position - begin):
            offsets[row] = offsets[row - 1]
            position = begin
    return position


@kernel
def find_code(data, offset, length, slots, first_offsets, first_lengths, size):
    """The code of a text, which is `size` when it was not seen before.

    `slots` is an open-addressed hash table of codes plus one, a power of two long and never full.
    """
    mask = slots.size - 1
    slot = hash_bytes(data, offset, length) & mask
    while slots[slot]:
        code = slots[slot] - 1
        if first_lengths[code] == length and is_equal(data, first_offsets[code], offset, length):
            return code
        slot = (slot + 1) & mask
    slots[slot] = size + 1
    first_offsets[size] = offset
    first_lengths[size] = length
    return size


@kernel
def index_texts(codes, data, offsets, lengths, slots, first_offsets, first_lengths):
    """A code for every text, and the place of the first text of each code. Returns how many differ."""
    size = ZERO
    for row in range(offsets.size):
        if row and offsets[row] == offsets[row - 1] and lengths[row] == lengths[row - 1]:
            codes[row] = codes[row - 1]
            continue
        code = find_code(data, np.int64(offsets[row]), np.int64(lengths[row]), slots, first_offsets, first_lengths, size)
        codes[row] = code
        size = max(size, code + 1)
    return size


@kernel
def index_keys(codes, data, attributes, starts, counts, slots, first_offsets, first_lengths):
    """The same for the keys of all runs, one run behind the other.

    Spans that follow each other often have the same keys in the same order, so the key at the same place of the run before is
    tried first.
    """
    size = ZERO
    element = ZERO
    before = ZERO
    before_count = 0
    for row in range(starts.size):
        start = np.int64(starts[row])
        count = np.int64(counts[row])
        for index in range(count):
            offset = np.int64(attributes[start + index].key_offset)
            length = np.int64(attributes[start + index].key_length)
            code = codes[before + index] if index < before_count else size
            if code == size or first_lengths[code] != length or not is_equal(data, first_offsets[code], offset, length):
                code = find_code(data, offset, length, slots, first_offsets, first_lengths, size)
                size = max(size, code + 1)
            codes[element + index] = code
        before = element
        before_count = count
        element += count
    return size


@kernel
def transpose(rows, columns):
    """columns[c, r] = rows[r, c]; in blocks of rows that stay in the processor's cache."""
    height, width = rows.shape
    for block in range(0, height, 64):
        for column in range(width):
            for row in range(block, min(block + 64, height)):
                columns[column, row] = rows[row, column]
