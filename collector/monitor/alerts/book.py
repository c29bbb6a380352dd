"""The alert rules, silences and maintenance windows of all workspaces, as they were read last."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final, TypeVar

from collector.control.objects import Kind, ObjectModel, Objects
from collector.control.versions import Stored
from collector.monitor.alerts.muting import MAINTENANCE_WINDOWS, SILENCES, MaintenanceWindow, Muting, Silence
from collector.monitor.alerts.planning import Batch, PlannedRule, batches
from collector.monitor.alerts.rules import ALERT_RULES, AlertRule

_FEW: Final = 100
"""So many that have changed are read by their ids."""
_AT_ONCE: Final = 200
"""So many rules are made ready before other tasks have a turn."""

S = TypeVar("S", bound=ObjectModel)


class _Followed:
    """The objects of one kind, read again when one of them has changed."""

    def __init__(self, objects: Objects, kind: Kind[Any]) -> None:
        self._store = objects.of(kind)
        self._state: tuple[int, int] | None = None
        self.objects: dict[uuid.UUID, Stored[Any]] = {}

    async def look(self) -> bool:
        """Read those that have changed; say whether any has."""
        state = await self._store.state()
        if state == self._state:
            return False
        versions = await self._store.versions() if state[0] else {}
        kept = {each: self.objects[each] for each, version in versions.items() if self._version(each) == version}
        changed = versions.keys() - kept.keys()
        read = await (self._store.some(changed) if len(changed) <= _FEW else self._store.all()) if changed else ()
        self.objects = {**kept, **{each.id: each for each in read}}
        self._state = state
        return True

    def _version(self, object_id: uuid.UUID) -> int:
        known = self.objects.get(object_id)
        return 0 if known is None else known.version


class RuleBook:
    """Follows what people want to be told of.

    Args:
        objects: where it is kept.

    Attributes:
        rules: those that are enabled, by their ids.
        batches: what of them is measured together.
    """

    def __init__(self, objects: Objects) -> None:
        self._rules = _Followed(objects, ALERT_RULES)
        self._mutes = [_Followed(objects, kind) for kind in (SILENCES, MAINTENANCE_WINDOWS)]
        self._wanted: defaultdict[str, list[Silence | MaintenanceWindow]] = defaultdict(list)
        self.rules: dict[uuid.UUID, PlannedRule] = {}
        self.batches: list[Batch] = []

    @property
    def has_rules(self) -> bool:
        """Whether there is any, enabled or not."""
        return bool(self._rules.objects)

    async def look(self) -> None:
        """Read what has changed.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client; what was read before stays.
        """
        if await self._rules.look():
            await self._plan(self._rules.objects.values())
        if self.rules:
            for each in self._mutes:
                if await each.look():
                    self._sort_out()

    def muting(self, at: int) -> Muting:
        """Which alerts people must not hear of at a time, nanoseconds since 1970."""
        return Muting(self._wanted, at)

    def _sort_out(self) -> None:
        self._wanted = defaultdict(list)
        for each in self._mutes:
            for stored in each.objects.values():
                self._wanted[stored.workspace].append(stored.settings)

    async def _plan(self, stored: Iterable[Stored[AlertRule]]) -> None:
        rules = {}
        for number, each in enumerate(stored):
            if each.settings.enabled:
                known = self.rules.get(each.id)
                rules[each.id] = known if known is not None and known.settings is each.settings else PlannedRule.of(each)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        self.rules, self.batches = rules, batches(rules.values())
