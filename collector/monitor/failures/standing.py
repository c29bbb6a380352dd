"""The failure rules of a workspace, for what the daemon itself sends."""

from __future__ import annotations

from collections.abc import Mapping

from yarl import URL

from collector.control.objects import Objects
from collector.control.versions import Stored
from collector.monitor.failures.injecting import Request
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


def described(service: str, method: str, url: URL, headers: Mapping[str, str], path: str = "") -> Request:
    """What rules are told of a request.

    Args:
        service: that is asked; the host of the URL where nobody has said it.
        method: of HTTP, or the full method of gRPC.
        path: instead of that of the URL.
    """
    path = path or url.path
    return Request(
        service or url.host or "",
        path,
        f"{method} {path}" if method != path else path,
        {"http.request.method": method, "url.path": path, "url.full": str(url), "server.address": url.host or ""},
        {name.lower(): value for name, value in headers.items()},
    )
