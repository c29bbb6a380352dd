"""How an alert goes from nothing to active and back: a pure function from one state and one measurement to the next.

    inactive → pending → active → acknowledged → resolved → pending → …

Pending is an alert whose condition has been met, but not for long enough; active one that people are to hear of. It is
acknowledged by a person, and resolved by a person or because all measurements have been beyond the recovery threshold for long
enough. Between that threshold and the one that fires nothing changes (hysteresis), except that a pending alert ends.

An alert that became active and resolved too often within a while is flapping: it then stays active until it has been quiet for
that while, so that people hear of it once. All times are nanoseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from collector.monitor.alerts.events import What

Status = Literal["inactive", "pending", "active", "acknowledged", "resolved"]
Seen = Literal["breach", "between", "clear", "nothing"]
"""What a measurement says: the condition is met; it is not, but neither has it recovered; it has; or there were no spans."""
NoData = Literal["keep", "clear", "breach"]
"""What a measurement without spans means: nothing, that the condition is not met, or that it is."""

ACTIVE: Final[frozenset[Status]] = frozenset({"active", "acknowledged"})
OPEN: Final[frozenset[Status]] = frozenset({"pending", "active", "acknowledged"})


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient a rule is; times in nanoseconds.

    Attributes:
        pending_for: the condition must be met so long before the alert is active.
        recover_for: it must be clear so long before the alert is resolved.
        repeat: people hear again of an active alert after so long; 0 for never.
        no_data: what a measurement without spans means.
        flapping_changes: so many changes to and from active within `flapping_within` make an alert flapping; 0 for never.
    """

    pending_for: int = 0
    recover_for: int = 0
    repeat: int = 0
    no_data: NoData = "keep"
    flapping_changes: int = 0
    flapping_within: int = 0


@dataclass(frozen=True, slots=True)
class AlertState:
    """Where an alert stands.

    Attributes:
        status: and since when it is that.
        started_at: when the condition of this episode was first met; 0 before there was any.
        clear_since: since when the condition of an active alert is clear; 0 where it is not.
        told_at: when people last heard that it is active; 0 where they have not, as in a silence, or heard of its end.
        changes: times at which it became active or resolved, as far as they matter for flapping.
        flapping: whether it is held active for longer.
    """

    status: Status = "inactive"
    since: int = 0
    started_at: int = 0
    clear_since: int = 0
    told_at: int = 0
    changes: tuple[int, ...] = ()
    flapping: bool = False


def state_of(document: Mapping[str, Any]) -> AlertState:
    """A state as it was written down by `orjson.dumps(state)`."""
    return AlertState(**{**document, "changes": tuple(document["changes"])})


@dataclass(frozen=True, slots=True)
class Step:
    """What comes of a measurement, or of a person's doing.

    Attributes:
        state: the next one.
        told: what people are to hear; None for nothing.
    """

    state: AlertState
    told: What | None = None


def step(state: AlertState, policy: Policy, seen: Seen, now: int, *, muted: bool = False) -> Step:
    """What a measurement makes of an alert.

    Args:
        now: the end of what was measured; earlier than in the step before only where the clock was set back.
        muted: whether people must not hear of it now. They hear of an alert that is still active when that ends; and always of
            the end of one that they have heard of, so that nobody goes on working on it.
    """
    state = _not_ahead(state, now)
    if seen == "nothing":
        if policy.no_data == "keep":
            return _telling(state, policy, now, muted=muted)
        seen = policy.no_data
    if state.status in ACTIVE:
        state = _while_active(state, policy, seen, now)
    elif seen == "breach":
        started_at = state.started_at if state.status == "pending" else now
        if now - started_at >= policy.pending_for:
            state = _activated(state, policy, started_at, now)
        elif state.status != "pending":
            state = replace(state, status="pending", since=now, started_at=now)
    elif state.status == "pending":
        state = replace(state, status="inactive", since=now)
    return _telling(state, policy, now, muted=muted)


def acknowledge(state: AlertState, now: int) -> Step | None:
    """Somebody looks after an alert; None where it is not active, or somebody does already."""
    if state.status != "active":
        return None
    return Step(replace(state, status="acknowledged", since=now), "acknowledged" if state.told_at else None)


def resolve(state: AlertState, now: int) -> Step | None:
    """A person says that it is over, or its rule is no more; None where there is nothing to end.

    If the condition is still met, the alert will be pending at the next measurement, and active again.
    """
    if state.status == "pending":
        return Step(replace(state, status="inactive", since=now))
    if state.status not in ACTIVE:
        return None
    return _ended(_resolved(state, now))


def _not_ahead(state: AlertState, now: int) -> AlertState:
    """A state that waits for nothing from times that are yet to come; what the alert's incident is known by stays."""
    if state.status == "pending" and state.started_at > now:
        state = replace(state, since=now, started_at=now)
    if max(state.clear_since, state.told_at, *state.changes) <= now:
        return state
    changes = tuple(min(at, now) for at in state.changes)
    return replace(state, clear_since=min(state.clear_since, now), told_at=min(state.told_at, now), changes=changes)


def _while_active(state: AlertState, policy: Policy, seen: Seen, now: int) -> AlertState:
    if seen != "clear":
        return replace(state, clear_since=0) if state.clear_since else state
    clear_since = state.clear_since or now
    wait = max(policy.recover_for, policy.flapping_within) if state.flapping else policy.recover_for
    if now - clear_since >= wait:
        return _resolved(state, now)
    return replace(state, clear_since=clear_since)


def _activated(state: AlertState, policy: Policy, started_at: int, now: int) -> AlertState:
    changes: tuple[int, ...] = ()
    if policy.flapping_changes:
        recent = (*(at for at in state.changes if at > now - policy.flapping_within), now)
        changes = recent[-policy.flapping_changes :]
    flapping = bool(policy.flapping_changes) and len(changes) >= policy.flapping_changes
    return AlertState("active", now, started_at, changes=changes, flapping=flapping)


def _resolved(state: AlertState, now: int) -> AlertState:
    # A policy without flapping forgets all changes when it next becomes active.
    return replace(state, status="resolved", since=now, clear_since=0, changes=(*state.changes, now), flapping=False)


def _telling(state: AlertState, policy: Policy, now: int, *, muted: bool) -> Step:
    if state.status == "resolved":
        return _ended(state)
    if state.status != "active" or muted:
        return Step(state)
    if not state.told_at:
        return Step(replace(state, told_at=now), "fired")
    if policy.repeat and now - state.told_at >= policy.repeat:
        return Step(replace(state, told_at=now), "repeated")
    return Step(state)


def _ended(state: AlertState) -> Step:
    return Step(replace(state, told_at=0), "resolved") if state.told_at else Step(state)
