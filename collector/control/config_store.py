"""The table of tracing configs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from collector.control.tracing_configs import TracingConfig, TracingSettings, id_of
from collector.control.versions import VersionStore
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import quoted

CONFIGS_TABLE: Final = "otel_tracing_configs"
_COLUMNS: Final = "Service, Enabled, SamplingRate, ExcludedPaths, PropagateContext, Comment"


class ConfigStore(VersionStore[TracingSettings]):
    """The table of tracing configs.

    Args:
        client: connections to servers that hold the same data; the caller closes it.
        database: in which the table is.
        timeout_s: of one statement, and of reading back what was written.
        now: nanoseconds since 1970.

    All methods raise ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable as the client.
    """

    def __init__(
        self, client: ClickHouseClient, database: str, timeout_s: float = 30.0, now: Callable[[], int] = time.time_ns
    ) -> None:
        super().__init__(client, f"{quoted(database)}.{quoted(CONFIGS_TABLE)}", _COLUMNS, {}, timeout_s, now)

    async def page(
        self, workspace: str, limit: int, *, after: str = "", enabled: bool | None = None, contains: str = ""
    ) -> list[TracingConfig]:
        """Configs of a workspace by their texts, in order of code points.

        Args:
            after: only those whose text comes behind this one.
            enabled: only those that are, or are not.
            contains: only those with this in their text.
        """
        which = "" if enabled is None else "AND Enabled" if enabled else "AND NOT Enabled"
        where = "Workspace = {workspace:String} AND Service > {after:String} AND position(Service, {contains:String}) > 0"
        return await self._read(
            self._in_force(where, f"{which} ORDER BY Service LIMIT {{limit:UInt32}}"),
            {"workspace": workspace, "after": after, "contains": contains, "limit": limit},
        )

    async def create(self, workspace: str, settings: TracingSettings, author: str) -> TracingConfig:
        """Make a config; one that was deleted comes to life again.

        Raises:
            Conflict: there is one for this text.
        """
        return await self._create(id_of(workspace, settings.service), workspace, settings, author)

    def _row(self, settings: TracingSettings) -> dict[str, Any]:
        return {
            "Service": settings.service,
            "Enabled": settings.enabled,
            "SamplingRate": settings.sampling_rate,
            "ExcludedPaths": settings.excluded_paths,
            "PropagateContext": settings.propagate_context,
            "Comment": settings.comment,
        }

    def _settings(self, row: Mapping[str, Any]) -> TracingSettings:
        return TracingSettings.model_construct(
            service=row["Service"],
            enabled=row["Enabled"],
            sampling_rate=float(row["SamplingRate"]),
            excluded_paths=tuple(row["ExcludedPaths"]),
            propagate_context=row["PropagateContext"],
            comment=row["Comment"],
        )
