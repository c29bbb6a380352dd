"""Snappy, as a block and in frames. Both say how much will come out before anything does, so nothing is decompressed in vain.

Formats: https://github.com/google/snappy/blob/main/format_description.txt and framing_format.txt.
"""

from __future__ import annotations

from typing import Final

import cramjam

from collector.receivers.answers import too_large

_FRAMES_BEGIN: Final = b"\xff\x06\x00\x00sNaPpY"
_CHUNK_HEAD_BYTES: Final = 4
_CHECKSUM_BYTES: Final = 4
_LONGEST_LENGTH: Final = 5
"""Bytes of a varint of 32 bits."""
_COMPRESSED: Final = 0x00
_UNCOMPRESSED: Final = 0x01
_MAX_CHUNKS: Final = 1 << 16
"""A chunk holds 64 KiB at most, so even the largest request fits in a fraction of these."""


def undo_snappy(body: bytes, limit: int, *, framed: bool) -> bytes:
    """What was compressed, `limit` bytes at most.

    Args:
        framed: whether it must be in frames. Otherwise it may be: some clients call both by the same name (COMP-04).

    Raises:
        Refused: `too_large`.
        cramjam.DecompressionError: it is no Snappy, is cut off, or a checksum is wrong.
        EOFError: there are too many chunks, or the last is cut off.
    """
    in_frames = framed or body.startswith(_FRAMES_BEGIN)
    size = _size_in_frames(body) if in_frames else cramjam.snappy.decompress_raw_len(body)
    if size > limit:
        raise too_large(limit)
    undo = cramjam.snappy.decompress if in_frames else cramjam.snappy.decompress_raw
    return bytes(undo(body))


def _size_in_frames(body: bytes) -> int:
    """How many bytes the chunks of a framed body say that they hold. Raises as `undo_snappy`."""
    if not body:
        raise EOFError("it is empty")
    size = start = 0
    for _ in range(_MAX_CHUNKS):
        if start == len(body):
            return size
        content = start + _CHUNK_HEAD_BYTES
        kind, nbytes = body[start], int.from_bytes(body[start + 1 : content], "little")
        start = content + nbytes
        if start > len(body):
            raise EOFError("it ends too early")
        if kind == _COMPRESSED:
            # The length stands in the first bytes behind the checksum.
            size += cramjam.snappy.decompress_raw_len(body[content + _CHECKSUM_BYTES : start][:_LONGEST_LENGTH])
        elif kind == _UNCOMPRESSED:
            size += max(nbytes - _CHECKSUM_BYTES, 0)
    raise EOFError(f"more than {_MAX_CHUNKS} chunks")
