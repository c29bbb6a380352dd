"""CityHash128 as of version 1.0.2, the checksum of ClickHouse's compressed blocks.

Later versions of CityHash give other values; ClickHouse's wire format keeps the old ones. Compiled by Numba: in plain Python a
megabyte would take a second. That makes importing this module slow, so it is imported when a client first asks for it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_K0 = np.uint64(0xC3A5C85C97CB3127)
_K1 = np.uint64(0xB492B66FBE98F273)
_K2 = np.uint64(0x9AE16A3B2F90404F)
_K3 = np.uint64(0xC949D7C7509E6557)
_MIX = np.uint64(0x9DDFEA08EB382D69)
_BITS = np.uint64(64)
_U47 = np.uint64(47)

_compiled = njit(nogil=True, boundscheck=True, cache=True)


@_compiled
def _load(data: NDArray[np.uint8], at: int, size: int) -> np.uint64:
    """A little-endian number of `size` bytes."""
    value = np.uint64(0)
    for index in range(size):
        value |= np.uint64(data[at + index]) << np.uint64(8 * index)
    return value


@_compiled
def _rotate(value: np.uint64, by: int) -> np.uint64:
    shift = np.uint64(by)
    return (value >> shift) | (value << (_BITS - shift))


@_compiled
def _shift_mix(value: np.uint64) -> np.uint64:
    return value ^ (value >> _U47)


@_compiled
def _pair(low: np.uint64, high: np.uint64) -> np.uint64:
    """128 bits to 64."""
    first = _shift_mix((low ^ high) * _MIX)
    return _shift_mix((high ^ first) * _MIX) * _MIX


@_compiled
def _upto_16(data: NDArray[np.uint8], start: int, size: int) -> np.uint64:
    length = np.uint64(size)
    if size > 8:
        first, last = _load(data, start, 8), _load(data, start + size - 8, 8)
        return _pair(first, _rotate(last + length, size)) ^ last
    if size >= 4:
        return _pair(length + (_load(data, start, 4) << np.uint64(3)), _load(data, start + size - 4, 4))
    if size > 0:
        y = np.uint64(data[start]) + (np.uint64(data[start + (size >> 1)]) << np.uint64(8))
        z = length + (np.uint64(data[start + size - 1]) << np.uint64(2))
        return _shift_mix(y * _K2 ^ z * _K3) * _K2
    return _K2


@_compiled
def _weak_32(words: NDArray[np.uint64], at: int, a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Four words and two seeds to 128 bits."""
    last = words[at + 3]
    a += words[at]
    b = _rotate(b + a + last, 21)
    before = a
    a += words[at + 1] + words[at + 2]
    return a + last, b + _rotate(a, 44) + before


@_compiled
def _short(data: NDArray[np.uint8], start: int, a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Fewer than 128 bytes from `start` to the end, with a seed."""
    size = data.size - start
    if size <= 16:
        a = _shift_mix(a * _K1) * _K1
        c = b * _K1 + _upto_16(data, start, size)
        d = _shift_mix(a + (_load(data, start, 8) if size >= 8 else c))
    else:
        c = _pair(_load(data, data.size - 8, 8) + _K1, a)
        d = _pair(b + np.uint64(size), c + _load(data, data.size - 16, 8))
        a += d
        at, left = start, size - 16
        while left > 0:
            a = (a ^ _shift_mix(_load(data, at, 8) * _K1) * _K1) * _K1
            b ^= a
            c = (c ^ _shift_mix(_load(data, at + 8, 8) * _K1) * _K1) * _K1
            d ^= c
            at += 16
            left -= 16
    a = _pair(a, c)
    b = _pair(d, b)
    return a ^ b, _pair(b, a)


@_compiled
def _long(data: NDArray[np.uint8], start: int, x: np.uint64, y: np.uint64) -> tuple[np.uint64, np.uint64]:
    """128 bytes or more from `start` to the end, with a seed."""
    size = data.size - start
    words = data[start : start + size // 8 * 8].view(np.uint64)
    z = np.uint64(size) * _K1
    v0 = _rotate(y ^ _K1, 49) * _K1 + words[0]
    v1 = _rotate(v0, 42) * _K1 + words[1]
    w0 = _rotate(y + z, 35) * _K1 + x
    w1 = _rotate(x + words[11], 53) * _K1
    at = 0
    for _ in range(size // 128 * 2):
        x = _rotate(x + y + v0 + words[at + 2], 37) * _K1 ^ w1
        y = _rotate(y + v1 + words[at + 6], 42) * _K1 ^ v0
        z = _rotate(z ^ w0, 33)
        v0, v1 = _weak_32(words, at, v1 * _K1, x + w0)
        w0, w1 = _weak_32(words, at + 4, z + w1, y)
        z, x = x, z
        at += 8
    y += _rotate(w0, 37) * _K0 + z
    x += _rotate(v0 + z, 49) * _K0
    # What is left is read in pieces of 32 bytes from the end; the last may reach into what has been read before.
    for end in range(data.size, start + at * 8, -32):
        piece = data[end - 32 : end].view(np.uint64)
        y = _rotate(y - x, 42) * _K0 + v1
        w0 += piece[2]
        x = _rotate(x, 49) * _K0 + w0
        w0 += v0
        v0, v1 = _weak_32(piece, 0, v0, v1)
    x, y = _pair(x, v0), _pair(y, w0)
    return _pair(x + v1, w1) + y, _pair(x + w1, y + v1)


@_compiled
def city_hash_128(data: NDArray[np.uint8]) -> tuple[np.uint64, np.uint64]:
    """The hash of `data` (uint8, one dimension, read-only) as its low and high 64 bits."""
    size = data.size
    if size >= 16:
        low, high, start = _load(data, 0, 8) ^ _K3, _load(data, 8, 8), 16
    elif size >= 8:
        low, high, start = _load(data, 0, 8) ^ (np.uint64(size) * _K0), _load(data, size - 8, 8) ^ _K1, size
    else:
        low, high, start = _K0, _K1, 0
    if size - start < 128:
        return _short(data, start, low, high)
    return _long(data, start, low, high)
