"""ClickHouse's own compression of bodies and answers, the parameters `decompress=1` and `compress=1`.

A body is a row of blocks: 16 bytes checksum of what follows, a method byte, the block's size from that byte on, its unpacked size
(both little-endian, 32 bits), the packed bytes.
"""

from __future__ import annotations

import struct
from functools import cache
from importlib import import_module
from typing import Any

import lz4.block
import numpy as np
import zstandard

from exporters.embedded.errors import error

_LZ4 = 0x82
_BLOCK_BYTES = 1 << 20
_CHECKSUM = struct.Struct("<QQ")
_HEADER = struct.Struct("<BII")


def pack_blocks(data: bytes) -> bytes:
    """Pack an answer with LZ4, in blocks of at most 1 MiB."""
    packed = []
    for start in range(0, len(data), _BLOCK_BYTES):
        plain = data[start : start + _BLOCK_BYTES]
        payload = lz4.block.compress(plain, store_size=False)
        block = _HEADER.pack(_LZ4, _HEADER.size + len(payload), len(plain)) + payload
        packed += [_CHECKSUM.pack(*_checksum(block)), block]
    return b"".join(packed)


def unpack_blocks(data: bytes, max_bytes: int) -> bytes:
    """Unpack a body of blocks.

    Raises:
        DatabaseError: a cut body (33), a wrong checksum or broken data (271), an unknown method (432), or more than `max_bytes`
            (229).
    """
    plain, position, total = [], 0, 0
    while position < len(data):
        start = position + _CHECKSUM.size
        if start + _HEADER.size > len(data):
            raise error(33, "CANNOT_READ_ALL_DATA", "Cannot read all data: the body ends inside the header of a compressed block")
        method, size, plain_size = _HEADER.unpack_from(data, start)
        position = start + size
        if size < _HEADER.size or position > len(data):
            raise error(
                33, "CANNOT_READ_ALL_DATA", f"Cannot read all data: the body ends inside a compressed block of {size} bytes"
            )
        total += plain_size
        if total > max_bytes:
            raise error(229, "QUERY_IS_TOO_LARGE", f"The unpacked body is larger than the maximum of {max_bytes} bytes")
        block = data[start:position]
        if _CHECKSUM.unpack_from(data, start - _CHECKSUM.size) != _checksum(block):
            raise error(271, "CANNOT_DECOMPRESS", "Checksum doesn't match: corrupted data")
        plain.append(_unpack(method, block[_HEADER.size :], plain_size))
    return b"".join(plain)


def _unpack(method: int, payload: bytes, plain_size: int) -> bytes:
    try:
        match method:
            case 0x82:  # LZ4
                plain = bytes(lz4.block.decompress(payload, uncompressed_size=plain_size))
            case 0x90:  # ZSTD
                # The library makes room for what the frame says that it holds, whatever bound it is given.
                said = zstandard.frame_content_size(payload)
                if said not in (-1, plain_size):
                    raise error(271, "CANNOT_DECOMPRESS", f"Cannot decompress: {said} bytes instead of {plain_size}")
                plain = zstandard.ZstdDecompressor().decompress(payload, max_output_size=plain_size)
            case 0x02:  # not packed
                plain = payload
            case _:
                raise error(432, "UNKNOWN_CODEC", f"Unknown codec family code: {method}")
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as broken:
        raise error(271, "CANNOT_DECOMPRESS", f"Cannot decompress: {broken}") from None
    if len(plain) != plain_size:
        raise error(271, "CANNOT_DECOMPRESS", f"Cannot decompress: {len(plain)} bytes instead of {plain_size}")
    return plain


def _checksum(block: bytes) -> tuple[int, int]:
    low, high = _hash()(np.frombuffer(block, np.uint8))
    return int(low), int(high)


@cache
def _hash() -> Any:
    # Numba takes its time, which only those who ask for this compression should have to wait for.
    return import_module("exporters.embedded.city_hash").city_hash_128
