"""Tracing configs in ClickHouse: reading them, and changing them so that of two editors at once one is told.

ClickHouse has no transactions. What it has is deduplication: of inserts with the same token a table takes the first, and answers
all others as if it had taken them too. So

- a version of a config is a row that is never changed, and its insert has the token `ID-VERSION`, whoever makes it;
- who wants to change version n inserts version n + 1, then reads version n + 1 back. The row bears a random id of its writer, so
  each writer sees whether the row is its own. Of those that insert at once, from whatever collectors, one wins; the others see
  its row, and their callers are told of a conflict.

A table forgets tokens after 10,000 inserts (on replicated engines after an hour). Between looking at version n and inserting
version n + 1 lie milliseconds, and at most the time-out of a request. Where deduplication fails all the same, as in a table that
somebody made without it, there are two rows of one version: all readers then take the one with the earlier time and the lower
id, so they agree, and whoever reads back late enough learns that it lost.

An insert whose outcome is not known is looked up like any other. If it is not there, its caller is told that the store could not
be reached, and may ask again with the same version: if the insert arrives late nevertheless, that is a conflict with oneself, and
no damage.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from collector.control.tracing_configs import TracingConfig, TracingSettings, first_version, id_of
from exporters.clickhouse.client import ClickHouseClient, ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.schema import quoted

_TABLE: Final = "otel_tracing_configs"
_PAUSE_S: Final = 0.05
_INSERT_SETTINGS: Final[Mapping[str, object]] = {
    "insert_deduplicate": 1,
    # Gathered inserts have no token each.
    "async_insert": 0,
}
_FIELDS: Final = (
    "Workspace, Id, Version, Service, Enabled, SamplingRate, ExcludedPaths, PropagateContext, Comment, Deleted, CreatedBy, "
    "UpdatedBy, WriteId, toUnixTimestamp64Nano(CreatedAt) AS Created, toUnixTimestamp64Nano(UpdatedAt) AS Updated"
)


class Conflict(Exception):
    """A config is not what the one who wants to change it has seen.

    Attributes:
        current: what it is.
    """

    def __init__(self, current: TracingConfig) -> None:
        super().__init__(f"config {current.id} is at version {current.version}")
        self.current = current


class ConfigStore:
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
        self._client = client
        self._table = f"{quoted(database)}.{quoted(_TABLE)}"
        self._timeout_s = timeout_s
        self._now = now

    async def state(self) -> tuple[int, int]:
        """Two numbers of which one changes whenever any config does: rows, and the latest time of a change in nanoseconds."""
        columns = "count() AS rows, toUnixTimestamp64Nano(max(UpdatedAt)) AS latest"
        found = await self._query(f"SELECT {columns} FROM {self._table}", {})  # noqa: S608 - nothing of it comes from outside
        row = next(iter(found))
        return row["rows"], row["latest"]

    async def all(self, workspace: str = "") -> list[TracingConfig]:
        """The configs in force, of one workspace or of all, in no order."""
        where = "WHERE Workspace = {workspace:String}" if workspace else ""
        return await self._read(self._in_force(where), {"workspace": workspace} if workspace else {})

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
        where = "WHERE Workspace = {workspace:String} AND Service > {after:String} AND position(Service, {contains:String}) > 0"
        return await self._read(
            self._in_force(where, f"{which} ORDER BY Service LIMIT {{limit:UInt32}}"),
            {"workspace": workspace, "after": after, "contains": contains, "limit": limit},
        )

    async def get(self, workspace: str, config_id: uuid.UUID) -> TracingConfig | None:
        """The config of an id, or None where the workspace has none that is in force."""
        latest = await self._latest(workspace, config_id)
        return None if latest is None or latest.deleted else latest

    async def create(self, workspace: str, settings: TracingSettings, author: str) -> TracingConfig:
        """Make a config; one that was deleted comes to life again.

        Raises:
            Conflict: there is one for this text.
        """
        latest = await self._latest(workspace, id_of(workspace, settings.service))
        if latest is not None and not latest.deleted:
            raise Conflict(latest)
        at = self._now()
        return await self._write(
            first_version(workspace, settings, author, at) if latest is None else latest.changed(author, at, settings)
        )

    async def change(self, seen: TracingConfig, settings: TracingSettings, author: str) -> TracingConfig:
        """Say something else about the services of a config that was just read, and return its new version.

        Raises:
            Conflict: somebody else has changed it meanwhile.
        """
        return await self._write(seen.changed(author, self._now(), settings))

    async def delete(self, seen: TracingConfig, author: str) -> None:
        """End a config that was just read. Its versions stay, and one more that says so. Raises as `change`."""
        await self._write(seen.changed(author, self._now(), deleted=True))

    async def _write(self, config: TracingConfig) -> TracingConfig:
        """Store a version unless another one of this number is stored; see the module."""
        body = orjson.dumps(_row(config))
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": f"{config.id}-{config.version}"}
        sql = f"INSERT INTO {self._table} FORMAT JSONEachRow"
        try:
            await self._client.insert(sql, body, settings=settings, timeout_s=self._timeout_s)
        except (ClickHouseError, ClickHouseUnavailable):
            stored = await self._version(config)
            if stored is None:
                raise
        else:
            stored = await self._read_back(config)
        if stored.write_id != config.write_id:
            raise Conflict(await self._latest(config.workspace, config.id) or stored)
        return config

    async def _read_back(self, config: TracingConfig) -> TracingConfig:
        """What is stored as this version of this config; another replica may need a moment to know it."""
        try:
            async with asyncio.timeout(self._timeout_s):
                while (stored := await self._version(config)) is None:  # noqa: ASYNC110 - a server tells of nothing by itself
                    await asyncio.sleep(_PAUSE_S)
                return stored
        except TimeoutError:
            raise ClickHouseUnavailable("what was stored could not be read back in time", sent=True) from None

    async def _version(self, config: TracingConfig) -> TracingConfig | None:
        where = "WHERE Workspace = {workspace:String} AND Id = {id:UUID} AND Version = {version:UInt64}"
        parameters = {"workspace": config.workspace, "id": str(config.id), "version": config.version}
        return next(iter(await self._read(self._latest_of(where), parameters)), None)

    async def _latest(self, workspace: str, config_id: uuid.UUID) -> TracingConfig | None:
        where = "WHERE Workspace = {workspace:String} AND Id = {id:UUID}"
        return next(iter(await self._read(self._latest_of(where), {"workspace": workspace, "id": str(config_id)})), None)

    def _in_force(self, where: str, then: str = "") -> str:
        return f"SELECT * FROM ({self._latest_of(where)}) WHERE NOT Deleted {then}"  # noqa: S608 - values are bound

    def _latest_of(self, where: str) -> str:
        """The latest version of each config, and of several rows of one version the one that all take."""
        return (
            f"SELECT {_FIELDS} FROM {self._table} {where}"  # noqa: S608 - values are bound
            " ORDER BY Version DESC, UpdatedAt, WriteId LIMIT 1 BY Workspace, Id"
        )

    async def _read(self, sql: str, parameters: Mapping[str, object]) -> list[TracingConfig]:
        return [_config(row) for row in await self._query(sql, parameters)]

    async def _query(self, sql: str, parameters: Mapping[str, object]) -> Iterable[dict[str, Any]]:
        return (await self._client.query(sql, parameters, timeout_s=self._timeout_s)).rows()


def _row(config: TracingConfig) -> dict[str, Any]:
    settings = config.settings
    return {
        "Workspace": config.workspace,
        "Id": str(config.id),
        "Version": config.version,
        "Service": settings.service,
        "Enabled": settings.enabled,
        "SamplingRate": settings.sampling_rate,
        "ExcludedPaths": settings.excluded_paths,
        "PropagateContext": settings.propagate_context,
        "Comment": settings.comment,
        "Deleted": config.deleted,
        "CreatedAt": _seconds(config.created_at),
        "CreatedBy": config.created_by,
        "UpdatedAt": _seconds(config.updated_at),
        "UpdatedBy": config.updated_by,
        "WriteId": str(config.write_id),
    }


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"


def _config(row: Mapping[str, Any]) -> TracingConfig:
    # What others have written into the table by hand is taken as it is.
    settings = TracingSettings.model_construct(
        service=row["Service"],
        enabled=row["Enabled"],
        sampling_rate=float(row["SamplingRate"]),
        excluded_paths=tuple(row["ExcludedPaths"]),
        propagate_context=row["PropagateContext"],
        comment=row["Comment"],
    )
    return TracingConfig(
        uuid.UUID(row["Id"]),
        row["Workspace"],
        settings,
        row["Version"],
        row["Created"],
        row["CreatedBy"],
        row["Updated"],
        row["UpdatedBy"],
        deleted=row["Deleted"],
        write_id=uuid.UUID(row["WriteId"]),
    )
