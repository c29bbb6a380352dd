"""The account of every span: accepted = stored + dropped by a named rule + waiting, for each workspace and at any moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from exporters.base import Delivery


@dataclass(slots=True)
class Account:
    """What one queue has accepted, and what became of it.

    Attributes:
        accepted: workspace → spans that the queue took responsibility for.
        settled: what was stored, and what was dropped by which rule.
    """

    accepted: Counter[str] = field(default_factory=Counter)
    settled: Delivery = field(default_factory=Delivery)

    def waiting(self) -> Counter[str]:
        """Workspace → spans that are accepted and neither stored nor dropped."""
        waiting = self.accepted.copy()
        waiting.subtract(self.settled.stored)
        for workspaces in self.settled.dropped.values():
            waiting.subtract(workspaces)
        return waiting
