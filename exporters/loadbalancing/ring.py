"""Which of several backends something belongs to, so that few things move when backends come and go: consistent hashing.

Each backend has many points on a circle of 64-bit numbers, and a key belongs to the backend whose point comes next. One more
among N backends takes about 1/N of all keys, from all others alike, and gives them back when it leaves. Every process that knows
the same backends gives the same answer, in whatever order it knows them.

Sources: Karger et al., "Consistent Hashing and Random Trees", STOC 1997; many points for each backend as in DeCandia et al.,
"Dynamo", SOSP 2007, section 4.2. The mixing of keys is that of Steele et al., "Fast Splittable Pseudorandom Number Generators",
OOPSLA 2014.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

POINTS: Final = 256
"""Of each backend: shares of keys then differ by about a sixteenth of themselves (one over the root of the points)."""

_POINTS_IN_DIGEST: Final = 8
_MULTIPLIERS: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class Ring:
    """The circle of some backends.

    Attributes:
        backends: their names, sorted.
    """

    def __init__(self, backends: Iterable[str]) -> None:
        self.backends = tuple(sorted(set(backends)))
        points = np.concatenate([_points(backend) for backend in self.backends])
        order = np.argsort(points, kind="stable")
        self._points = points[order]
        self._owners = np.repeat(np.arange(len(self.backends)), POINTS)[order]

    def owners(self, keys: Keys) -> NDArray[np.int64]:
        """For each key the place of its backend in `backends`."""
        following = np.searchsorted(self._points, keys)
        # Behind the last point comes the first.
        following[following == len(self._points)] = 0
        owners: NDArray[np.int64] = self._owners[following]
        return owners


def keys_of_ids(data: NDArray[np.uint8], offsets: NDArray[np.integer]) -> Keys:
    """The keys of trace ids, of 16 bytes each, at these offsets of `data`; ids need not be random."""
    words = data[offsets.astype(np.int64)[:, None] + np.arange(16)].view("<u8")
    return _mixed(_mixed(words[:, 0]) ^ words[:, 1])


def key_of_text(text: str) -> np.uint64:
    """The key of a name."""
    return np.uint64(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little"))


def _points(backend: str) -> Keys:
    digests = [blake2b(f"{backend}/{number}".encode()).digest() for number in range(POINTS // _POINTS_IN_DIGEST)]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _mixed(words: NDArray[np.uint64]) -> Keys:
    """Words in which every bit depends on every bit of what they were."""
    words = (words ^ words >> np.uint64(30)) * _MULTIPLIERS[0]
    words = (words ^ words >> np.uint64(27)) * _MULTIPLIERS[1]
    return words ^ words >> np.uint64(31)
