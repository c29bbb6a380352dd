"""The scan of attributes and their values, nested ones checked to their leaves."""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.scan_state import ATTRIBUTES, ENDS, INVALID_UTF8, LONGEST_NESTED, MAX_VALUE_DEPTH, MESSAGES
from proto.spans import ARRAY, BOOL, BYTES, DOUBLE, EMPTY, INT, KVLIST, STRING
from proto.utf8 import is_utf8
from proto.wire import FIXED64, LENGTH_DELIMITED, VARINT, next_field, read_field, read_signed64
from proto.words import join_caller

# A KeyValue and its AnyValue as bytes: the keys of their fields, and the least that both with their lengths take.
KEY_TAG = 1 << 3 | LENGTH_DELIMITED
VALUE_TAG = 2 << 3 | LENGTH_DELIMITED
STRING_TAG = STRING << 3 | LENGTH_DELIMITED
SHORTEST = 4
# What `check_nested` is in, beside ARRAY and KVLIST.
ANY_VALUE = 0
KEY_VALUE = -1


@kernel
def scan_attribute(data, position, end, attributes, state):
    """Read a KeyValue into the next row of `attributes`. False when that table is full."""
    join_caller()
    row = state[ATTRIBUTES]
    if row == attributes.size:
        return False
    state[ATTRIBUTES] = row + 1
    attribute = attributes[row]
    attribute.number = 0
    attribute.key_offset = position
    attribute.key_length = 0
    attribute.value_offset = position
    attribute.value_length = 0
    attribute.type = EMPTY
    if end - position >= SHORTEST and data[position] == KEY_TAG and data[position + 1] < 0x80:
        # As every encoder writes it: a short key, then a short value, and nothing else. The first byte of a longer
        # length is that length modulo 128, plus 128, which never fits the end: then the loop below reads it.
        key = position + 2
        value = key + np.int64(data[position + 1])
        if value + 2 <= end and data[value] == VALUE_TAG and value + 2 + np.int64(data[value + 1]) == end:
            attribute.key_offset = key
            attribute.key_length = value - key
            check_text(data, key, value, state)
            value += 2
            if value + 2 <= end and data[value] == STRING_TAG and value + 2 + np.int64(data[value + 1]) == end:
                attribute.type = STRING
                attribute.value_offset = value + 2
                attribute.value_length = end - value - 2
                check_text(data, value + 2, end, state)
            else:
                scan_value(data, value, end, attribute, state)
            return True
    while position < end:
        field, wire_type, length, position = next_field(data, position, end)
        if wire_type == LENGTH_DELIMITED:
            if field == 1:
                attribute.key_offset = position - length
                attribute.key_length = length
                check_text(data, position - length, position, state)
            elif field == 2:
                scan_value(data, position - length, position, attribute, state)
    return True


@kernel
def scan_value(data, position, end, attribute, state):
    """Read an AnyValue; of several members the last wins."""
    join_caller()
    while position < end:
        field, wire_type, value, position = read_field(data, position, end)
        if wire_type == LENGTH_DELIMITED:
            if field == STRING or field == BYTES or field == ARRAY or field == KVLIST:
                attribute.type = field
                attribute.value_offset = position - value
                attribute.value_length = value
                if field == STRING:
                    check_text(data, position - value, position, state)
                elif field != BYTES:
                    # An empty one is one too.
                    state[LONGEST_NESTED] = max(state[LONGEST_NESTED], value, 1)
                    check_nested(data, position - value, position, field, state)
        elif wire_type == VARINT:
            if field == BOOL:
                attribute.type = BOOL
                attribute.number = value != 0
            elif field == INT:
                attribute.type = INT
                attribute.number = value
        elif field == DOUBLE and wire_type == FIXED64:
            attribute.type = DOUBLE
            attribute.number = read_signed64(data, position - 8)


@kernel
def check_text(data, start, end, state):
    join_caller()
    if not is_utf8(data, start, end):
        state[INVALID_UTF8] = 1


@kernel
def check_nested(data, position, end, message, state):
    """Walk an ArrayValue or a KeyValueList to its leaves, without recursion: well formed, and not too deep.

    `message` says what is being read: ARRAY, KVLIST, ANY_VALUE or KEY_VALUE.
    """
    depth = 0
    state[ENDS] = end
    state[MESSAGES] = message
    levels = 1
    while True:
        while position == state[ENDS + depth]:
            if state[MESSAGES + depth] == ANY_VALUE:
                levels -= 1
            depth -= 1
            if depth < 0:
                return
        field, wire_type, length, position = next_field(data, position, state[ENDS + depth])
        if wire_type != LENGTH_DELIMITED:
            continue
        outer = state[MESSAGES + depth]
        if outer == ARRAY and field == 1:
            inner = ANY_VALUE
        elif outer == KVLIST and field == 1:
            inner = KEY_VALUE
        elif outer == KEY_VALUE and field == 2:
            inner = ANY_VALUE
        elif outer == ANY_VALUE and (field == ARRAY or field == KVLIST):
            inner = field
        else:
            continue
        if inner == ANY_VALUE:
            levels += 1
            if levels > MAX_VALUE_DEPTH:
                raise ValueError("a value is nested more than 64 levels deep")
        depth += 1
        state[ENDS + depth] = position
        state[MESSAGES + depth] = inner
        position -= length
