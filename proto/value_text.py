"""Attribute values as text, byte for byte as the standard trace table has them, and as the letters of their types.

The text is what the collector's `AsString` gives: strings as they are, numbers and booleans in their shortest form, bytes in
base64, arrays and key-value lists as compact JSON with sorted keys and without HTML escapes. What that text loses is kept in
letters: n empty, s string, b bool, i int, d double, x bytes, [...] array, {...} key-value list in the order of the text.

`work` is int64 scratch for nested values; WORK_PER_BYTE and WORK_BESIDES say how much of it a value needs.
"""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.numbers import MAX_DOUBLE_TEXT, write_double, write_integer
from proto.scan import MAX_VALUE_DEPTH
from proto.spans import ARRAY, BOOL, BYTES, DOUBLE, EMPTY, INT, KVLIST, STRING
from proto.utf8 import sequence_length
from proto.wire import FIXED64, LENGTH_DELIMITED, VARINT, next_field, read_signed64
from proto.words import as_double, compare, copy, stay_apart

MAX_NUMBER_TEXT = MAX_DOUBLE_TEXT
# An entry of a key-value list in `work`.
KEY, KEY_LENGTH, VALUE, VALUE_LENGTH, ENTRY_SIZE = range(5)
# A frame: type of the open list, place of its next value and its end (in its message, or among its entries), the frame below,
# where entries and frame begin, and how many values were written.
TYPE, NEXT, END, BELOW, BASE, WRITTEN, FRAME_SIZE = range(7)
NO_FRAME = -1
NO_VALUE = -1
WORK_PER_BYTE = ENTRY_SIZE // 2  # an entry takes two bytes at least
WORK_BESIDES = FRAME_SIZE * (MAX_VALUE_DEPTH + 1)
BASE64 = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)
HEX_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
LETTERS = np.frombuffer(b"nsbid[{x", np.uint8)  # by type
TRUE = np.frombuffer(b"true", np.uint8)
FALSE = np.frombuffer(b"false", np.uint8)
NULL = np.frombuffer(b"null", np.uint8)
SHORT_ESCAPES = np.zeros(128, np.uint8)  # the letter behind the backslash
for _character, _letter in ((0x08, "b"), (0x09, "t"), (0x0A, "n"), (0x0C, "f"), (0x0D, "r"), (0x22, '"'), (0x5C, "\\")):
    SHORT_ESCAPES[_character] = ord(_letter)


@kernel
def is_number(value_type):
    """Whether a value's text is short: an empty value, a boolean, an integer or a double."""
    return value_type == EMPTY or value_type == BOOL or value_type == INT or value_type == DOUBLE


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
def write_number(out, position, value_type, number):
    stay_apart()
    if value_type == INT:
        return write_integer(out, position, number)
    if value_type == DOUBLE:
        return write_double(out, position, as_double(number))
    if number:
        return copy(out, position, TRUE, 0, 4)
    return copy(out, position, FALSE, 0, 5)


@kernel
def write_base64(out, position, data, start, end):
    """Standard base64 with padding."""
    stay_apart()
    while start < end:
        rest = end - start
        first = np.int64(data[start])
        second = np.int64(data[start + 1]) if rest > 1 else 0
        third = np.int64(data[start + 2]) if rest > 2 else 0
        out[position] = BASE64[first >> 2]
        out[position + 1] = BASE64[(first & 3) << 4 | second >> 4]
        out[position + 2] = BASE64[(second & 15) << 2 | third >> 6] if rest > 1 else 0x3D
        out[position + 3] = BASE64[third & 63] if rest > 2 else 0x3D
        position += 4
        start += 3
    return position


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
def write_json_leaf(out, position, data, value_type, number, start, end):
    """A value that is no list, as JSON. A double that JSON does not have is a string, as in protobuf's own mapping."""
    if value_type == STRING:
        return write_json_string(out, position, data, start, end)
    if value_type == EMPTY:
        return copy(out, position, NULL, 0, 4)
    quoted = value_type == BYTES or (value_type == DOUBLE and not np.isfinite(as_double(number)))
    if quoted:
        out[position] = 0x22
        position += 1
    if value_type == BYTES:
        position = write_base64(out, position, data, start, end)
    else:
        position = write_number(out, position, value_type, number)
    if quoted:
        out[position] = 0x22
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


