"""The failure rules of a workspace, for what the daemon itself sends."""

from __future__ import annotations

from collector.control.objects import Objects
from collector.control.versions import Stored
from collector.monitor.failures.rules import FAILURE_RULES, FAILURE_SWITCHES, SWITCH_ID, FailureRule


async def standing_rules(objects: Objects, workspace: str) -> list[Stored[FailureRule]]:
    """The rules that there are, whenever they count; none where the workspace has switched failures off.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client.
    """
    switch = await objects.of(FAILURE_SWITCHES).get(workspace, SWITCH_ID)
    if switch is not None and not switch.settings.enabled:
        return []
    return await objects.of(FAILURE_RULES).all(workspace)
