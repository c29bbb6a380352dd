"""Spans that have something in common, and when they occurred."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Spans that agree in something.

    Attributes:
        texts: in what; an empty text where they say nothing there.
        spans: how many are stored.
        count: how many those stand for, or `spans` where that was not asked for.
        first, last: starts of the earliest and the latest, nanoseconds.
        trace_id, span_id: of one of them.
    """

    texts: tuple[str, ...]
    spans: int
    count: float
    first: int
    last: int
    trace_id: str
    span_id: str
