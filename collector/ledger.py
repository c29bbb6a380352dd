"""The account of every span: received = refused + accepted, and accepted = stored + set aside + dropped by a rule + waiting.

It holds for each workspace and each service in it, at any moment, and over restarts where the queue outlives the process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from exporters.base import DEAD_LETTER, Delivery
from exporters.tally import by_workspace, workspace_of

OTHERS: Final = ""
"""Stands for workspaces beyond the most that are told apart, and for that of spans of which nothing can be read any more."""

MOST_SERVICES: Final = 1000
"""How many services are told apart, in all workspaces together; further ones count as their workspace's spans without a service.
Names come from outside, so without a bound there could be any number."""

MOST_OWNERS: Final = 2 * MOST_SERVICES
"""How many owners are told apart, workspaces' spans without a service included, which have what is between the two bounds."""


def counted_as(owner: str, known: Mapping[str, Any]) -> str:
    """The owner under which spans are counted where these are known.

    An owner that was let in once is counted as itself for good, and one that was not never is, provided that what this returns is
    known from then on.
    """
    if owner in known or len(known) < MOST_SERVICES:
        return owner
    workspace = workspace_of(owner)
    return workspace if workspace in known or len(known) < MOST_OWNERS else OTHERS


def know(owners: Iterable[str], known: Counter[str]) -> None:
    """Count these owners as themselves from now on, and have room for what their workspaces have besides."""
    for owner in owners:
        known[owner] += 0
        known[workspace_of(owner)] += 0


def folded(spans: Mapping[str, int], known: Counter[str]) -> Mapping[str, int]:
    """Owner → spans, as they are counted; whoever is counted is known from now on."""
    if all(owner in known for owner in spans):
        return spans
    few: Counter[str] = Counter()
    for owner, count in spans.items():
        counted = counted_as(owner, known)
        know((counted,), known)
        few[counted] += count
    return few


def folded_delivery(delivery: Delivery, known: Counter[str]) -> Delivery:
    """What became of spans, by the owners under which they were accepted."""
    dropped = {reason: Counter(folded(spans, known)) for reason, spans in delivery.dropped.items()}
    renamed = {owner: spans for owner, spans in folded(delivery.renamed, known).items() if spans}
    return Delivery(Counter(folded(delivery.stored, known)), dropped, Counter(renamed))


@dataclass(slots=True)
class Account:
    """What one queue has accepted, and what became of it.

    Attributes:
        accepted: owner → spans that the queue took responsibility for.
        settled: what was stored, and what was dropped by which rule; dead letters are among the latter.
    """

    accepted: Counter[str] = field(default_factory=Counter)
    settled: Delivery = field(default_factory=Delivery)

    def owners(self) -> dict[str, list[str]]:
        """Workspace → owners in it of whom there is anything to tell, sorted."""
        settled = (self.settled.stored, self.settled.renamed, *self.settled.dropped.values())
        return by_workspace({owner for spans in (self.accepted, *settled) for owner, count in spans.items() if count})

    def of(self, *owners: str) -> dict[str, Any]:
        """The account of these owners together, as `accepted + renamed = stored + deadLetters + dropped + waiting`.

        `dropped` is by reason. A whole workspace has nothing that is `renamed`.
        """

        def total(spans: Mapping[str, int]) -> int:
            return sum(spans.get(owner, 0) for owner in owners)

        dropped = {reason: count for reason, spans in self.settled.dropped.items() if (count := total(spans))}
        accepted, renamed, stored = total(self.accepted), total(self.settled.renamed), total(self.settled.stored)
        waiting = accepted + renamed - stored - sum(dropped.values())
        dead = dropped.pop(DEAD_LETTER, 0)
        return {
            "accepted": accepted,
            "renamed": renamed,
            "stored": stored,
            "deadLetters": dead,
            "dropped": dropped,
            "waiting": waiting,
        }

    def missing(self) -> Counter[str]:
        """Owner → spans that are accepted and neither stored nor dropped, or that were dropped and never accepted, below zero."""
        missing = self.accepted.copy()
        missing.subtract(self.settled.came())
        return Counter({owner: spans for owner, spans in missing.items() if spans})

    def waiting(self) -> int:
        """Spans that are accepted and neither stored nor dropped."""
        return self.accepted.total() - self.settled.came().total()


@dataclass(slots=True)
class Ledger:
    """The accounts of a daemon.

    Attributes:
        accounts: by the id of the exporter that must store the spans.
        refused: owner → reason → spans that were not accepted. A request that was refused before it was read is not among
            them: nobody knows how many spans were in it.
        lasting: whether the account goes on where the process before this one ended.
    """

    accounts: dict[str, Account] = field(default_factory=dict)
    refused: dict[str, Counter[str]] = field(default_factory=dict)
    lasting: bool = False

    def refuse(self, owners: Mapping[str, int], reason: str) -> None:
        """Spans were not accepted."""
        for owner, spans in owners.items():
            self.refused.setdefault(counted_as(owner, self.refused), Counter())[reason] += spans

    def reasons(self, owners: Iterable[str]) -> Counter[str]:
        """Reason → spans of these owners that were not accepted."""
        reasons: Counter[str] = Counter()
        for owner in owners:
            reasons.update(self.refused.get(owner, {}))
        return reasons

    def rows(self) -> Iterator[tuple[tuple[str, str, str], int]]:
        """Every number of a workspace, with its exporter, workspace and state."""
        for workspace, owners in by_workspace(self.refused).items():
            yield ("", workspace, "refused"), self.reasons(owners).total()
        for exporter, account in self.accounts.items():
            for workspace, owners in account.owners().items():
                entry = account.of(*owners)
                for state in ("accepted", "stored", "waiting"):
                    yield (exporter, workspace, state), entry[state]
                yield (exporter, workspace, "dead_letters"), entry["deadLetters"]
                yield (exporter, workspace, "dropped"), sum(entry["dropped"].values())
