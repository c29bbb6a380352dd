"""The account of every span: received = refused + accepted, and accepted = stored + set aside + dropped by a rule + waiting.

It holds for each workspace, at any moment, and over restarts where the queue outlives the process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from exporters.base import DEAD_LETTER, Delivery

OTHERS: Final = ""
"""Stands for workspaces beyond the most that are told apart, and for that of spans of which nothing can be read any more."""

MOST_WORKSPACES: Final = 1000
"""How many are told apart. Their names come from outside, so without a bound there could be any number."""


def folded(spans: Mapping[str, int], known: Counter[str]) -> Mapping[str, int]:
    """Workspace → spans, with every workspace that is not known and would be one too many among the others."""
    if all(name in known for name in spans) or len(known) + len(spans) <= MOST_WORKSPACES:
        return spans
    few: Counter[str] = Counter()
    for name, count in spans.items():
        few[name if name in known else OTHERS] += count
    return few


def folded_delivery(delivery: Delivery, known: Counter[str]) -> Delivery:
    """What became of spans, by the workspaces under which they were accepted."""
    dropped = {reason: Counter(folded(spans, known)) for reason, spans in delivery.dropped.items()}
    return Delivery(Counter(folded(delivery.stored, known)), dropped)


@dataclass(slots=True)
class Account:
    """What one queue has accepted, and what became of it.

    Attributes:
        accepted: workspace → spans that the queue took responsibility for.
        settled: what was stored, and what was dropped by which rule; dead letters are among the latter.
    """

    accepted: Counter[str] = field(default_factory=Counter)
    settled: Delivery = field(default_factory=Delivery)

    def of(self, workspace: str) -> dict[str, Any]:
        """The account of one workspace: `accepted`, `stored`, `deadLetters`, `dropped` by reason, and what is `waiting`."""
        dropped = {reason: spans[workspace] for reason, spans in self.settled.dropped.items() if spans[workspace]}
        accepted, stored = self.accepted[workspace], self.settled.stored[workspace]
        waiting = accepted - stored - sum(dropped.values())
        dead = dropped.pop(DEAD_LETTER, 0)
        return {"accepted": accepted, "stored": stored, "deadLetters": dead, "dropped": dropped, "waiting": waiting}

    def waiting(self) -> int:
        """Spans that are accepted and neither stored nor dropped."""
        dropped = sum(spans.total() for spans in self.settled.dropped.values())
        return self.accepted.total() - self.settled.stored.total() - dropped


@dataclass(slots=True)
class Ledger:
    """The accounts of a daemon.

    Attributes:
        accounts: by the id of the exporter that must store the spans.
        refused: workspace → reason → spans that were not accepted. A request that was refused before it was read is not among
            them: nobody knows how many spans were in it.
        lasting: whether the account goes on where the process before this one ended.
    """

    accounts: dict[str, Account] = field(default_factory=dict)
    refused: dict[str, Counter[str]] = field(default_factory=dict)
    lasting: bool = False

    def refuse(self, workspaces: Mapping[str, int], reason: str) -> None:
        """Spans were not accepted."""
        for name, spans in workspaces.items():
            key = name if name in self.refused or len(self.refused) < MOST_WORKSPACES else OTHERS
            self.refused.setdefault(key, Counter())[reason] += spans

    def rows(self) -> Iterator[tuple[tuple[str, str, str], int]]:
        """Every number, with its exporter, workspace and state."""
        for workspace, reasons in self.refused.items():
            yield ("", workspace, "refused"), reasons.total()
        for exporter, account in self.accounts.items():
            for workspace in account.accepted:
                entry = account.of(workspace)
                for state in ("accepted", "stored", "waiting"):
                    yield (exporter, workspace, state), entry[state]
                yield (exporter, workspace, "dead_letters"), entry["deadLetters"]
                yield (exporter, workspace, "dropped"), sum(entry["dropped"].values())

    def workspaces(self) -> list[str]:
        """Names of the workspaces that are told apart, sorted."""
        return sorted(set(self.refused).union(*(account.accepted for account in self.accounts.values())))
