"""Values of spans in JSON as protobuf fields: kernels that write one field each, key and all.

A writer takes `out` (uint8) and the position to write at, and returns the position after what it wrote. Text to convert stands in
`out` too, behind that position, decoded from its JSON string. Text of the wrong shape raises `ValueError`; a value of the right
shape that no span can have is refused (`refuse`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.decimals import FRACTIONAL, WHOLE, nearest_double, scan_decimal, whole_value
from proto.json_fields import (
    DOUBLE,
    DURATION,
    ENUM,
    FIELDS,
    FLAGS,
    FORM,
    IGNORED,
    INT,
    NAME,
    SPAN,
    TIME,
    WIRE_KEY,
    ZIPKIN_SPAN,
    find_key,
)
from proto.json_text import HEX_DIGITS, NOT_HEX
from proto.kernel import kernel, unchecked_kernel
from proto.words import load64, store64

# `state` (int64) of a conversion.
POSITION = 0  # in the JSON text
WRITTEN = 1  # position in `out`
DEPTH = 2  # of the innermost open container
PAUSE = 3  # why the kernel returned before its end, or RUNNING
SPAN_DEPTH = 4  # of the span that is open, or 0
SPOILED_ID = 5  # wire key of the id that refuses the open span, or 0
REFUSED_SPANS = 6
OLD_LIBRARY_SPANS = 7  # whether any were seen
REASON = 8  # of the first refusal
NUMBER_START, NUMBER_END = 9, 10  # in `out`: the number that `float` shall decide
STATE_SIZE = 11

RUNNING = 0
FIRST_REFUSAL = 1
UNDECIDED_DOUBLE = 2

REFUSALS: Final = (
    "is not an id in hexadecimal digits",
    "is not a time of 64 bits without a sign",
    "is not a number of 32 bits",
    "is not the name of an enum's value",
    "is not base64",
)
NOT_AN_ID, NOT_A_TIME, NOT_32_BITS, NOT_A_NAME, NOT_BASE64 = range(len(REFUSALS))

PADDED_LENGTH = 5
"""Bytes of a length that is padded to hold any length, in messages that are nested deeply."""

_TRACE_ID_KEY: Final = 0x0A
_DOUBLE_VALUE_KEY: Final = 0x21
_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_SEVEN: Final = np.uint64(7)
_LOW_SEVEN: Final = np.uint64(0x7F)
_LOW_BYTE: Final = np.uint64(0xFF)
_MORE: Final = np.uint64(0x80)
_SIGN: Final = np.uint64(2**63)
_NAN: Final = np.uint64(0x7FF8000000000000)
_INFINITY: Final = np.uint64(0x7FF0000000000000)
_MAX_UNSIGNED_32: Final = np.uint64(2**32 - 1)
_MAX_SIGNED_32: Final = np.uint64(2**31 - 1)
_MAX_SIGNED_64: Final = np.uint64(2**63 - 1)
_MAX_UNSIGNED_64: Final = np.uint64(2**64 - 1)

_NAN_TEXT: Final = np.frombuffer(b"NaN", np.uint8)
_INFINITY_TEXT: Final = np.frombuffer(b"Infinity", np.uint8)
_MINUS_INFINITY_TEXT: Final = np.frombuffer(b"-Infinity", np.uint8)

_NOT_BASE64: Final = 0xFF
_BASE64_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BASE64_DIGITS: Final = np.full(256, _NOT_BASE64, np.uint8)
for _alphabet in (_BASE64_ALPHABET + b"+/", _BASE64_ALPHABET + b"-_"):
    _BASE64_DIGITS[list(_alphabet)] = np.arange(64)


@kernel
def refuse(state, reason, spoiled_id):
    """Refuse the open span: when it ends, an id that the protobuf decoder refuses it for is written to it.

    Outside of a span there is nothing smaller to refuse than the request.
    """
    if state[SPAN_DEPTH] == 0:
        raise ValueError("a value is outside its range, and no span can be refused for it")
    if state[SPOILED_ID] == 0:
        state[SPOILED_ID] = spoiled_id
        if state[REFUSED_SPANS] == 0:
            state[REASON] = reason
            state[PAUSE] = FIRST_REFUSAL
        state[REFUSED_SPANS] += 1


@kernel
def write_varint(out, at, value):
    while value >= _MORE:
        out[at] = (value & _LOW_SEVEN) | _MORE
        value >>= _SEVEN
        at += 1
    out[at] = value
    return at + 1


@kernel
def write_key(out, at, wire_key):
    return write_varint(out, at, np.uint64(wire_key))


@kernel
def write_fixed(out, at, value, size):
    for index in range(size):
        out[at + index] = (value >> np.uint64(8 * index)) & _LOW_BYTE
    return at + size


@unchecked_kernel
def move_up(out, start, end, distance):
    """out[start + distance : end + distance] = out[start:end], from the end on, in words."""
    if start < 0 or distance < 0 or end < start or end + distance > out.size:
        raise IndexError("range outside the output")
    position = end
    while position - 8 >= start:
        position -= 8
        store64(out, position + distance, load64(out, position))
    while position > start:
        position -= 1
        out[position + distance] = out[position]


@kernel
def write_length(out, start, end, reserved):
    """Write the length of out[start:end] to the `reserved` bytes before it; returns the position after the content.

    After one reserved byte, content that is longer than 127 bytes moves up, so that lengths are as short as any encoder's.
    PADDED_LENGTH bytes hold any length without a move; the varint then ends in groups of zeros, which protobuf allows.
    """
    length = np.uint64(end - start)
    if reserved == PADDED_LENGTH:
        for index in range(PADDED_LENGTH - 1):
            out[start - PADDED_LENGTH + index] = ((length >> np.uint64(7 * index)) & _LOW_SEVEN) | _MORE
        out[start - 1] = length >> np.uint64(7 * (PADDED_LENGTH - 1))
        return end
    if length < _MORE:
        out[start - 1] = length
        return end
    distance = 0
    rest = length >> _SEVEN
    while rest != _NONE:
        rest >>= _SEVEN
        distance += 1
    move_up(out, start, end, distance)
    write_varint(out, start - 1, length)
    return end + distance


@kernel
def is_text(out, start, end, text):
    if end - start != text.size:
        return False
    for index in range(text.size):
        if out[start + index] != text[index]:
            return False
    return True


@kernel
def refuse_id(state, kind, wire_key):
    """Refuse the open span for an id: its own, or else the trace id."""
    refuse(state, NOT_AN_ID, wire_key if kind == SPAN or kind == ZIPKIN_SPAN else _TRACE_ID_KEY)


@kernel
def write_id(out, at, start, end, kind, wire_key, size, state):
    """An id of `size` bytes from its hexadecimal digits; none from empty text (receiver contract JSON-04, JSON-05, JSON-06)."""
    if start == end:
        return at
    after = write_key(out, at, wire_key)
    out[after] = size
    after += 1
    valid = end - start == 2 * size
    for index in range(start, end, 2):
        high = HEX_DIGITS[out[index]]
        low = HEX_DIGITS[out[index + 1]]
        if not valid or high == NOT_HEX or low == NOT_HEX:
            valid = False
            break
        out[after] = high << 4 | low
        after += 1
    if not valid:
        refuse_id(state, kind, wire_key)
        return at
    return after


@kernel
def write_short_id(out, at, start, end, kind, wire_key, size, state):
    """An id of up to `size` bytes from its hexadecimal digits, of which those in front may be missing; none from empty text.

    It is written with eight bytes where those are enough.
    """
    if start == end:
        return at
    if end - start > 2 * size:
        refuse_id(state, kind, wire_key)
        return at
    if end - start <= 16:
        size = 8
    after = write_key(out, at, wire_key)
    out[after] = size
    after += 1
    missing = 2 * size - (end - start)
    for index in range(0, 2 * size, 2):
        byte = 0
        for place in range(index, index + 2):
            digit = np.int64(HEX_DIGITS[out[start + place - missing]]) if place >= missing else 0
            if digit == NOT_HEX:
                refuse_id(state, kind, wire_key)
                return at
            byte = byte << 4 | digit
        out[after] = byte
        after += 1
    return after


@kernel
def write_base64(out, at, start, end, wire_key, state):
    """Bytes from base64 of either alphabet, padded or not (receiver contract JSON-14). Decodes in place, from front to back."""
    padding = 0
    while end > start and padding < 2 and out[end - 1] == 0x3D:
        end -= 1
        padding += 1
    content = write_key(out, at, wire_key) + 1
    after = content
    bits = 0
    held = 0
    valid = (end - start) % 4 != 1 and (padding == 0 or (end - start + padding) % 4 == 0)
    for index in range(start, end):
        digit = np.int64(_BASE64_DIGITS[out[index]])
        if digit == _NOT_BASE64:
            valid = False
        bits = (bits << 6 | digit) & 0xFFFF
        held += 6
        if held >= 8:
            held -= 8
            out[after] = (bits >> held) & 0xFF
            after += 1
    if not valid:
        refuse(state, NOT_BASE64, _TRACE_ID_KEY)
        return at
    return write_length(out, content, after, 1)


@kernel
def write_bool(out, at, wire_key, value):
    out[at] = wire_key
    out[at + 1] = value
    return at + 2


@kernel
def write_name(out, at, start, end, names, wire_key, state):
    """The enum's value of a name (receiver contract JSON-13)."""
    key = find_key(out, start, end)
    if FIELDS[names, key, FORM] != NAME:
        refuse(state, NOT_A_NAME, _TRACE_ID_KEY)
        return at
    return write_varint(out, write_key(out, at, wire_key), np.uint64(FIELDS[names, key, WIRE_KEY]))


