"""Texts in shapes: texts whose bytes, each by each, are of the same kinds have the same shape. And texts cut by their shapes."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto.kernel import kernel, unchecked_kernel
from proto.lines import BREAK, Lines
from proto.native_kernels import FULL, ZERO, find_code
from proto.spans import ABSENT
from proto.texts import Index, Texts
from proto.words import copy

_FIRST_SHAPES: Final = 1024


class Shapes(NamedTuple):
    """Shapes of texts.

    Attributes:
        codes: for each text the number of its shape, int32, shape (texts,); ABSENT for one that is several lines by itself.
        lines: the shapes that differ.
    """

    codes: NDArray[np.int32]
    lines: Lines


class Parts(NamedTuple):
    """Parts of shapes.

    Attributes:
        counts: how many each shape has, int64, shape (shapes,).
        firsts: which one is the first of each, of the same shape.
        spans: where each begins and ends in its shape, int64, shape (parts, 2); of each shape they rise and do not overlap.
    """

    counts: NDArray[np.int64]
    firsts: NDArray[np.int64]
    spans: NDArray[np.int64]


def shapes_of(texts: Texts, kinds: NDArray[np.uint8]) -> Shapes:
    """The shapes of texts.

    Args:
        kinds: for each byte the one that stands for it, shape (256,); a line feed stands for itself alone.
    """
    codes = np.empty(len(texts.offsets), np.int32)
    offsets, lengths = (np.ascontiguousarray(each, np.int64) for each in (texts.offsets, texts.lengths))
    # What is not touched costs nothing, and shapes are few.
    out = np.empty(int(lengths.sum()) + len(lengths), np.uint8)
    index = Index(_FIRST_SHAPES)
    while (size := index_shapes(codes, out, texts.data, offsets, lengths, kinds, *index.tables)) == FULL:
        index.grow()
    ends = np.cumsum(index.tables[2][:size] + 1)
    data = out[: int(ends[-1])] if size else out[:0]
    data.flags.writeable = False
    return Shapes(codes, Lines(data, np.concatenate([np.zeros(1, np.int64), ends])))


def put_in_parts(texts: Texts, codes: NDArray[np.int32], parts: Parts, replacements: Texts) -> Lines:
    """Texts as lines, with something else in place of the parts that their shapes have.

    Args:
        codes: the shape of each, shape (texts,).
        replacements: what comes in the places of all parts of all texts, one behind the other; one text stands for all of them.
    """
    offsets, lengths = (np.ascontiguousarray(each, np.int64) for each in (texts.offsets, texts.lengths))
    added = (
        replacements.lengths.sum() if len(replacements.lengths) > 1 else replacements.lengths.sum() * parts.counts[codes].sum()
    )
    out = np.empty(int(lengths.sum()) + len(lengths) + int(added), np.uint8)
    starts = np.empty(len(lengths) + 1, np.int64)
    write_with_parts(out, starts, texts.data, offsets, lengths, codes, *parts, *replacements)
    data = out[: starts[-1]]
    data.flags.writeable = False
    return Lines(data, starts)


@kernel
def index_shapes(
    codes: Any, out: Any, data: Any, offsets: Any, lengths: Any, kinds: Any, slots: Any, first_offsets: Any, first_lengths: Any
) -> Any:
    """Number the shapes of texts, and write those that differ as lines to `out`. Returns how many there are, or FULL."""
    position, size = ZERO, ZERO
    for row in range(offsets.size):
        length = lengths[row]
        codes[row] = ABSENT
        if write_kinds(out, position, data, offsets[row], length, kinds):
            code = find_code(out, position, length, slots, first_offsets, first_lengths, size)
            if code == FULL:
                return FULL
            codes[row] = code
            if code == size:
                out[position + length] = BREAK
                position += length + 1
                size += 1
    return size


@unchecked_kernel
def write_kinds(out: Any, position: Any, data: Any, start: Any, length: Any, kinds: Any) -> bool:
    """Write what stands for each byte of a text. Says whether it is one line."""
    if position < 0 or start < 0 or length < 0 or position + length > out.size or start + length > data.size or kinds.size < 256:
        raise IndexError("range outside the data")
    is_line = True
    for index in range(length):
        byte = data[start + index]
        out[position + index] = kinds[byte]
        is_line &= byte != BREAK
    return is_line


@kernel
def write_with_parts(
    out: Any,
    starts: Any,
    data: Any,
    offsets: Any,
    lengths: Any,
    codes: Any,
    counts: Any,
    firsts: Any,
    spans: Any,
    replacements: Any,
    replacement_offsets: Any,
    replacement_lengths: Any,
) -> None:
    """Write texts as lines with other texts in place of parts: see `put_in_parts`."""
    position, number = ZERO, ZERO
    step = np.int64(replacement_offsets.size > 1)
    for row in range(offsets.size):
        starts[row] = position
        done = ZERO
        first = firsts[codes[row]]
        for part in range(first, first + counts[codes[row]]):
            position = copy(out, position, data, offsets[row] + done, spans[part, 0] - done)
            position = copy(out, position, replacements, replacement_offsets[number], replacement_lengths[number])
            number += step
            done = spans[part, 1]
        position = copy(out, position, data, offsets[row] + done, lengths[row] - done)
        out[position] = BREAK
        position += 1
    starts[offsets.size] = position
