"""When what has failed is tried again."""

from __future__ import annotations

from dataclasses import dataclass

from exporters.base import Outlook


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between attempts, and when to give up.

    Attributes:
        enabled: whether anything is tried twice.
        initial_s: wait after the first failure, in seconds.
        multiplier: each wait is this many times the one before.
        randomization: each wait is longer or shorter by up to this part of itself, so that senders do not return in step.
        max_s: the longest wait before randomization, in seconds.
        max_elapsed_s: give up this many seconds after the first attempt; 0 never does.
        unsure_s: the same for failures that need not pass by themselves (`Outlook.UNSURE`), from the first of them in a row: a
            server that comes back after a long absence may need a moment, or a hand, before it takes anything.
    """

    enabled: bool = True
    initial_s: float = 5.0
    multiplier: float = 1.5
    randomization: float = 0.5
    max_s: float = 30.0
    max_elapsed_s: float = 0.0
    unsure_s: float = 300.0

    def delay_s(self, failures: int, chance: float) -> float:
        """Seconds to wait after so many failures in a row; `chance` in [0, 1) picks within the randomization."""
        delay = self.initial_s
        for _ in range(failures - 1):
            if delay >= self.max_s:
                break
            delay *= self.multiplier
        return min(delay, self.max_s) * (1 + self.randomization * (2 * chance - 1))

    def gives_up(self, outlook: Outlook, elapsed_s: float, unsure_for_s: float) -> bool:
        """Whether a failure is the last.

        Args:
            outlook: of the failure.
            elapsed_s: seconds since the first attempt.
            unsure_for_s: seconds since the first of the failures in a row that were unsure.
        """
        if not self.enabled or outlook in (Outlook.NEVER, Outlook.ELSEWHERE):
            return True
        if self.max_elapsed_s and elapsed_s >= self.max_elapsed_s:
            return True
        return outlook is Outlook.UNSURE and 0 < self.unsure_s <= unsure_for_s
