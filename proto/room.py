"""Memory that is filled from front to back and used again: mapping it anew for each block would cost a fifth of encoding."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_FIRST_BYTES: Final = 1 << 20
_KEPT_BYTES: Final = 16 << 20


class Room:
    """Bytes with room behind them.

    Attributes:
        bytes: all of it, uint8; replaced by a larger array when room is made, so what was taken from it before stays as it was.
        size: how many bytes at its start are filled.
    """

    __slots__ = ("bytes", "size")

    def __init__(self) -> None:
        self.bytes: NDArray[np.uint8] = np.empty(_FIRST_BYTES, np.uint8)
        self.size = 0

    def reserve(self, size: int) -> NDArray[np.uint8]:
        """`bytes` with room for `size` more. What is not touched costs nothing, so a generous bound will do."""
        if self.size + size > len(self.bytes):
            larger = np.empty(max(self.size + size, 2 * len(self.bytes)), np.uint8)
            larger[: self.size] = self.bytes[: self.size]
            self.bytes = larger
        return self.bytes

    def clear(self) -> None:
        """Start again; after one huge block, with little memory, so that a thread does not stay fat for good."""
        if self.size > _KEPT_BYTES:
            self.bytes = np.empty(_FIRST_BYTES, np.uint8)
        self.size = 0
