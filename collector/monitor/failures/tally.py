"""How many requests of ours went wrong on purpose."""

from __future__ import annotations

from collections import Counter

from collector.ledger import counted_as, know
from exporters.tally import owner_of, service_of, workspace_of


class InjectedFailures:
    """Counts them by workspace, service and type of failure.

    Names of services come from outside: those beyond the most that the account of spans tells apart count for their workspace,
    without a service.
    """

    def __init__(self) -> None:
        self._known: Counter[str] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, workspace: str, service: str, kind: str, requests: int = 1) -> None:
        """So many requests of a service went wrong by a type of failure."""
        owner = counted_as(owner_of(workspace, service), self._known)
        know((owner,), self._known)
        self._counts[owner, kind] += requests

    def rows(self) -> list[tuple[tuple[str, str, str], float]]:
        """Workspace, service and type → how many."""
        return [((workspace_of(owner), service_of(owner), kind), count) for (owner, kind), count in self._counts.items()]
