"""States of alerts, against a model that looks at everything that ever happened instead of at one state."""

from __future__ import annotations

from dataclasses import replace

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from collector.monitor.alerts.states import ACTIVE, AlertState, Policy, Step, acknowledge, resolve, state_of, step

MINUTE = 60 * 10**9
BREACH: dict[str, str] = {"keep": "", "clear": "clear", "breach": "breach"}
lengths = st.integers(0, 5).map(lambda minutes: minutes * MINUTE)


def test_an_alert_waits_for_no_time_that_is_yet_to_come_when_the_clock_is_set_back() -> None:
    policy = Policy(pending_for=2 * MINUTE, recover_for=2 * MINUTE, repeat=5 * MINUTE)
    state = step(AlertState(), policy, "breach", 1000 * MINUTE).state
    told = []
    for minute in range(10, 20):
        after = step(state, policy, "breach" if minute < 15 else "clear", minute * MINUTE)
        told.append((minute, after.told))
        state = after.state
        if minute == 12:
            # Set back once more, from afar, while it is active.
            state = replace(state, told_at=1000 * MINUTE, clear_since=1000 * MINUTE)
    assert [each for each in told if each[1]] == [(12, "fired"), (17, "resolved")]


class Alert(RuleBasedStateMachine):
    """Measures, acknowledges, resolves, silences, and turns the clock."""

    @initialize(
        pending_for=lengths,
        recover_for=lengths,
        repeat=lengths,
        no_data=st.sampled_from(["keep", "clear", "breach"]),
        changes=st.sampled_from([0, 3, 4]),
        within=st.integers(5, 12).map(lambda minutes: minutes * MINUTE),
    )
    def begin(self, pending_for: int, recover_for: int, repeat: int, no_data: str, changes: int, within: int) -> None:
        self.policy = Policy(pending_for, recover_for, repeat, no_data, changes, within)  # type: ignore[arg-type]  # one of three
        self.now = 1000 * MINUTE
        self.muted = False
        self.state = AlertState()
        self.told: list[tuple[int, str]] = []
        # The model: all that was seen since the last change of the status, and all changes.
        self.seen: list[tuple[int, str]] = []
        self.changes: list[tuple[int, str]] = []
        self.open_since = 0
        self.acknowledged = False
        self.flapping = False

    def happened(self, outcome: Step) -> None:
        # What is written down is all that the next step needs.
        self.state = state_of(orjson.loads(orjson.dumps(outcome.state)))
        assert self.state == outcome.state
        if outcome.told:
            self.told.append((self.now, outcome.told))

    def change(self, to: str) -> None:
        self.changes.append((self.now, to))
        self.seen.clear()
        self.acknowledged = False

    def held(self, kinds: set[str]) -> int | None:
        """For how long only these kinds have been seen, up to now."""
        first = None
        for at, kind in reversed(self.seen):
            if kind not in kinds:
                break
            first = at
        return None if first is None else self.now - first

    @property
    def is_active(self) -> bool:
        return bool(self.changes) and self.changes[-1][1] == "active"

    @rule(minutes=st.integers(1, 4), seen=st.sampled_from(["breach", "breach", "clear", "clear", "between", "nothing"]))
    def measure(self, minutes: int, seen: str) -> None:
        self.now += minutes * MINUTE
        before = len(self.told)
        was_told = self.tells_of_an_active_one()
        self.happened(step(self.state, self.policy, seen, self.now, muted=self.muted))  # type: ignore[arg-type]  # one of four
        meant = {"nothing": BREACH[self.policy.no_data]}.get(seen, seen)
        if meant:
            self.seen.append((self.now, meant))
        if not self.is_active:
            held = self.held({"breach"})
            if meant and held is not None and held >= self.policy.pending_for:
                within = self.now - self.policy.flapping_within
                self.change("active")
                count = sum(at > within for at, _ in self.changes)
                self.flapping = 0 < self.policy.flapping_changes <= count
        else:
            held = self.held({"clear"})
            wait = max(self.policy.recover_for, self.policy.flapping_within) if self.flapping else self.policy.recover_for
            if meant and held is not None and held >= wait:
                self.change("resolved")
        told = [what for _, what in self.told[before:]]
        assert told == self.expected_words(was_told=was_told, before=self.told[:before])

    def expected_words(self, *, was_told: bool, before: list[tuple[int, str]]) -> list[str]:
        if not self.is_active:
            return ["resolved"] if was_told else []
        if self.muted or self.acknowledged:
            return []
        if not was_told:
            return ["fired"]
        last = max(at for at, what in before if what in {"fired", "repeated"})
        return ["repeated"] if self.policy.repeat and self.now - last >= self.policy.repeat else []

    def tells_of_an_active_one(self) -> bool:
        words = [what for _, what in self.told if what in {"fired", "resolved"}]
        return bool(words) and words[-1] == "fired"

    @rule()
    def somebody_looks_after_it(self) -> None:
        was_told = self.tells_of_an_active_one()
        outcome = acknowledge(self.state, self.now)
        assert (outcome is not None) == (self.is_active and not self.acknowledged)
        if outcome is not None:
            assert outcome.told == ("acknowledged" if was_told else None)
            self.acknowledged = True
            self.happened(outcome)

    @rule()
    def somebody_says_it_is_over(self) -> None:
        was_told = self.tells_of_an_active_one()
        was_pending = self.state.status == "pending"
        outcome = resolve(self.state, self.now)
        assert (outcome is not None) == (self.is_active or was_pending)
        if outcome is None:
            return
        self.happened(outcome)
        if self.is_active:
            assert outcome.told == ("resolved" if was_told else None)
            self.change("resolved")
        else:
            assert outcome.told is None
            self.seen.clear()

    @rule(muted=st.booleans())
    def silence(self, muted: bool) -> None:
        self.muted = muted

    @invariant()
    def the_status_is_what_happened(self) -> None:
        if not hasattr(self, "state"):
            return
        if self.is_active:
            assert self.state.status == ("acknowledged" if self.acknowledged else "active")
            assert self.state.flapping == self.flapping
            return
        assert self.state.status not in ACTIVE
        assert (self.state.status == "pending") == (self.held({"breach"}) is not None)

    @invariant()
    @precondition(lambda self: hasattr(self, "state"))
    def words_make_sense_to_those_who_hear_them(self) -> None:
        is_on = False
        for _, what in self.told:
            assert (what == "fired") == (not is_on)
            is_on = what != "resolved"


TestAlert = Alert.TestCase
TestAlert.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
