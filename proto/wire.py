"""The protobuf wire format, as kernels: reading fields, checking and copying bytes.

A reader takes `data` (uint8), a position and the end of the enclosing message, and returns what it read and the position
after it. It raises `ValueError` when the bytes are not well formed; no reader looks past `end`. Values of fields: a varint
is its 64 bits as int64, a length-delimited field is its length (its bytes end at the returned position), and a fixed one is
read by the caller from the returned position backwards.
"""

from __future__ import annotations

import numpy as np

from proto.kernel import inlined_kernel, kernel
from proto.words import stay_apart

VARINT = 0
FIXED64 = 1
LENGTH_DELIMITED = 2
GROUP_START = 3
GROUP_END = 4
FIXED32 = 5

INT64_MIN = -(2**63)
MAX_FIELD_NUMBER = 2**29 - 1
MAX_GROUP_DEPTH = 64
GROUP_MODULUS = 2**31 - 1
GROUP_BASE = 48271
GROUP_BASE_INVERSE = pow(GROUP_BASE, -1, GROUP_MODULUS)


def encode_varint(value: int) -> bytes:
    """An integer as a varint, of its low 64 bits; for the few that are written outside of kernels."""
    value &= 2**64 - 1
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


@kernel
def read_varint(data, position, end):
    """A varint of at most ten bytes: (its 64 bits as int64, position after it)."""
    value = 0
    shift = 0
    while shift < 63:
        if position >= end:
            raise ValueError("a varint runs past the end of its message")
        byte = np.int64(data[position])
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    if position >= end:
        raise ValueError("a varint runs past the end of its message")
    byte = np.int64(data[position])
    if byte >= 0x80:
        raise ValueError("a varint has more than ten bytes")
    if byte & 1:
        value += INT64_MIN
    return value, position + 1


@kernel
def read_unsigned64(data, position):
    """The little-endian uint64 at `position`."""
    value = np.uint64(0)
    for index in range(8):
        value |= np.uint64(data[position + index]) << np.uint64(8 * index)
    return value


@kernel
def read_signed64(data, position):
    """The little-endian int64 at `position` (also the bits of a double)."""
    value = 0
    for index in range(7):
        value |= np.int64(data[position + index]) << (8 * index)
    top = np.int64(data[position + 7])
    if top >= 0x80:
        top -= 0x100
    return value + top * 0x100000000000000


@kernel
def read_unsigned32(data, position):
    """The little-endian uint32 at `position`, as int64."""
    value = 0
    for index in range(4):
        value |= np.int64(data[position + index]) << (8 * index)
    return value


@kernel
def as_signed32(value):
    """An enum's varint cut to 32 bits, as protobuf does."""
    value &= 0xFFFFFFFF
    return value - 0x100000000 if value >= 0x80000000 else value


@kernel
def skip_group(data, position, end, field):
    """The position after the end of the group `field` whose start was just read.

    Numba cannot load a recursive kernel from its cache, and a kernel allocates no stack. So the groups that are open are the
    digits of one number, modulo a prime: a start appends its field, an end takes it away again, and what is left in the end is
    zero if every group was ended by its own number.
    """
    stay_apart()
    open_groups = field
    depth = 1
    while depth:
        key, position = read_varint(data, position, end)
        number = key >> 3
        wire_type = key & 7
        if number < 1 or number > MAX_FIELD_NUMBER:
            raise ValueError("a key has a field number that does not exist")
        if wire_type == GROUP_START:
            if depth == MAX_GROUP_DEPTH:
                raise ValueError("groups are nested too deeply")
            open_groups = (open_groups * GROUP_BASE + number) % GROUP_MODULUS
            depth += 1
        elif wire_type == GROUP_END:
            open_groups = (open_groups - number) * GROUP_BASE_INVERSE % GROUP_MODULUS
            depth -= 1
        elif wire_type == VARINT:
            _, position = read_varint(data, position, end)
        elif wire_type == LENGTH_DELIMITED:
            length, position = read_varint(data, position, end)
            if length < 0 or length > end - position:
                raise ValueError("a length runs past the end of its message")
            position += length
        elif wire_type == FIXED64:
            position += 8
        elif wire_type == FIXED32:
            position += 4
        else:
            raise ValueError("a key has a wire type that does not exist")
    if open_groups:
        raise ValueError("a group ends that was not begun")
    return position


def _read_field(data, position, end):
    """The next field: (field number, wire type, varint or length, position after it). Groups are skipped whole."""
    if position >= end:
        raise ValueError("a field runs past the end of its message")
    key = np.int64(data[position])
    position += 1
    if key >= 0x80:
        key, position = read_varint(data, position - 1, end)
    field = key >> 3
    wire_type = key & 7
    if field < 1 or field > MAX_FIELD_NUMBER:
        raise ValueError("a key has a field number that does not exist")
    value = 0
    if wire_type == VARINT or wire_type == LENGTH_DELIMITED:
        if position >= end:
            raise ValueError("a field runs past the end of its message")
        value = np.int64(data[position])
        position += 1
        if value >= 0x80:
            value, position = read_varint(data, position - 1, end)
        if wire_type == LENGTH_DELIMITED:
            if value < 0 or value > end - position:
                raise ValueError("a length runs past the end of its message")
            position += value
    elif wire_type == FIXED64:
        position += 8
    elif wire_type == FIXED32:
        position += 4
    elif wire_type == GROUP_START:
        position = skip_group(data, position, end, field)
    else:
        raise ValueError("a key has a wire type that does not exist")
    if position > end:
        raise ValueError("a field runs past the end of its message")
    return field, wire_type, value, position


read_field = inlined_kernel(_read_field)
next_field = kernel(_read_field)  # the same behind a call, for what is not read for every span: it compiles much faster
