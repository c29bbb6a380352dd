"""How the data of a column of ClickHouse's Native format is written, type by type.

LowCardinality states its version before anything else of its column (`version_of`), then come its dictionary and codes; an Array
or Map is its cumulated sizes, then its elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from proto import native_kernels as kernels
from proto.native_rows import Bytes, Columns, Integers, Lists, Rows, Texts

_DICTIONARY_VERSION: Final = np.uint64(1).tobytes()
_HAS_DICTIONARY: Final = 1 << 9 | 1 << 10  # additional keys are in the block, and they are to be read
_CODE_TYPES: Final = (np.uint8, np.uint16, np.uint32)

Pieces = Iterable[Bytes | bytes]
"""Column data in pieces, whose concatenation it is."""


def version_of(kind: str) -> bytes:
    """What stands before all data of a column of this type."""
    return _DICTIONARY_VERSION if "LowCardinality" in kind else b""


def numbers(column: Integers, dtype: type[np.generic]) -> Pieces:
    yield np.ascontiguousarray(column, dtype).view(np.uint8)


def strings(texts: Texts) -> Pieces:
    out = np.empty(int(texts.lengths.sum()) + 5 * len(texts.lengths), np.uint8)
    yield out[: kernels.write_texts(out, 0, *texts)]


def ids(ids: Texts) -> Pieces:
    out = np.empty(2 * int(ids.lengths.sum()) + 5 * len(ids.lengths), np.uint8)
    yield out[: kernels.write_ids(out, 0, *ids)]


def _sizes(counts: Integers) -> Pieces:
    yield np.cumsum(counts, dtype=np.uint64).view(np.uint8)


def arrays(counts: Integers, elements: Pieces) -> Pieces:
    yield from _sizes(counts)
    yield from elements


def dictionary(texts: Texts, codes: Integers) -> Pieces:
    """LowCardinality data behind its version: `texts` are those that differ. Nothing at all when there are no rows."""
    if not len(codes):
        return
    size = len(texts.offsets)
    width = 0 if size <= 1 << 8 else 1 if size <= 1 << 16 else 2
    yield np.array([width | _HAS_DICTIONARY, size], np.uint64).view(np.uint8)
    yield from strings(texts)
    yield np.uint64(len(codes)).tobytes()
    yield codes.astype(_CODE_TYPES[width]).view(np.uint8)


def low_cardinality(texts: Texts, text_of_row: Integers | None = None) -> Pieces:
    """Texts as LowCardinality; `text_of_row`, where given, says which of them each row has."""
    codes, distinct = _indexed(
        len(texts.offsets), lambda *tables: kernels.index_texts(tables[0], *texts, *tables[1:]), texts.data
    )
    yield from dictionary(distinct, codes if text_of_row is None else codes[text_of_row])


def _indexed(texts: int, index: Callable[..., int], data: Bytes) -> tuple[Integers, Texts]:
    """Codes of so many texts, and the texts that differ, by an `index_...` kernel given room for both."""
    codes = np.empty(texts, np.int32)
    offsets = np.empty(texts, np.int64)
    lengths = np.empty(texts, np.int64)
    slots = np.zeros(1 << max(4, (2 * texts).bit_length()), np.int32)
    size = index(codes, slots, offsets, lengths)
    return codes, Texts(data, offsets[:size], lengths[:size])


def known_texts(names: Sequence[str]) -> Texts:
    encoded = [name.encode() for name in names]
    lengths = np.array([len(name) for name in encoded])
    return Texts(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum(lengths) - lengths, lengths)


def maps(rows: Rows, lists: Lists, list_of_row: Integers | None = None) -> Pieces:
    """Attributes as Map(LowCardinality(String), String), behind its version.

    `list_of_row`, where given, says which list each row has: what many rows share is worked out once and then copied.
    """
    total = int(lists.counts.sum())
    codes, keys = _indexed(
        total,
        lambda codes, *tables: kernels.index_keys(codes, rows.data, rows.attributes, *lists, *tables),
        rows.data,
    )
    values = np.empty(rows.most_value_bytes(total), np.uint8)
    if list_of_row is None:
        yield from _sizes(lists.counts)
        yield from dictionary(keys, codes)
        yield values[: kernels.write_values(values, 0, rows.data, rows.attributes, *lists, rows.work)]
        return
    counts = lists.counts[list_of_row]
    yield from _sizes(counts)
    code_starts = np.cumsum(lists.counts) - lists.counts
    codes = _runs(codes.view(np.uint8), 4 * code_starts[list_of_row], 4 * counts.astype(np.int64)).view(np.int32)
    yield from dictionary(keys, codes)
    starts = np.empty(len(lists.starts), np.int64)
    sizes = np.empty(len(lists.starts), np.int64)
    kernels.write_value_runs(starts, sizes, values, rows.data, rows.attributes, *lists, rows.work)
    yield _runs(values, starts[list_of_row], sizes[list_of_row])


def _runs(source: Bytes, starts: Integers, sizes: Integers) -> Bytes:
    out = np.empty(int(sizes.sum()), np.uint8)
    kernels.write_runs(out, 0, source, starts, sizes)
    return out


def shared_maps(rows: Rows, columns: Columns, row: Integers) -> Pieces:
    """Maps of resources or scopes, of those alone that any span has."""
    used, list_of_row = np.unique(row, return_inverse=True)
    starts, counts = columns.lists()
    return maps(rows, Lists(starts[used], counts[used]), list_of_row)
