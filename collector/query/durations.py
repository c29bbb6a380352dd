"""Durations as people read them."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ((86_400e9, "d"), (1e9, "s"), (1e6, "ms"), (1e3, "µs"))


def show_duration(nanoseconds: float) -> str:
    """A few digits, and the unit that fits: `39.73 ms`."""
    size, unit = next((each for each in _UNITS if nanoseconds >= each[0]), (1, "ns"))
    value = nanoseconds / size
    return f"{value:.4g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
