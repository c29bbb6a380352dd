"""The tokens of JSON, as kernels: white space, strings, numbers, literals.

A reader takes `data` (uint8, the whole text) and a position in it, and returns the position after what it read. Text that is not
JSON raises `ValueError`, text that ends too early `IndexError`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.kernel import kernel, unchecked_kernel
from proto.utf8 import sequence_length
from proto.words import load64, store64

QUOTE = 0x22
COMMA = 0x2C
COLON = 0x3A
BACKSLASH = 0x5C
OPEN_BRACKET = 0x5B
CLOSE_BRACKET = 0x5D
OPEN_BRACE = 0x7B
CLOSE_BRACE = 0x7D
_SPACE = 0x20

TRUE: Final = np.frombuffer(b"true", np.uint8)
FALSE: Final = np.frombuffer(b"false", np.uint8)
NULL: Final = np.frombuffer(b"null", np.uint8)

NOT_HEX: Final = 0xFF
HEX_DIGITS: Final = np.array(
    [int(chr(byte), 16) if chr(byte) in "0123456789abcdefABCDEF" else NOT_HEX for byte in range(256)], np.uint8
)
_NUMBER_BYTES: Final = np.array([chr(byte) in "0123456789+-.eE" for byte in range(256)], np.bool_)
_ESCAPES: Final = np.array(
    [dict(zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True)).get(byte, 0) for byte in range(256)], np.uint8
)
_REPLACEMENT = 0xFFFD


def _in_every_byte(value: int) -> np.uint64:
    return np.uint64(value * 0x0101010101010101)


_HIGH_BITS: Final = _in_every_byte(0x80)
_LOW_BITS: Final = _in_every_byte(0x7F)
_QUOTES: Final = _in_every_byte(QUOTE)
_BACKSLASHES: Final = _in_every_byte(BACKSLASH)
# Added to a byte below 0x80, it carries into the high bit from the space on.
_TO_SPACE: Final = _in_every_byte(0x80 - _SPACE)
_LOW_HALF: Final = np.uint64(0xFFFFFFFF)
_LOW_QUARTER: Final = np.uint64(0xFFFF)
_LOW_EIGHTH: Final = np.uint64(0xFF)
_NONE: Final = np.uint64(0)


@kernel
def skip_space(data, position):
    while position < data.size and (
        data[position] == _SPACE or data[position] == 0x0A or data[position] == 0x0D or data[position] == 0x09
    ):
        position += 1
    return position


@kernel
def marks_of_special_bytes(word):
    """The high bit of every byte of the word that a string cannot simply copy: quote, backslash, control, not ASCII."""
    low = word & _LOW_BITS
    plain = (((word ^ _QUOTES) & _LOW_BITS) + _LOW_BITS) & (((word ^ _BACKSLASHES) & _LOW_BITS) + _LOW_BITS) & (low + _TO_SPACE)
    return ~(plain & ~word) & _HIGH_BITS


@kernel
def first_marked_byte(marks):
    """Index of the lowest byte that is not zero, of a word that is not zero."""
    index = 0
    if marks & _LOW_HALF == _NONE:
        marks >>= np.uint64(32)
        index += 4
    if marks & _LOW_QUARTER == _NONE:
        marks >>= np.uint64(16)
        index += 2
    if marks & _LOW_EIGHTH == _NONE:
        index += 1
    return index


@unchecked_kernel
def read_string(data, position, out, at):
    """The string whose opening quote stands before `position`, decoded to out[at:].

    Returns (position after its closing quote, end of the decoded text). Broken UTF-8 and lone surrogates become U+FFFD
    (receiver contract JSON-19), so the decoded text is at most three times as long; up to eight bytes behind it are overwritten.
    """
    while True:
        if position + 8 <= data.size and at + 8 <= out.size:
            word = load64(data, position)
            store64(out, at, word)
            marks = marks_of_special_bytes(word)
            if marks == _NONE:
                position += 8
                at += 8
                continue
            plain = first_marked_byte(marks)
            position += plain
            at += plain
        if position >= data.size or at + 8 > out.size:
            raise IndexError("a string does not end")
        byte = data[position]
        if byte == QUOTE:
            return position + 1, at
        if byte == BACKSLASH:
            position, at = read_escape(data, position + 1, out, at)
        elif byte < _SPACE:
            raise ValueError("a string holds a control character that is not escaped")
        elif byte < 0x80:
            out[at] = byte
            position += 1
            at += 1
        else:
            length = sequence_length(data, position, data.size)
            if length < 0:
                at = write_character(out, at, _REPLACEMENT)
                position -= length
            for _ in range(length):
                out[at] = data[position]
                position += 1
                at += 1


@kernel
def read_escape(data, position, out, at):
    """The escape whose backslash stands before `position`, decoded to out[at:]: (position after it, position in out)."""
    if data[position] != 0x75:
        out[at] = _ESCAPES[data[position]]
        if out[at] == 0:
            raise ValueError("a string holds an escape that JSON does not have")
        return position + 1, at + 1
    character = read_code_unit(data, position + 1)
    position += 5
    if 0xD800 <= character <= 0xDBFF and data[position] == BACKSLASH and data[position + 1] == 0x75:
        second = read_code_unit(data, position + 2)
        if 0xDC00 <= second <= 0xDFFF:
            character = 0x10000 + ((character - 0xD800) << 10) + (second - 0xDC00)
            position += 6
    if 0xD800 <= character <= 0xDFFF:
        character = _REPLACEMENT
    return position, write_character(out, at, character)


@kernel
def read_code_unit(data, position):
    """The four hexadecimal digits at `position` as a number."""
    unit = 0
    for index in range(4):
        digit = np.int64(HEX_DIGITS[data[position + index]])
        if digit == NOT_HEX:
            raise ValueError("an escape in a string lacks its four hexadecimal digits")
        unit = unit << 4 | digit
    return unit


@kernel
def write_character(out, at, character):
    """A code point in UTF-8; returns the position after it."""
    if character < 0x80:
        out[at] = character
        return at + 1
    if character < 0x800:
        length = 2
        out[at] = 0xC0 | character >> 6
    elif character < 0x10000:
        length = 3
        out[at] = 0xE0 | character >> 12
    else:
        length = 4
        out[at] = 0xF0 | character >> 18
    for index in range(1, length):
        out[at + index] = 0x80 | (character >> (6 * (length - 1 - index))) & 0x3F
    return at + length


@kernel
def read_literal(data, position, literal):
    for index in range(literal.size):
        if data[position + index] != literal[index]:
            raise ValueError("a value is not JSON")
    return position + literal.size


@kernel
def copy_number(data, position, out, at):
    """The bytes at `position` that a number may consist of, copied to out[at:]: (position after them, end of the copy)."""
    while _NUMBER_BYTES[data[position]]:
        out[at] = data[position]
        position += 1
        at += 1
    return position, at
