"""How much each workspace may send: rates with a burst, and fair shares when there is little room left.

Pure but for the clock that is passed in. A request is let in as long as its workspace has not overdrawn, and is charged when its
size is known. So it is refused before its body is read, no request is too large for a limit, and over time the rates are kept.

Where nobody vouches for the names of workspaces, a client can make up as many as it likes. So those that the configuration does
not name have one share together, which they divide among themselves, and only so many of them are told apart.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Final

from collector.errors import Refused

MOST_WORKSPACES: Final = 10_000
"""Of more, those that have been quiet the longest are forgotten."""

MOST_UNNAMED: Final = 100
"""So many workspaces that the configuration does not name are told apart, where names can be made up; others count as one."""

PRESSURE: Final = 0.75
"""From this part of a full queue on, workspaces must keep to their fair shares."""

_MEMORY_S: Final = 10.0
"""What a workspace sent counts for its share, less and less over about so many seconds."""
_QUIET_S: Final = 60.0
"""A workspace that has sent nothing for so long takes no share."""
_ROUNDING: Final = 1 + 1e-6
_OTHERS: Final = ""
"""The account of workspaces that are not told apart; no workspace has this name."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Limits of one workspace; `math.inf` for none.

    Attributes:
        bytes_per_s, spans_per_s: what flows in.
        burst_s: how many seconds' worth may come at once.
    """

    bytes_per_s: float = math.inf
    spans_per_s: float = math.inf
    burst_s: float = 10.0


class Bucket:
    """What may still come, which grows with time up to a burst; below zero, what came too early."""

    __slots__ = ("_at_s", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst_s: float, now_s: float) -> None:
        self._rate = rate
        self._burst = rate * burst_s
        self._left = self._burst
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Seconds until something may come; 0 when it may come at once."""
        self._fill(now_s)
        return max(0.0, -self._left) / self._rate

    def is_full(self, now_s: float) -> bool:
        """Whether a new one would be the same."""
        self._fill(now_s)
        return self._left >= self._burst

    def spend(self, amount: float, now_s: float) -> None:
        self._fill(now_s)
        self._left -= amount

    def _fill(self, now_s: float) -> None:
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._rate)
        self._at_s = now_s


class Recent:
    """An amount of which what came longer ago counts for less."""

    __slots__ = ("_amount", "at_s")

    def __init__(self, now_s: float) -> None:
        self._amount = 0.0
        self.at_s = now_s

    def amount(self, now_s: float) -> float:
        return self._amount * math.exp((self.at_s - now_s) / _MEMORY_S)

    def add(self, amount: float, now_s: float) -> None:
        self._amount = self.amount(now_s) + amount
        self.at_s = now_s


class _Sharers:
    """Accounts that divide a share, and what they have sent lately together."""

    __slots__ = ("number", "recent")

    def __init__(self, now_s: float) -> None:
        self.number = 0
        self.recent = Recent(now_s)

    def is_above(self, recent: Recent, now_s: float) -> bool:
        """Whether one of them has sent more than each would have, had all sent the same. Who is alone has not."""
        return self.number > 1 and recent.amount(now_s) * self.number > self.recent.amount(now_s) * _ROUNDING


class _Account:
    """What one workspace has sent lately."""

    __slots__ = ("buckets", "is_named", "recent")

    def __init__(self, rates: Rates, now_s: float, *, is_named: bool) -> None:
        self.is_named = is_named
        limits = {"bytes": rates.bytes_per_s, "spans": rates.spans_per_s}
        self.buckets = {unit: Bucket(rate, rates.burst_s, now_s) for unit, rate in limits.items() if rate < math.inf}
        self.recent = Recent(now_s)

    def is_quiet(self, now_s: float) -> bool:
        """Whether a new account would be the same."""
        return now_s - self.recent.at_s > _QUIET_S and all(bucket.is_full(now_s) for bucket in self.buckets.values())


