"""Values that hold no others, as text and as JSON: numbers, booleans, bytes in base64, strings with their escapes."""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.numbers import MAX_DOUBLE_TEXT, write_double, write_integer
from proto.spans import BOOL, BYTES, DOUBLE, EMPTY, INT, STRING
from proto.utf8 import sequence_length
from proto.words import as_double, copy, stay_apart

MAX_NUMBER_TEXT = MAX_DOUBLE_TEXT
BASE64 = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)
HEX_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
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
