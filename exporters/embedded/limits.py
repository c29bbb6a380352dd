"""Bounds on what requests may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What requests may use.

    Attributes:
        max_body_bytes: the largest request body, packed or unpacked; it is held in memory.
        max_queries: statements running at a time; the next one is refused with code 202, and clients try again.
    """

    max_body_bytes: int = 1 << 29
    max_queries: int = 64
