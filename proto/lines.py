"""Texts as lines one below the other, so that all are searched at once; and lines in which something is put in place of parts."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto.kernel import kernel
from proto.texts import Texts
from proto.words import copy

_BREAK: Final = 10


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
        return np.diff(self.starts) - 1

    def text(self, row: int) -> bytes:
        """One of the texts."""
        return self.data[self.starts[row] : self.starts[row + 1] - 1].tobytes()

    def replaced(self, spans: NDArray[np.int64], replacements: Texts) -> Lines:
        """The lines with something else in place of parts of them.

        Args:
            spans: where the parts begin and end, shape (parts, 2); rising, and none reaches over the end of a line.
            replacements: what comes in their places.
        """
        grown = np.concatenate([[0], np.cumsum(replacements.lengths - (spans[:, 1] - spans[:, 0]))])
        starts = self.starts + grown[np.searchsorted(spans[:, 0], self.starts)]
        data = np.empty(int(starts[-1]), np.uint8)
        put_between(data, self.data, spans, *replacements)
        data.flags.writeable = False
        return Lines(data, starts)


def as_lines(texts: Texts) -> tuple[Lines, NDArray[np.bool_]]:
    """Texts as lines, and which of them are several lines by themselves, bool, shape (texts,)."""
    lengths = np.ascontiguousarray(texts.lengths, np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths + 1)])
    data, several = np.empty(int(starts[-1]), np.uint8), np.zeros(len(lengths), np.bool_)
    join_lines(data, several, texts.data, np.ascontiguousarray(texts.offsets, np.int64), lengths)
    data.flags.writeable = False
    return Lines(data, starts), several


@kernel
def join_lines(out: Any, several: Any, data: Any, offsets: Any, lengths: Any) -> None:
    """Write each text and a line feed; `several` tells which have one themselves."""
    position = np.int64(0)
    for row in range(offsets.size):
        end = copy(out, position, data, offsets[row], lengths[row])
        for index in range(position, end):
            if out[index] == _BREAK:
                several[row] = True
        out[end] = _BREAK
        position = end + 1


@kernel
def put_between(out: Any, data: Any, spans: Any, replacements: Any, offsets: Any, lengths: Any) -> None:
    """Write the data with other texts in place of the spans."""
    position, done = np.int64(0), np.int64(0)
    for part in range(lengths.size):
        position = copy(out, position, data, done, spans[part, 0] - done)
        position = copy(out, position, replacements, offsets[part], lengths[part])
        done = spans[part, 1]
    copy(out, position, data, done, np.int64(data.size) - done)