@kernel
def write_json_string(out, position, data, start, end):
    """A JSON string with the escapes of Go's encoder without HTML escaping; broken UTF-8 becomes \\ufffd."""
    out[position] = 0x22
    position += 1
    while start < end:
        byte = data[start]
        if byte >= 0x80:
            length = sequence_length(data, start, end)
            if length < 0:
                position = write_unicode_escape(out, position, 0xFFFD)
                start -= length
            elif length == 3 and byte == 0xE2 and data[start + 1] == 0x80 and (data[start + 2] & 0xFE) == 0xA8:
                # U+2028 and U+2029 end a line in JavaScript.
                position = write_unicode_escape(out, position, 0x2000 | (data[start + 2] & 0x3F))
                start += length
            else:
                position = copy(out, position, data, start, length)
                start += length
            continue
        start += 1
        if SHORT_ESCAPES[byte]:
            out[position] = 0x5C
            out[position + 1] = SHORT_ESCAPES[byte]
            position += 2
        elif byte < 0x20:
            position = write_unicode_escape(out, position, np.int64(byte))
        else:
            out[position] = byte
            position += 1
    out[position] = 0x22
    return position + 1


@kernel
def write_unicode_escape(out, position, code_point):
    out[position] = 0x5C
    out[position + 1] = 0x75
    for index in range(4):
        out[position + 2 + index] = HEX_DIGITS[(code_point >> (12 - 4 * index)) & 15]
    return position + 6


@kernel
def sort_entries(data, position, end, work, base):
    """The entries of a KeyValueList into work[base:], sorted by key, of equal keys the last. Returns where they end.

    Heap sort: it needs no room of its own, and no input makes it slow.
    """
    count = 0
    while position < end:
        field, wire_type, length, position = next_field(data, position, end)
        if field == 1 and wire_type == LENGTH_DELIMITED:
            read_entry(data, position - length, position, work, base + ENTRY_SIZE * count)
            count += 1
    for root in range(count // 2 - 1, -1, -1):
        sift_down(data, work, base, root, count)
    for last in range(count - 1, 0, -1):
        swap_entries(work, base, base + ENTRY_SIZE * last)
        sift_down(data, work, base, np.int64(0), last)
    kept = base
    for entry in range(base, base + ENTRY_SIZE * count, ENTRY_SIZE):
        following = entry + ENTRY_SIZE
        if following < base + ENTRY_SIZE * count and compare_keys(data, work, entry, following) == 0:
            continue
        swap_entries(work, kept, entry)
        kept += ENTRY_SIZE
    return kept


@kernel
def read_entry(data, position, end, work, entry):
    """A KeyValue message into `work`."""
    for part in range(ENTRY_SIZE):
        work[entry + part] = 0
    work[entry + VALUE] = position
    work[entry + KEY] = position
    while position < end:
        field, wire_type, length, position = next_field(data, position, end)
        if wire_type == LENGTH_DELIMITED and field <= 2:
            work[entry + 2 * (field - 1)] = position - length
            work[entry + 2 * (field - 1) + 1] = length


@kernel
def sift_down(data, work, base, root, count):
    while 2 * root + 1 < count:
        child = 2 * root + 1
        if child + 1 < count and compare_entries(data, work, base, child, child + 1) < 0:
            child += 1
        if compare_entries(data, work, base, root, child) >= 0:
            return
        swap_entries(work, base + ENTRY_SIZE * root, base + ENTRY_SIZE * child)
        root = child


@kernel
def swap_entries(work, left, right):
    for part in range(ENTRY_SIZE):
        kept = work[left + part]
        work[left + part] = work[right + part]
        work[right + part] = kept


@kernel
def compare_entries(data, work, base, left, right):
    """Negative or positive as the left entry comes before or after the right: by key, and then by place in the message."""
    left = base + ENTRY_SIZE * left
    right = base + ENTRY_SIZE * right
    order = compare_keys(data, work, left, right)
    return order or work[left + VALUE] - work[right + VALUE]


@kernel
def compare_keys(data, work, left, right):
    return compare(data, work[left + KEY], work[left + KEY_LENGTH], work[right + KEY], work[right + KEY_LENGTH])
