"""Large traces of extreme shapes: what recursion, rescans and quadratic walks fall over."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from collector.query.spans import Spans
from tests.support.stored import Drawn, draw


def chain(count: int) -> list[Drawn]:
    """Every span below the one before, a nanosecond shorter at either end."""
    return [Drawn(f"{n:x}", 1 + n, 1 + 2 * count - n, f"{n - 1:x}" if n else "") for n in range(count)]


def star(count: int) -> list[Drawn]:
    """So many spans below one root, one after the other."""
    return [Drawn("r", 1, 1 + 2 * count), *(Drawn(f"{n:x}", 1 + 2 * n, 2 + 2 * n, "r") for n in range(count))]


def comb(levels: int) -> list[Drawn]:
    """A chain of so many spans, each with a short child besides."""
    long = [Drawn(f"{n:x}", 1 + n, 1 + 4 * levels - n, f"{n - 1:x}" if n else "") for n in range(levels)]
    return long + [Drawn(f"t{n:x}", 1 + n, 2 + n, f"{n:x}") for n in range(levels)]


_LARGE: Final[dict[str, Callable[[], list[Drawn]]]] = {
    "chain": lambda: chain(100_000),
    "star": lambda: star(100_000),
    "comb": lambda: comb(50_000),
}
LARGE_SHAPES: Final = tuple(_LARGE)
"""Names of those that `large_trace` makes."""


@cache
def large_trace(shape: str) -> Spans:
    """100,000 spans of a shape; made when a first test asks, since whoever collects tests has no use for them."""
    return draw(_LARGE[shape]())
