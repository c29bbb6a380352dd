"""What is sent to the other side of a channel, and what becomes of an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_CHARACTERS = 500
"""So much is kept of what the other side says."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A POST.

    Attributes:
        url: with what may be a secret in its path.
        body: JSON, as UTF-8.
        headers: besides Content-Type.
    """

    url: str = field(repr=False)
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one attempt to tell the other side.

    Attributes:
        reason: why it failed, from a small fixed set; empty when it was delivered.
        answer: what the other side said, or what went wrong, for people.
        status: of HTTP, or the code of SMTP; 0 where there was no answer.
        again: whether another attempt may do better.
        delay_s: how long the other side wants to be left alone.
    """

    reason: str
    answer: str
    status: int = 0
    again: bool = False
    delay_s: float = 0.0

    @property
    def delivered(self) -> bool:
        """Whether the other side has taken it."""
        return not self.reason
