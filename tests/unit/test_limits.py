"""What workspaces may send, with a clock that the test turns."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import Refused
from collector.receivers import limits as module
from collector.receivers.limits import Rates, WorkspaceLimits


@dataclass
class Stage:
    """Limits with a clock and a queue that a test sets."""

    rates: Rates = field(default_factory=Rates)
    rates_of: dict[str, Rates] = field(default_factory=dict)
    now_s: float = 1000.0
    fill: float = 0.0
    names: frozenset[str] | None = None
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        def count(workspace: str, reason: str) -> None:
            self.refused[workspace, reason] += 1

        self.limits = WorkspaceLimits(self.rates, self.rates_of, lambda: self.fill, count, lambda: self.now_s, self.names)

    def send(self, workspace: str, size: int = 1, spans: int = 1) -> float | None:
        """Send a request: None when it is let in, else the seconds to wait."""
        try:
            self.limits.check(workspace)
        except Refused as error:
            return error.delay_s if error.kind == "throttled" else math.nan
        self.limits.charge(workspace, size, spans)
        return None


def test_a_burst_comes_at_once_and_then_the_rate_holds() -> None:
    stage = Stage(Rates(bytes_per_s=100, burst_s=10))
    assert [stage.send("a", 100) for _ in range(11)] == [None] * 11
    assert stage.send("a", 100) == 1.0
    stage.now_s += 0.5
    assert stage.send("a", 100) == 0.5
    stage.now_s += 0.5
    assert stage.send("a", 100) is None
    assert stage.refused == {("a", "bytes"): 2}


def test_a_request_larger_than_the_burst_is_taken_and_paid_for() -> None:
    stage = Stage(Rates(spans_per_s=10, burst_s=1))
    assert stage.send("a", spans=1000) is None
    assert stage.send("a") == 99.0
    stage.now_s += 99
    assert stage.send("a") is None


def test_workspaces_do_not_pay_for_each_other_and_single_ones_have_their_own_rates() -> None:
    stage = Stage(Rates(spans_per_s=1, burst_s=1), {"large": Rates(spans_per_s=1000, burst_s=1)})
    assert stage.send("a", spans=100) is None
    assert stage.send("a") is not None
    assert stage.send("b", spans=100) is None
    assert [stage.send("large", spans=100) for _ in range(5)] == [None] * 5


@settings(deadline=None)
@given(
    st.floats(1, 1e6),
    st.floats(0.1, 60),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 100_000)), min_size=1, max_size=60),
)
def test_over_time_no_more_is_let_in_than_rate_and_burst_allow(
    rate: float, burst_s: float, requests: list[tuple[float, int]]
) -> None:
    stage = Stage(Rates(bytes_per_s=rate, burst_s=burst_s))
    start, taken, largest = stage.now_s, 0, 0
    for pause_s, size in requests:
        stage.now_s += pause_s
        if stage.send("a", size) is None:
            taken += size
            largest = max(largest, size)
    assert taken <= (rate * (stage.now_s - start + burst_s) + largest) * (1 + 1e-9)


def test_a_workspace_above_its_share_is_pushed_back_first_when_there_is_little_room() -> None:
    stage = Stage()
    for _ in range(100):
        stage.send("flood", 1000)
    stage.send("quiet", 1000)
    assert stage.send("flood", 1000) is None
    stage.fill = 0.9
    assert stage.send("flood", 1000) == 1.0
    assert stage.send("quiet", 1000) is None
    assert stage.refused == {("flood", "share"): 1}
    stage.fill = 0.1
    assert stage.send("flood", 1000) is None


def test_under_lasting_pressure_workspaces_get_equal_shares() -> None:
    stage = Stage(fill=0.9)
    taken: Counter[str] = Counter()
    for _ in range(3000):
        stage.now_s += 0.01
        for workspace, wanted in (("flood", 20), ("usual", 3), ("usual too", 3)):
            for _ in range(wanted):
                if stage.send(workspace, 100) is None:
                    taken[workspace] += 1
    assert max(taken.values()) < 1.1 * min(taken.values())
    assert taken["usual"] > 0


def test_a_workspace_alone_is_never_above_its_share() -> None:
    stage = Stage(fill=1.0)
    assert [stage.send("a", 1000) for _ in range(100)] == [None] * 100


def test_quiet_workspaces_take_no_share_and_are_forgotten() -> None:
    stage = Stage(Rates(bytes_per_s=1, burst_s=1))
    stage.send("debtor", 1000)
    stage.now_s += 100
    stage.send("a", 1)
    assert stage.send("debtor") is not None  # quiet, but not forgotten
    for name in range(50):
        stage.send(f"w{name}", 1)
    stage.now_s += 2000
    for _ in range(100):
        stage.now_s += 1
        stage.send("b", 1)
    stage.fill = 1.0
    assert len(stage.limits._accounts) == 1
    assert stage.send("b", 1) is None


def test_names_without_end_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WORKSPACES", 10)
    stage = Stage()
    for name in range(1000):
        stage.send(str(name))
    assert len(stage.limits._accounts) == 10


def test_names_that_a_client_makes_up_take_one_share_of_those_that_are_named() -> None:
    stage = Stage(fill=0.9, names=frozenset({"shop", "cart"}))
    taken: Counter[str] = Counter()
    for step in range(3000):
        stage.now_s += 0.01
        senders = [("made up", f"{step}-{number}") for number in range(20)]
        for kind, workspace in [*senders, ("shop", "shop"), ("shop", "shop"), ("cart", "cart"), ("cart", "cart")]:
            if stage.send(workspace, 100) is None:
                taken[kind] += 1
    assert taken["made up"] < 1.1 * taken["shop"]
    assert taken["shop"] < 1.1 * taken["cart"]
    assert taken["cart"] > 0


def test_a_named_workspace_is_not_pushed_back_for_names_that_come_beside_it() -> None:
    stage = Stage(fill=0.9, names=frozenset({"shop"}))
    for number in range(1000):
        stage.send(f"made up {number}", 100)
        assert stage.send("shop", 10) is None


def test_names_beyond_the_first_hundred_share_one_limit() -> None:
    stage = Stage(Rates(spans_per_s=1, burst_s=10), names=frozenset())
    let_in = sum(stage.send(f"made up {number}", spans=10) is None for number in range(10_000))
    assert let_in == module.MOST_UNNAMED + 2  # a burst, and the request that overdraws it
    # Those that were there before have their own.
    assert stage.send("made up 7", spans=1) is None
    assert stage.send("made up 7777", spans=1) is not None
    assert len(stage.limits._accounts) == module.MOST_UNNAMED + 1


def test_a_flood_among_names_of_nobody_is_pushed_back_and_the_others_are_not() -> None:
    stage = Stage(names=frozenset({"default"}))
    for workspace in ("default", "quiet", "other"):
        stage.send(workspace, 1000)
    for _ in range(100):
        stage.send("flood", 1000)
    stage.fill = 0.9
    assert stage.send("flood", 1000) == 1.0
    assert [stage.send(workspace, 1000) for workspace in ("default", "quiet", "other", "new")] == [None] * 4


def test_a_lone_name_of_nobody_keeps_to_the_share_beside_a_named_one() -> None:
    stage = Stage(names=frozenset({"shop"}))
    stage.send("shop", 1000)
    for _ in range(10):
        stage.send("flood", 1000)
    stage.fill = 0.9
    assert stage.send("flood", 1000) == 1.0
    assert stage.send("shop", 1000) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 40), st.integers(0, 6), st.integers(1, 1000)), max_size=80))
def test_what_is_sent_together_is_what_each_has_sent(requests: list[tuple[float, int, int]]) -> None:
    """However accounts come and go."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MOST_UNNAMED", 3)
        stage = Stage(fill=0.9, names=frozenset({"0", "1"}))
        for pause_s, workspace, size in requests:
            stage.now_s += pause_s
            stage.send(str(workspace), size)
        limits = stage.limits
        accounts = limits._accounts.values()
        unnamed = [account for account in accounts if not account.is_named]
        assert limits._unnamed.number == len(unnamed)
        assert limits._all.number == len(accounts) - len(unnamed) + bool(unnamed)
        for sharers, of_them in ((limits._all, accounts), (limits._unnamed, unnamed)):
            expected = sum(account.recent.amount(stage.now_s) for account in of_them)
            assert sharers.recent.amount(stage.now_s) == pytest.approx(expected, abs=1e-6)
