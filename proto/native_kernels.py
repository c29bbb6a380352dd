"""Kernels that write columns of ClickHouse's Native format: each appends to `out` at `position` and returns the new position.

Texts come as (offset, length) views into `data`. `starts` and `counts` are the runs of `attributes` that belong to each row. A
LowCardinality column is written in two steps: `index_texts` gives every text a code and finds the texts that differ, then codes
and dictionary are written. The caller makes `out` large enough; if it were not, the bounds check would say so.
"""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel, unchecked_kernel
from proto.numbers import write_integer
from proto.spans import ABSENT, BOOL, INT, STRING
from proto.value_leaves import FALSE, TRUE, is_number
from proto.value_text import LETTERS, write_types, write_value
from proto.words import copy, expect, hash_bytes, is_equal, is_zero, join_caller, stay_apart, write_hex

# Where a count begins: a literal 0 has a type of its own, for which Numba would compile all that it is given to once more.
ZERO = np.int64(0)
# Room in front of a value whose length is known only when it is written. It moves down to its length then, by `copy`, which is 32
# bytes ahead of itself: five for the length and those must fit.
LENGTH_GAP = 40
# Instead of a number of texts: there are more than the caller has made room for.
FULL = np.int64(-1)
# How many rows before its turn a row's text is asked for.
AHEAD = 12


@kernel
def write_length(out, position, length):
    """A length as a varint."""
    join_caller()
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
def write_id(out, position, data, offset, length):
    """One id in hexadecimal behind its length; an absent or all-zero id is the empty string."""
    join_caller()
    if offset == ABSENT or is_zero(data, offset, length):
        return write_length(out, position, ZERO)
    position = write_length(out, position, 2 * length)
    return write_hex(out, position, data, offset, length)


@kernel
def write_ids(out, position, data, offsets, lengths):
    """A String column of ids of any length."""
    for row in range(offsets.size):
        position = write_id(out, position, data, np.int64(offsets[row]), np.int64(lengths[row]))
    return position


@kernel
def write_span_ids(out, position, data, offsets, length):
    """A String column of ids that are all of one length, where they are there at all."""
    for row in range(offsets.size):
        if row + AHEAD < offsets.size:
            expect(data, np.int64(offsets[row + AHEAD]))
        position = write_id(out, position, data, np.int64(offsets[row]), length)
    return position


@kernel
def write_runs(out, position, source, starts, sizes, run_of_row):
    """For each row its run of the bytes of `source`, one behind the other."""
    for row in range(run_of_row.size):
        run = run_of_row[row]
        position = copy(out, position, source, np.int64(starts[run]), np.int64(sizes[run]))
    return position


@kernel
def write_prefixed_value(out, position, data, attribute, work):
    """The text of one value behind its length."""
    stay_apart()
    if is_number(attribute.type):
        after = write_value(out, position + 1, data, attribute, work)
        out[position] = np.uint8(after - position - 1)
        return after
    start = position + LENGTH_GAP
    length = write_value(out, start, data, attribute, work) - start
    position = write_length(out, position, length)
    return copy(out, position, out, start, length)


@kernel
def write_boolean(out, position, number):
    """`true` or `false` behind its length."""
    text = TRUE if number else FALSE
    out[position] = np.uint8(text.size)
    for index in range(text.size):
        out[position + 1 + index] = text[index]
    return position + 1 + text.size


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
def find_code(data, offset, length, slots, first_offsets, first_lengths, size):
    """The code of a text, which is `size` when it was not seen before, or FULL when it would be one text too many.

    `slots` is an open-addressed hash table of codes plus one, a power of two long and never full.
    """
    mask = slots.size - 1
    slot = hash_bytes(data, offset, length) & mask
    while slots[slot]:
        code = slots[slot] - 1
        if first_lengths[code] == length and is_equal(data, first_offsets[code], offset, length):
            return code
        slot = (slot + 1) & mask
    if size == first_offsets.size:
        return FULL
    slots[slot] = size + 1
    first_offsets[size] = offset
    first_lengths[size] = length
    return size


