"""Texts as lines one below the other, so that all are searched at once."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto.attribute_search import is_same
from proto.kernel import kernel
from proto.texts import Texts
from proto.words import copy

BREAK: Final = 10


class Lines(NamedTuple):
    """Texts, each followed by a line feed.

    Attributes:
        data: uint8, read-only.
        starts: where in it each text begins, int64, shape (texts + 1,); the last is the length of the data.
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Of the texts, in bytes, int64."""
        return self.starts[1:] - self.starts[:-1] - 1

    @property
    def texts(self) -> Texts:
        """The texts without their line feeds."""
        return Texts(self.data, self.starts[:-1], self.lengths)

    def text(self, row: int) -> bytes:
        """One of the texts."""
        return self.data[self.starts[row] : self.starts[row + 1] - 1].tobytes()

    def with_more(self, more: Lines) -> Lines:
        """These lines with others below them."""
        data = np.concatenate([self.data, more.data])
        data.flags.writeable = False
        return Lines(data, np.concatenate([self.starts, more.starts[1:] + len(self.data)]))

    def differ_from(self, texts: Texts) -> NDArray[np.bool_]:
        """Which are not the same as the texts that stand in the same rows, bool, shape (texts,)."""
        differ = np.empty(len(texts.offsets), np.bool_)
        offsets, lengths = (np.ascontiguousarray(each, np.int64) for each in (texts.offsets, texts.lengths))
        compare_lines(differ, self.data, self.starts, texts.data, offsets, lengths)
        return differ


NO_LINES: Final = Lines(np.frombuffer(b"", np.uint8), np.zeros(1, np.int64))


def as_lines(texts: Texts) -> Lines:
    """Texts as lines. A text that has line feeds itself is one line here nevertheless."""
    offsets, lengths = (np.ascontiguousarray(each, np.int64) for each in (texts.offsets, texts.lengths))
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths + 1)])
    data = np.empty(int(starts[-1]), np.uint8)
    join_lines(data, texts.data, offsets, lengths)
    data.flags.writeable = False
    return Lines(data, starts)


@kernel
def join_lines(out: Any, data: Any, offsets: Any, lengths: Any) -> None:
    """Write each text and a line feed."""
    position = np.int64(0)
    for row in range(offsets.size):
        position = copy(out, position, data, offsets[row], lengths[row])
        out[position] = BREAK
        position += 1


@kernel
def compare_lines(differ: Any, lines: Any, starts: Any, data: Any, offsets: Any, lengths: Any) -> None:
    """Tell which lines are not the texts of the same rows."""
    for row in range(offsets.size):
        length = starts[row + 1] - starts[row] - 1
        differ[row] = length != lengths[row] or not is_same(data, offsets[row], lines, starts[row], length)