@kernel
def write_double(out, at, bits):
    return write_fixed(out, write_key(out, at, _DOUBLE_VALUE_KEY), bits, 8)


@kernel
def write_named_double(out, at, start, end):
    """A double from its name, as far as it has one (receiver contract JSON-11); else nothing."""
    bits = _INFINITY
    if is_text(out, start, end, _NAN_TEXT):
        bits = _NAN
    elif is_text(out, start, end, _MINUS_INFINITY_TEXT):
        bits = _INFINITY | _SIGN
    elif not is_text(out, start, end, _INFINITY_TEXT):
        return at
    return write_double(out, at, bits)


@kernel
def write_number(out, at, start, end, form, wire_key, state):
    """A number of any form from its decimal text, exact to the last digit (receiver contract JSON-07, JSON-08, JSON-18).

    A double that the kernel cannot decide its caller decides with `float`, and replaces the last eight bytes written.
    """
    after, negative, digits, exponent, exact = scan_decimal(out, start, end)
    if after != end:
        raise ValueError("a value is not a number")
    if form == IGNORED:
        return at
    if form != DOUBLE:
        found, value = whole_value(digits, exponent, exact)
        if found == FRACTIONAL:
            raise ValueError("a number that must be whole is not")
        below_zero = negative and value != _NONE
        fits = found == WHOLE and (not below_zero or form == INT or form == ENUM)
        # The least signed number has a magnitude one above the largest.
        magnitude = value - _ONE if below_zero else value
        if form == TIME or form == DURATION:
            limit = _MAX_UNSIGNED_64
        elif form == INT:
            limit = _MAX_SIGNED_64
        else:
            limit = _MAX_SIGNED_32 if form == ENUM else _MAX_UNSIGNED_32
        if fits and magnitude <= limit:
            at = write_key(out, at, wire_key)
            if form == TIME or form == FLAGS:
                return write_fixed(out, at, value, 8 if form == TIME else 4)
            return write_varint(out, at, ~magnitude if below_zero else value)
        if form != INT:
            refuse(state, NOT_A_TIME if form == TIME or form == DURATION else NOT_32_BITS, _TRACE_ID_KEY)
            return at
        # JavaScript writes whole doubles as integers, however large they are (receiver contract JSON-09).
    bits, certain = nearest_double(digits, exponent, exact)
    if not certain:
        state[NUMBER_START] = start
        state[NUMBER_END] = end
        state[PAUSE] = UNDECIDED_DOUBLE
    return write_double(out, at, bits | _SIGN if negative else bits)