@kernel
def index_texts(codes, data, offsets, lengths, slots, first_offsets, first_lengths):
    """A code for every text, and the place of the first text of each code. Returns how many differ, or FULL."""
    size = ZERO
    for row in range(offsets.size):
        if row + AHEAD < offsets.size:
            expect(data, np.int64(offsets[row + AHEAD]))
        if row and offsets[row] == offsets[row - 1] and lengths[row] == lengths[row - 1]:
            codes[row] = codes[row - 1]
            continue
        code = find_code(data, np.int64(offsets[row]), np.int64(lengths[row]), slots, first_offsets, first_lengths, size)
        if code == FULL:
            return FULL
        codes[row] = code
        size = max(size, code + 1)
    return size


@kernel
def write_maps(
    codes,
    values,
    value_ends,
    types,
    type_offsets,
    type_lengths,
    data,
    attributes,
    starts,
    counts,
    slots,
    first_offsets,
    first_lengths,
    work,
):
    """All that Map columns and their types need of the runs, in one pass. Returns how many keys differ, or FULL.

    For each attribute the code of its key goes to `codes`, its value's text behind its length to `values`, and its type's letters
    to `types`; for each run `value_ends` says where its values end, and `type_offsets` and `type_lengths` where its letters
    are. A run of strings alone has no letters, and one with the letters of the run before shares them.

    Spans that follow each other often have the same keys in the same order, so the key at the same place of the run before is
    tried first.
    """
    size = ZERO
    element = ZERO
    position = ZERO
    type_position = ZERO
    before = ZERO
    before_count = ZERO
    for row in range(starts.size):
        start = np.int64(starts[row])
        count = np.int64(counts[row])
        first_letter = type_position
        plain = True
        for index in range(count):
            attribute = attributes[start + index]
            if start + index + AHEAD < attributes.size:
                expect(data, np.int64(attributes[start + index + AHEAD].key_offset))
            offset = np.int64(attribute.key_offset)
            length = np.int64(attribute.key_length)
            code = np.int64(codes[before + index]) if index < before_count else size
            if code == size or first_lengths[code] != length or not is_equal(data, first_offsets[code], offset, length):
                code = find_code(data, offset, length, slots, first_offsets, first_lengths, size)
                if code == FULL:
                    return FULL
                size = max(size, code + 1)
            codes[element + index] = code
            if attribute.type == STRING:
                types[type_position] = LETTERS[STRING]
                type_position += 1
                length = np.int64(attribute.value_length)
                position = write_length(values, position, length)
                position = copy(values, position, data, np.int64(attribute.value_offset), length)
            elif attribute.type == INT:
                plain = False
                types[type_position] = LETTERS[INT]
                type_position += 1
                after = write_integer(values, position + 1, attribute.number)
                values[position] = np.uint8(after - position - 1)
                position = after
            elif attribute.type == BOOL:
                plain = False
                types[type_position] = LETTERS[BOOL]
                type_position += 1
                position = write_boolean(values, position, attribute.number)
            else:
                plain = False
                type_position = write_types(types, type_position, data, attribute, work)
                position = write_prefixed_value(values, position, data, attribute, work)
        before = element
        before_count = count
        element += count
        value_ends[row] = position
        if plain:
            type_position = first_letter
        size_of_types = type_position - first_letter
        type_offsets[row] = first_letter
        type_lengths[row] = size_of_types
        if size_of_types and row and type_lengths[row - 1] == size_of_types:
            if is_equal(types, np.int64(type_offsets[row - 1]), first_letter, size_of_types):
                type_offsets[row] = type_offsets[row - 1]
                type_position = first_letter
    return size


@unchecked_kernel
def transpose(rows, columns, highest):
    """columns[c, r] = rows[r, c], and the highest of each column; columns may be longer."""
    height, width = rows.shape
    if columns.shape[0] != width or columns.shape[1] < height or highest.size != width:
        raise IndexError("the columns have not the shape of the rows turned")
    for row in range(height):
        for column in range(width):
            columns[column, row] = rows[row, column]
        for column in range(width):
            highest[column] = max(highest[column], rows[row, column])
