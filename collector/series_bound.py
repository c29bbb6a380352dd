"""How many series are told apart, over everything that is counted: names with ids in them must fill no memory and no table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Final

OVERFLOW: Final = "otel.metric.overflow"
"""Stands in the place of the names of series that are not told apart."""

_EXPIRY_INTERVAL_S: Final = 60.0

Labels = tuple[str, ...]
"""The values of a series' labels, the workspace's name first."""


class SeriesBound:
    """Gives series their places: the first ones to come, and beyond them those of workspaces that have less than their share.

    So no workspace takes all places with names of its own making: when all are given away, each workspace that has fewer than its
    share of `most` gets more, until there are twice as many.

    Args:
        most: series that are told apart, whosever they are.
        expiration_s: a series has its place for so long after it was last asked for; 0 for good.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, most: int, expiration_s: float = 0.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._expiration_s = expiration_s
        self._monotonic = monotonic
        self._seen_s: dict[Labels, float] = {}
        self._of_workspace: Counter[str] = Counter()
        self._next_expiry_s = 0.0
        self._lock = Lock()

    def admit(self, labels: Labels) -> bool:
        """Whether a series is told apart from others. Of use from any thread."""
        return self.admit_all([labels])[0]

    def admit_all(self, series: Iterable[Labels]) -> list[bool]:
        """The same of several series, which get their places in this order."""
        with self._lock:
            now_s = self._monotonic()
            self._expire(now_s)
            return [self._admit(labels, now_s) for labels in series]

    def _admit(self, labels: Labels, now_s: float) -> bool:
        if labels not in self._seen_s:
            if not self._has_place_for(labels[0]):
                return False
            self._of_workspace[labels[0]] += 1
        self._seen_s[labels] = now_s
        return True

    def _has_place_for(self, workspace: str) -> bool:
        given = len(self._seen_s)
        share = self._most // (len(self._of_workspace) + (workspace not in self._of_workspace))
        return given < self._most or (given < 2 * self._most and self._of_workspace[workspace] < share)

    def _expire(self, now_s: float) -> None:
        if self._expiration_s and now_s >= self._next_expiry_s:
            oldest_s = now_s - self._expiration_s
            self._seen_s = {labels: seen_s for labels, seen_s in self._seen_s.items() if seen_s > oldest_s}
            self._of_workspace = Counter(labels[0] for labels in self._seen_s)
            self._next_expiry_s = now_s + min(self._expiration_s, _EXPIRY_INTERVAL_S)
