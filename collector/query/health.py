"""How a service does, by one rule that says its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from collector.query.dashboard import Compared
from collector.query.durations import show_duration
from collector.query.percentiles import PERCENTILES

State = Literal["healthy", "degraded", "failing", "idle"]
STATES: Final[tuple[State, ...]] = ("failing", "degraded", "idle", "healthy")
"""The worst first."""

FAILING_ERROR_RATE: Final = 0.05
DEGRADED_ERROR_RATE: Final = 0.01
DEGRADED_APDEX: Final = 0.7
"""Below it Apdex is called poor. Source: Apdex Technical Specification 1.1."""
DEGRADED_GROWTH: Final = 1.5
"""A 95th percentile that has grown by more than half."""
ENOUGH_REQUESTS: Final = 20
"""With fewer requests in either range, a percentile says too little to compare it."""

RULE: Final = (
    f"`failing` from an error rate of {FAILING_ERROR_RATE:.0%} on. `degraded` from {DEGRADED_ERROR_RATE:.0%} on, with an Apdex"
    f" below {DEGRADED_APDEX}, or where the 95th percentile is more than {DEGRADED_GROWTH} times that of the range before, with"
    f" at least {ENOUGH_REQUESTS} requests in both. `idle` without requests, where there were some in the range before."
    " Otherwise `healthy`."
)
"""In words, for documents."""


@dataclass(frozen=True, slots=True)
class Health:
    """A state, and why; no reasons when all is well."""

    state: State
    reasons: tuple[str, ...] = ()


def health_of(compared: Compared) -> Health:
    """The state of a service by its requests, as RULE says."""
    now, before = compared.current, compared.previous
    if now is None:
        return Health("idle", ("no requests, where there were some in the range before",))
    reasons = []
    if now.error_rate >= DEGRADED_ERROR_RATE:
        reasons.append(f"{now.error_rate:.2%} of the requests failed")
    if now.apdex < DEGRADED_APDEX:
        reasons.append(f"Apdex is {now.apdex:.2f}, below {DEGRADED_APDEX}")
    place = PERCENTILES.index(95)
    if before is not None and min(now.count, before.count) >= ENOUGH_REQUESTS:
        was, became = before.percentiles[place], now.percentiles[place]
        if became > DEGRADED_GROWTH * was:
            reasons.append(f"the 95th percentile is {show_duration(became)}, where it was {show_duration(was)}")
    if now.error_rate >= FAILING_ERROR_RATE:
        return Health("failing", tuple(reasons))
    return Health("degraded" if reasons else "healthy", tuple(reasons))
