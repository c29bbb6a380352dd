"""The alert rules, silences and maintenance windows of all workspaces, as they were read last."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from collector.control.objects import Kind, ObjectModel, Objects
from collector.control.versions import Stored
from collector.monitor.muting import MAINTENANCE_WINDOWS, SILENCES, Muting
from collector.monitor.planning import Batch, PlannedRule, batches
from collector.monitor.rules import ALERT_RULES, AlertRule

_AT_ONCE: Final = 200
"""So many rules are made ready before other tasks have a turn."""

S = TypeVar("S", bound=ObjectModel)


class _Followed:
    """The objects of one kind, read again when one of them has changed."""

    def __init__(self, objects: Objects, kind: Kind[Any]) -> None:
        self._store = objects.of(kind)
        self._state: tuple[int, int] | None = None
        self.objects: Sequence[Stored[Any]] = ()

    async def look(self) -> bool:
        """Read them, if any has changed; say so."""
        state = await self._store.state()
        if state == self._state:
            return False
        self.objects = await self._store.all() if state[0] else ()
        self._state = state
        return True


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
            await self._plan(self._rules.objects)
        if self.rules:
            for each in self._mutes:
                await each.look()

    def muting(self, at: int) -> Muting:
        """Which alerts people must not hear of at a time, nanoseconds since 1970."""
        return Muting(((each.workspace, each.settings) for followed in self._mutes for each in followed.objects), at)

    async def _plan(self, stored: Sequence[Stored[AlertRule]]) -> None:
        rules = {}
        for number, each in enumerate(stored):
            if each.settings.enabled:
                rules[each.id] = PlannedRule.of(each)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        self.rules, self.batches = rules, batches(rules.values())
