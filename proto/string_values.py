"""The strings among the values of attributes: which of them differ, and other strings in their place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proto.edit import Data
from proto.kernel import kernel
from proto.lines import Lines
from proto.native_kernels import AHEAD, FULL, ZERO, find_code
from proto.spans import ABSENT, ATTRIBUTE, STRING, SpanBatch, records
from proto.texts import Index, Texts
from proto.words import expect

_DIFFERING: Final = 8
"""One in so many values may differ from all before it, before a table of those that do is made anew."""


def distinct_strings_at(batch: SpanBatch, places: NDArray[np.int64], least: int) -> tuple[NDArray[np.int32], Texts]:
    """For each of these attributes the place of its value among those that differ, and those, in the order in which they come.

    Args:
        places: in the batch's attributes.
        least: values with fewer bytes are left out, and ABSENT stands for them. What is no string has none.
    """
    codes = np.empty(len(places), np.int32)
    index = Index(1 << max(len(places) // _DIFFERING, 256).bit_length())
    while (size := index_strings(codes, batch.data, records(batch.attributes), places, least, *index.tables)) == FULL:
        index.grow()
    return codes, index.distinct(batch.data, size)


def with_strings_at(batch: SpanBatch, places: NDArray[np.int64], codes: NDArray[np.int32], lines: Lines) -> SpanBatch:
    """The batch in which these attributes have strings: each that line which its code says, none where that is ABSENT.

    Raises:
        ValueError: with the lines the data has 2 GiB or more.
    """
    data = Data(batch.data)
    start = data.append(lines.data)
    attributes = batch.attributes.view(np.uint8).copy().view(ATTRIBUTE)
    put_strings(records(attributes), places, codes, start, lines.starts)
    # It is no longer what a request said.
    return replace(batch, data=data.view, attributes=attributes, origin=None)


@kernel
def index_strings(
    codes: Any, data: Any, attributes: Any, places: Any, least: Any, slots: Any, first_offsets: Any, first_lengths: Any
) -> Any:
    """A code for every value of `least` bytes or more, and where the first of each code is. Returns how many differ, or FULL."""
    size = ZERO
    for row in range(places.size):
        if row + AHEAD < places.size:
            expect(data, int(attributes[places[row + AHEAD]].value_offset))
        codes[row] = ABSENT
        attribute = attributes[places[row]]
        length = np.int64(attribute.value_length) if attribute.type == STRING else ZERO
        if length >= least:
            code = find_code(data, np.int64(attribute.value_offset), length, slots, first_offsets, first_lengths, size)
            if code == FULL:
                return FULL
            codes[row] = code
            size = max(size, code + 1)
    return size


@kernel
def put_strings(attributes: Any, places: Any, codes: Any, start: Any, starts: Any) -> None:
    """Let attributes be the lines that their codes say; lines begin in the data at `start`, and in their own at `starts`."""
    for row in range(places.size):
        line = codes[row]
        if line != ABSENT:
            place = places[row]
            attributes[place].type = STRING
            attributes[place].number = 0
            attributes[place].value_offset = start + starts[line]
            attributes[place].value_length = starts[line + 1] - starts[line] - 1
