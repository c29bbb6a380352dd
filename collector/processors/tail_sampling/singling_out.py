"""Finds the few among many for which some work fails, so that it is done for all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_MOST_FAILURES: Final = 64
"""So often a part that fails is halved at most: enough to single a few out of tens of thousands, and an end where all fail."""


def single_out(work: Callable[[slice], None], count: int) -> tuple[list[slice], Exception | None]:
    """Do something for all of `count` things at once, and where that fails for each half, and for the halves of that.

    Args:
        work: does it for a range, or raises and has done nothing; it is called for ranges in growing order.
        count: how many there are.

    Returns:
        The ranges for which it was not done, and what was raised last.
    """
    at_fault: list[slice] = []
    error: Exception | None = None
    failures = 0
    parts = [slice(0, count)]
    while parts:
        part = parts.pop()
        try:
            work(part)
        except Exception as raised:  # noqa: BLE001 - whatever it is, the others must not suffer for it
            error = raised
            failures += 1
            middle = (part.start + part.stop) // 2
            if part.start < middle and failures <= _MOST_FAILURES:
                parts += [slice(middle, part.stop), slice(part.start, middle)]
            else:
                at_fault.append(part)
    return at_fault, error
