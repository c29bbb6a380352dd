"""The record: how one request lies in a file of the journal. Bytes in, records out; no I/O.

A record is a header, the placement of the spans, and the request as protobuf. The header, little-endian:

    8  checksum     xxh3_64 of all that follows it, seeded with the file's own seed
    4  mark         the low half of the seed: where a record may begin, for finding the next one behind damage
    4  length       bytes of the body
    8  first_span   number of spans that the journal had accepted before this record
    8  received_ns  when the request came, in nanoseconds since 1970
    4  spans        number of spans in the request
    4  placement    bytes of the placement
    2  kind         REQUEST or ACCOUNT

`first_span` is a position in the journal, and a gap between records tells how many spans are missing. Nobody outside knows the
seed, so no request can be made to look like records inside, should the record around it be damaged.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import xxhash

REQUEST: Final = 0
"""The body is an ExportTraceServiceRequest."""
ACCOUNT: Final = 1
"""The body is JSON, the first of its file: owner → spans accepted before it. It holds no spans."""

HEADER: Final = struct.Struct("<QIIQqIIH")
_CHECKSUM: Final = struct.Struct("<Q")
_MARK: Final = struct.Struct("<I")
_MARK_AT: Final = _CHECKSUM.size


class Record(NamedTuple):
    """One record as it was read.

    `offset` and `size` say where it lies in its file, `body` is a view into what was read.
    """

    offset: int
    size: int
    kind: int
    first_span: int
    spans: int
    received_ns: int
    placement: bytes
    body: memoryview

    @property
    def stop_span(self) -> int:
        """Position behind its spans."""
        return self.first_span + self.spans


class Damage(NamedTuple):
    """Bytes of a file, from `offset` to `stop`, that are no records."""

    offset: int
    stop: int


def head(seed: int, kind: int, first_span: int, spans: int, received_ns: int, placement: bytes, body: Any) -> bytes:
    """What goes before a body: the header with its checksum, and the placement.

    Args:
        body: a buffer of bytes.
    """
    packed = HEADER.pack(0, _mark(seed), len(body), first_span, received_ns, spans, len(placement), kind) + placement
    covered = memoryview(packed)[_MARK_AT:]
    return _CHECKSUM.pack(_checksum(seed, covered, body)) + covered


def needed(data: memoryview, at: int, seed: int) -> int:
    """Bytes from `at` on that a record there would take, as far as `data` tells; at least a header's."""
    if len(data) - at < HEADER.size:
        return HEADER.size
    _, mark, length, _, _, _, placement, _ = HEADER.unpack_from(data, at)
    return HEADER.size + (placement + length if mark == _mark(seed) else 0)


def received_ns(header: bytes, seed: int) -> int:
    """When a request came, from its header alone; 0 when that is none. Unlike `read`, this does not check the sum."""
    if len(header) < HEADER.size:
        return 0
    _, mark, _, _, received, _, _, _ = HEADER.unpack_from(header)
    return received if mark == _mark(seed) else 0


def read(data: memoryview, at: int, seed: int, base: int = 0) -> Record | None:
    """The record at `at`; None when there is no whole and sound one.

    Args:
        base: offset in the file of the first byte of `data`.
    """
    if len(data) - at < HEADER.size:
        return None
    checksum, mark, length, first_span, received_ns, spans, placement, kind = HEADER.unpack_from(data, at)
    body_at = at + HEADER.size + placement
    stop = body_at + length
    if mark != _mark(seed) or stop > len(data):
        return None
    body = data[body_at:stop]
    if checksum != _checksum(seed, data[at + _MARK_AT : body_at], body):
        return None
    return Record(base + at, stop - at, kind, first_span, spans, received_ns, data[at + HEADER.size : body_at].tobytes(), body)


def scan(data: memoryview, seed: int, base: int = 0) -> Iterator[Record | Damage]:
    """Every record of `data`, in order, and what lies between them that is none; `data` is read to its end."""
    at = 0
    while at < len(data):
        record = read(data, at, seed, base)
        if record is None:
            stop = _next(data, at + 1, seed)
            yield Damage(base + at, base + stop)
            at = stop
        else:
            yield record
            at += record.size


def _next(data: memoryview, at: int, seed: int) -> int:
    """Where the next sound record begins, else the end."""
    for found in re.finditer(re.escape(_MARK.pack(_mark(seed))), data[at + _MARK_AT :]):
        candidate = at + found.start()
        if read(data, candidate, seed) is not None:
            return candidate
    return len(data)


def _mark(seed: int) -> int:
    return seed & 0xFFFFFFFF


def _checksum(seed: int, covered: Any, body: Any) -> int:
    state = xxhash.xxh3_64(covered, seed)
    state.update(body)
    return state.intdigest()
