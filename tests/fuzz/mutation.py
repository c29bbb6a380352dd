"""Broken inputs, drawn from a seed: the same seed gives the same inputs on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

_LARGEST: Final = 1 << 16
_TELLING: Final = (
    b"\x00",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff" * 4,
    b"\xff" * 9 + b"\x01",
    b"\x80" * 10,
    b"\x00" * 8,
    b"{",
    b"[",
    b'"',
)
"""Bytes at which readers of numbers, lengths and texts go wrong."""


def mutated(random: Random, samples: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """A sample with one to six changes: bits, bytes, lengths, pieces left out, repeated, or taken from another sample.

    Args:
        random: where all choices come from.
        samples: inputs that are in order.
        tokens: what else of the language may stand anywhere.
    """
    data = bytearray(random.choice(samples))
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        at = random.randrange(len(data) + 1)
        match random.randrange(8):
            case 0 if data:
                data[at % len(data)] ^= 1 << random.randrange(8)
            case 1 if data:
                data[at % len(data)] = random.randrange(256)
            case 2 if data:
                data[at % len(data)] = (data[at % len(data)] + random.choice((-1, 1))) % 256
            case 3:
                del data[at : at + random.choice((1, 2, 8, 100))]
            case 4:
                data[at:at] = random.choice(tokens) if tokens and random.random() < 0.5 else random.choice(_TELLING)
            case 5:
                data[at:at] = data[at : at + random.choice((1, 4, 30))]
            case 6:
                other = random.choice(samples)
                start = random.randrange(len(other) + 1)
                data[at : at + random.randrange(30)] = other[start : start + random.randrange(60)]
            case _:
                del data[at:]
    return bytes(data[:_LARGEST])