class WorkspaceLimits:
    """Lets requests of workspaces in, or tells them when to come again.

    Args:
        rates: of every workspace.
        rates_of: of single ones, instead.
        fill: how full the queue is, from 0 to 1.
        names: the workspaces that the configuration names; None where tokens say which names a client may use.
        refused: called with workspace and reason (`bytes`, `spans` or `share`) for each request that is turned away.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        rates: Rates,
        rates_of: Mapping[str, Rates],
        fill: Callable[[], float],
        refused: Callable[[str, str], None],
        monotonic: Callable[[], float],
        names: Container[str] | None = None,
    ) -> None:
        self._rates = rates
        self._rates_of = rates_of
        self._fill = fill
        self._refused = refused
        self._monotonic = monotonic
        self._names = names
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        now_s = monotonic()
        # Of those without a name in the configuration, all together are one of the others' like.
        self._all, self._unnamed = _Sharers(now_s), _Sharers(now_s)

    def check(self, workspace: str) -> None:
        """Let a request in.

        Raises:
            Refused: `throttled`, with the time after which it may come again.
        """
        account = self._accounts.get(self._key(workspace))
        if account is None:
            return  # it has sent nothing lately, and so has neither overdrawn nor had more than its share
        now_s = self._monotonic()
        for unit, bucket in account.buckets.items():
            if (wait_s := bucket.wait_s(now_s)) > 0:
                self._turn_away(workspace, unit, f"has sent more {unit} than it may", wait_s)
        # Who is alone is found first: that is usual, and cheaper than to ask the queue.
        if self._is_above_its_share(account, now_s) and self._fill() >= PRESSURE:
            self._turn_away(workspace, "share", "sends more than its share, and there is little room left", 1.0)

    def charge(self, workspace: str, size: int, spans: int) -> None:
        """A request was let in: so many bytes of protobuf, so many spans."""
        now_s = self._monotonic()
        key = self._key(workspace)
        account = self._accounts.get(key)
        if account is None:
            account = self._open(key, now_s)
        self._accounts.move_to_end(key)
        for recent in (account.recent, *self._totals(account)):
            recent.add(size, now_s)
        for unit, amount in (("bytes", size), ("spans", spans)):
            if unit in account.buckets:
                account.buckets[unit].spend(amount, now_s)
        self._forget_one(now_s)

    def _key(self, workspace: str) -> str:
        """The name of the account that a workspace has, or would have."""
        if workspace in self._accounts or self._is_named(workspace) or self._unnamed.number < MOST_UNNAMED:
            return workspace
        return _OTHERS

    def _is_named(self, workspace: str) -> bool:
        return self._names is None or workspace in self._names

    def _open(self, key: str, now_s: float) -> _Account:
        rates = self._rates_of.get(key, self._rates)
        account = self._accounts[key] = _Account(rates, now_s, is_named=self._is_named(key))
        if not account.is_named:
            self._unnamed.number += 1
        if account.is_named or self._unnamed.number == 1:
            self._all.number += 1
        return account

    def _close(self, key: str, now_s: float) -> None:
        account = self._accounts.pop(key)
        for recent in self._totals(account):
            recent.add(-account.recent.amount(now_s), now_s)
        if not account.is_named:
            self._unnamed.number -= 1
        if account.is_named or not self._unnamed.number:
            self._all.number -= 1

    def _totals(self, account: _Account) -> tuple[Recent, ...]:
        return (self._all.recent,) if account.is_named else (self._all.recent, self._unnamed.recent)

    def _is_above_its_share(self, account: _Account, now_s: float) -> bool:
        if account.is_named:
            return self._all.is_above(account.recent, now_s)
        together = self._all.is_above(self._unnamed.recent, now_s)
        if self._unnamed.number == 1:
            return together
        return (together or self._all.number == 1) and self._unnamed.is_above(account.recent, now_s)

    def _forget_one(self, now_s: float) -> None:
        """Forget the workspace that has been quiet the longest, if that is long enough, or if there are too many."""
        key, account = next(iter(self._accounts.items()))
        if len(self._accounts) > MOST_WORKSPACES or account.is_quiet(now_s):
            self._close(key, now_s)

    def _turn_away(self, workspace: str, reason: str, what: str, wait_s: float) -> None:
        self._refused(workspace, reason)
        raise Refused(f"workspace {workspace} {what}; send again later, in larger and fewer requests", "throttled", wait_s)
