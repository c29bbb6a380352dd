"""What could not be worked out while rules were applied to a batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Trouble:
    """Rules that could not be worked out.

    Attributes:
        failures: by where a rule stands in the configuration, for how many rows.
        reasons: why, where that is to be told.
    """

    failures: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)

    def note(self, place: str, rows: int, reason: str | None) -> None:
        """Count rows for which the rule at a place could not be worked out; without a reason, that is not told."""
        self.failures[place] += rows
        if reason is not None:
            self.reasons[place] = reason
