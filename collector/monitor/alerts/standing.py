"""How all alerts stand, as the log has it up to an entry."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping

from collector.monitor.alerts.log import Happening
from collector.monitor.alerts.states import ACTIVE, OPEN, AlertState

_NONE: Mapping[uuid.UUID, Happening] = {}


class Alerts:
    """The last that happened to each alert.

    Attributes:
        head: the last entry that is in it.
    """

    def __init__(self, head: int = 0, happenings: Iterable[Happening] = ()) -> None:
        self.head = head
        self._by_rule: dict[uuid.UUID, dict[uuid.UUID, Happening]] = {}
        for happening in happenings:
            self._put(happening)

    def apply(self, happenings: Iterable[Happening]) -> None:
        """Take in what happened later, in order."""
        for happening in happenings:
            self._put(happening)
            self.head = max(self.head, happening.entry)

    def state(self, rule_id: uuid.UUID, alert_id: uuid.UUID) -> AlertState:
        """Where an alert stands."""
        found = self._by_rule.get(rule_id, _NONE).get(alert_id)
        return AlertState() if found is None else found.state

    def open(self, rule_id: uuid.UUID) -> list[Happening]:
        """The alerts of a rule that are pending, active or acknowledged."""
        return [each for each in self._by_rule.get(rule_id, _NONE).values() if each.state.status in OPEN]

    def all_open(self) -> list[Happening]:
        """Those of all rules."""
        return [each for rule_id in self._by_rule for each in self.open(rule_id)]

    @property
    def active(self) -> int:
        """How many are active or acknowledged."""
        return sum(each.state.status in ACTIVE for alerts in self._by_rule.values() for each in alerts.values())

    def forget(self, before: int) -> None:
        """Leave out those that ended before a time, nanoseconds since 1970: what happened to them matters no more."""
        for rule_id, alerts in list(self._by_rule.items()):
            kept = {key: each for key, each in alerts.items() if each.state.status in OPEN or each.at >= before}
            if kept:
                self._by_rule[rule_id] = kept
            else:
                del self._by_rule[rule_id]

    def _put(self, happening: Happening) -> None:
        self._by_rule.setdefault(happening.rule_id, {})[happening.alert_id] = happening
