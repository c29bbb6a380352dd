"""Network addresses as text: kernels that write to the beginning of `out` (uint8) and return the length."""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.kernel import kernel
from proto.words import is_zero

LONGEST_ADDRESS: Final = 39
"""Bytes of the longest text of an address."""

_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


@kernel
def write_decimal(out, at, number):
    """A number from 0 to 255."""
    if number >= 100:
        out[at] = 0x30 + number // 100
        at += 1
    if number >= 10:
        out[at] = 0x30 + number // 10 % 10
        at += 1
    out[at] = 0x30 + number % 10
    return at + 1


@kernel
def write_ipv4(out, data, start):
    """Four bytes as text."""
    at = write_decimal(out, 0, np.int64(data[start]))
    for index in range(1, 4):
        out[at] = 0x2E
        at = write_decimal(out, at + 1, np.int64(data[start + index]))
    return at


@kernel
def write_ipv6(out, data, start):
    """Sixteen bytes as text (RFC 5952)."""
    longest = gap = run = 0
    for group in range(8):
        run = run + 1 if is_zero(data, start + 2 * group, 2) else 0
        if run > longest:
            longest = run
            gap = group + 1 - run
    if longest < 2:
        gap = 8
    at = 0
    group = 0
    while group < 8:
        if group == gap:
            out[at] = 0x3A
            out[at + 1] = 0x3A
            at += 2
            group += longest
            continue
        if group and out[at - 1] != 0x3A:
            out[at] = 0x3A
            at += 1
        word = np.int64(data[start + 2 * group]) << 8 | np.int64(data[start + 2 * group + 1])
        shift = 12
        while shift and word >> shift == 0:
            shift -= 4
        while shift >= 0:
            out[at] = _HEX[word >> shift & 0xF]
            at += 1
            shift -= 4
        group += 1
    return at
