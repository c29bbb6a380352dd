"""Attribute values as text, byte for byte as the standard trace table has them, and as the letters of their types.

The text is what the collector's `AsString` gives: strings as they are, numbers and booleans in their shortest form, bytes in
base64, arrays and key-value lists as compact JSON with sorted keys and without HTML escapes. What that text loses is kept in
letters: n empty, s string, b bool, i int, d double, x bytes, [...] array, {...} key-value list in the order of the text.

`work` is int64 scratch for nested values; WORK_PER_BYTE and WORK_BESIDES say how much of it a value needs.
"""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.key_value_lists import ENTRY_SIZE, KEY, KEY_LENGTH, VALUE, VALUE_LENGTH, sort_entries
from proto.scan_state import MAX_VALUE_DEPTH
from proto.spans import ARRAY, BOOL, BYTES, DOUBLE, EMPTY, INT, KVLIST, STRING
from proto.value_leaves import write_base64, write_json_leaf, write_json_string, write_number
from proto.wire import FIXED64, LENGTH_DELIMITED, VARINT, next_field, read_signed64
from proto.words import copy, stay_apart

# A frame: type of the open list, place of its next value and its end (in its message, or among its entries), the frame below,
# where entries and frame begin, and how many values were written.
TYPE, NEXT, END, BELOW, BASE, WRITTEN, FRAME_SIZE = range(7)
NO_FRAME = -1
NO_VALUE = -1
WORK_PER_BYTE = ENTRY_SIZE // 2  # an entry takes two bytes at least
WORK_BESIDES = FRAME_SIZE * (MAX_VALUE_DEPTH + 1)
LETTERS = np.frombuffer(b"nsbid[{x", np.uint8)  # by type


@kernel
def write_value(out, position, data, attribute, work):
    """The text of an attribute's value."""
    start = np.int64(attribute.value_offset)
    length = np.int64(attribute.value_length)
    value_type = np.int64(attribute.type)
    if value_type == STRING:
        return copy(out, position, data, start, length)
    if value_type == EMPTY:
        return position
    if value_type == BYTES:
        return write_base64(out, position, data, start, start + length)
    if value_type == ARRAY or value_type == KVLIST:
        return write_nested(out, position, data, value_type, start, start + length, work, True)
    return write_number(out, position, value_type, attribute.number)


@kernel
def write_types(out, position, data, attribute, work):
    """The letters of an attribute's value."""
    value_type = np.int64(attribute.type)
    if value_type == ARRAY or value_type == KVLIST:
        start = np.int64(attribute.value_offset)
        return write_nested(out, position, data, value_type, start, start + attribute.value_length, work, False)
    out[position] = LETTERS[value_type]
    return position + 1


@kernel
def write_nested(out, position, data, value_type, start, end, work, as_json):
    """The ArrayValue or KeyValueList message data[start:end] as JSON or as type letters.

    Without recursion: `work` is a stack of frames, one for each list that is open, with a list's sorted entries below its frame.
    """
    stay_apart()
    top = NO_FRAME
    used = np.int64(0)
    while True:
        if value_type == ARRAY or value_type == KVLIST:
            out[position] = LETTERS[value_type]
            position += 1
            base = used
            if value_type == KVLIST:
                used = sort_entries(data, start, end, work, base)
                start = base
                end = used
            work[used + TYPE] = value_type
            work[used + NEXT] = start
            work[used + END] = end
            work[used + BELOW] = top
            work[used + BASE] = base
            work[used + WRITTEN] = 0
            top = used
            used += FRAME_SIZE

        start, end = next_value(data, work, top)
        if start == NO_VALUE:
            out[position] = 0x5D if work[top + TYPE] == ARRAY else 0x7D
            position += 1
            used = work[top + BASE]
            top = work[top + BELOW]
            if top == NO_FRAME:
                return position
            value_type = EMPTY
            continue
        if as_json:
            position = write_comma_and_key(out, position, data, work, top)
        work[top + WRITTEN] += 1
        value_type, number, start, length = read_any_value(data, start, end)
        end = start + length
        if value_type != ARRAY and value_type != KVLIST:
            if as_json:
                position = write_json_leaf(out, position, data, value_type, number, start, end)
            else:
                out[position] = LETTERS[value_type]
                position += 1


@kernel
def next_value(data, work, frame):
    """Bounds of the next AnyValue message of an open list, or NO_VALUE twice."""
    position = work[frame + NEXT]
    end = work[frame + END]
    if work[frame + TYPE] == KVLIST:
        if position == end:
            return NO_VALUE, NO_VALUE
        work[frame + NEXT] = position + ENTRY_SIZE
        return work[position + VALUE], work[position + VALUE] + work[position + VALUE_LENGTH]
    while position < end:
        field, wire_type, length, position = next_field(data, position, end)
        if field == 1 and wire_type == LENGTH_DELIMITED:
            work[frame + NEXT] = position
            return position - length, position
    return NO_VALUE, NO_VALUE


@kernel
def write_comma_and_key(out, position, data, work, frame):
    """What stands in front of a list's next value."""
    if work[frame + WRITTEN]:
        out[position] = 0x2C
        position += 1
    if work[frame + TYPE] == KVLIST:
        entry = work[frame + NEXT] - ENTRY_SIZE
        position = write_json_string(out, position, data, work[entry + KEY], work[entry + KEY] + work[entry + KEY_LENGTH])
        out[position] = 0x3A
        position += 1
    return position


@kernel
def read_any_value(data, position, end):
    """An AnyValue: (type, number, offset and length of its content); of several members the last wins."""
    value_type = EMPTY
    number = 0
    offset = 0
    size = 0
    while position < end:
        field, wire_type, value, position = next_field(data, position, end)
        if wire_type == LENGTH_DELIMITED:
            if field == STRING or field == BYTES or field == ARRAY or field == KVLIST:
                value_type = field
                offset = position - value
                size = value
        elif wire_type == VARINT:
            if field == BOOL:
                value_type = BOOL
                number = 1 if value else 0
            elif field == INT:
                value_type = INT
                number = value
        elif field == DOUBLE and wire_type == FIXED64:
            value_type = DOUBLE
            number = read_signed64(data, position - 8)
    return value_type, number, offset, size
