"""The answer to one question of `spanhouse doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and what was found.

    Attributes:
        verdict: `ok`; `warn` for what works but not well, or could not be found out; `fail` for what keeps the daemon from work.
        subject: what was looked at.
        text: what was found.
        remedy: what to do; empty when there is nothing to do.
    """

    verdict: Literal["ok", "warn", "fail"]
    subject: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<4}  {self.subject}: {self.text}" + (f"; {self.remedy}" if self.remedy else "")
