"""What people say while the daemon runs, in ClickHouse: reading it, and changing it so that of two editors at once one is told.

ClickHouse has no transactions. What it has is deduplication: of inserts with the same token a table takes the first, and answers
all others as if it had taken them too. So

- a version of an object is a row that is never changed, and its insert has the token `WORKSPACE-ID-VERSION`, whoever makes it;
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
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

import orjson
from pydantic import BaseModel

from exporters.clickhouse.client import ClickHouseClient, ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.schema import instant

S = TypeVar("S", bound=BaseModel)

PAGE: Final = 1000
"""So many objects are read at a time, where all are."""
_PAUSE_S: Final = 0.05
_INSERT_SETTINGS: Final[Mapping[str, object]] = {
    "insert_deduplicate": 1,
    # Gathered inserts have no token each.
    "async_insert": 0,
}
_FIELDS: Final = (
    "Workspace, Id, Version, Deleted, CreatedBy, UpdatedBy, WriteId, "
    "toUnixTimestamp64Nano(CreatedAt) AS Created, toUnixTimestamp64Nano(UpdatedAt) AS Updated"
)


@dataclass(frozen=True, slots=True)
class Stored(Generic[S]):
    """One version of something that people have said.

    Attributes:
        id: of the object, the same in all of its versions.
        settings: what it says.
        version: from 1, one more with each change.
        created_at, created_by: nanoseconds since 1970, and the name of the caller; of the first version after a deletion anew.
        updated_at, updated_by: the same of this version.
        deleted: whether this version says that the object is no more.
        write_id: random; tells who has written this version.
    """

    id: uuid.UUID
    workspace: str
    settings: S
    version: int
    created_at: int
    created_by: str
    updated_at: int
    updated_by: str
    deleted: bool
    write_id: uuid.UUID

    @classmethod
    def first(cls, object_id: uuid.UUID, workspace: str, settings: S, author: str, at: int) -> Stored[S]:
        """An object that there has never been before; arguments as of `changed`."""
        return cls(object_id, workspace, settings, 1, at, author, at, author, deleted=False, write_id=uuid.uuid4())

    def changed(self, author: str, at: int, settings: S | None = None, *, deleted: bool = False) -> Stored[S]:
        """The next version: with other settings, or deleted; after a deletion it begins anew.

        Args:
            author: the name of the caller.
            at: nanoseconds since 1970.
        """
        next_version = replace(
            self,
            settings=settings or self.settings,
            version=self.version + 1,
            updated_at=at,
            updated_by=author,
            deleted=deleted,
            write_id=uuid.uuid4(),
        )
        return replace(next_version, created_at=at, created_by=author) if self.deleted else next_version

    def as_json(self) -> dict[str, Any]:
        """The object as the API shows it."""
        return {
            "id": str(self.id),
            "workspace": self.workspace,
            **self.settings.model_dump(by_alias=True, mode="json"),
            "version": self.version,
            "createdAtUnixNano": str(self.created_at),
            "createdBy": self.created_by,
            "updatedAtUnixNano": str(self.updated_at),
            "updatedBy": self.updated_by,
        }


class Conflict(Exception):
    """An object is not what the one who wants to change it has seen.

    Attributes:
        current: what it is.
    """

    def __init__(self, current: Stored[Any]) -> None:
        super().__init__(f"{current.id} is at version {current.version}")
        self.current = current


class VersionStore(ABC, Generic[S]):
    """A table of versions, or the part of it in which columns have certain values.

    Args:
        client: connections to servers that hold the same data; the caller closes it.
        table: quoted, with its database.
        columns: what SQL reads of it for `_settings`, besides what all such tables have.
        part: column → the value that it has in all rows of this store.
        timeout_s: of one statement, and of reading back what was written.
        now: nanoseconds since 1970.

    All methods raise ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable as the client.
    """

    def __init__(
        self,
        client: ClickHouseClient,
        table: str,
        columns: str,
        part: Mapping[str, str],
        timeout_s: float = 30.0,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._client = client
        self._table = table
        self._columns = columns
        self._part = part
        self._timeout_s = timeout_s
        self._now = now

    async def state(self) -> tuple[int, int]:
        """Two numbers of which one changes whenever any object does: rows, and the latest time of a change in nanoseconds."""
        columns = "count() AS rows, toUnixTimestamp64Nano(max(UpdatedAt)) AS latest"
        sql = f"SELECT {columns} FROM {self._table} WHERE {self._in_part()}"  # noqa: S608 - values are bound
        found = await self._query(sql, {})
        row = next(iter(found))
        return row["rows"], row["latest"]

    async def all(self, workspace: str = "") -> list[Stored[S]]:
        """The objects that there are, of one workspace or of all, in no order; read a thousand at a time."""
        where = "Workspace = {workspace:String}" if workspace else "true"
        behind = f"{where} AND (Workspace, toString(Id)) > ({{afterWorkspace:String}}, {{afterId:String}})"
        page = (
            f"SELECT Workspace, Id FROM {self._table} WHERE {self._in_part()} AND {behind}"  # noqa: S608 - values are bound
            " GROUP BY Workspace, Id ORDER BY Workspace, toString(Id) LIMIT {size:UInt32}"
        )
        sql = self._latest_of(f"{where} AND (Workspace, Id) IN ({page})")
        found: list[Stored[S]] = []
        after = "", ""
        while True:
            parameters = {"workspace": workspace, "afterWorkspace": after[0], "afterId": after[1], "size": PAGE}
            rows = list(await self._query(sql, parameters))
            found += self._stored(row for row in rows if not row["Deleted"])
            if len(rows) < PAGE:
                return found
            after = max((row["Workspace"], row["Id"]) for row in rows)

    async def count(self, workspace: str) -> int:
        """How many objects a workspace has."""
        ids = (
            f"SELECT Id FROM {self._table} WHERE {self._in_part()} AND Workspace = {{workspace:String}}"  # noqa: S608 - values are bound
            " GROUP BY Id HAVING NOT argMax(Deleted, Version)"
        )
        return int(next(iter(await self._query(f"SELECT count() AS number FROM ({ids})", {"workspace": workspace})))["number"])  # noqa: S608 - as above

    async def versions(self) -> dict[uuid.UUID, int]:
        """The latest version of each object that there is, of all workspaces: what tells which of many have changed."""
        sql = (
            f"SELECT Id, max(Version) AS Latest FROM {self._table} WHERE {self._in_part()}"  # noqa: S608 - values are bound
            " GROUP BY Workspace, Id HAVING NOT argMax(Deleted, Version)"
        )
        return {uuid.UUID(row["Id"]): row["Latest"] for row in await self._query(sql, {})}

    async def some(self, ids: Iterable[uuid.UUID]) -> list[Stored[S]]:
        """The objects of some ids that there are, of all workspaces, in no order; few enough for a URL."""
        return await self._read(self._in_force("Id IN {ids:Array(UUID)}"), {"ids": [str(each) for each in ids]})

    async def get(self, workspace: str, object_id: uuid.UUID) -> Stored[S] | None:
        """The object of an id, or None where the workspace has none, or has it no more."""
        latest = await self._latest(workspace, object_id)
        return None if latest is None or latest.deleted else latest

    async def history(self, workspace: str, object_id: uuid.UUID, limit: int, before: int = 1 << 62) -> list[Stored[S]]:
        """Versions of an object below version `before`, the latest first, those that say that it was deleted included."""
        where = "Workspace = {workspace:String} AND Id = {id:UUID} AND Version < {before:UInt64}"
        sql = self._select(where, "ORDER BY Version DESC, UpdatedAt, WriteId LIMIT 1 BY Version LIMIT {limit:UInt32}")
        return await self._read(sql, {"workspace": workspace, "id": str(object_id), "before": before, "limit": limit})

    async def change(self, seen: Stored[S], settings: S, author: str) -> Stored[S]:
        """Say something else in place of what was just read, and return the new version.

        Raises:
            Conflict: somebody else has changed it meanwhile.
        """
        return await self._write(seen.changed(author, self._now(), settings))

    async def delete(self, seen: Stored[S], author: str) -> Stored[S]:
        """End an object that was just read. Its versions stay, and one more that says so. Raises as `change`."""
        return await self._write(seen.changed(author, self._now(), deleted=True))

    async def _create(self, object_id: uuid.UUID, workspace: str, settings: S, author: str) -> Stored[S]:
        """Make an object; one that was deleted comes to life again.

        Raises:
            Conflict: there is one of this id.
        """
        latest = await self._latest(workspace, object_id)
        if latest is not None and not latest.deleted:
            raise Conflict(latest)
        at = self._now()
        return await self._write(
            Stored.first(object_id, workspace, settings, author, at) if latest is None else latest.changed(author, at, settings)
        )

    @abstractmethod
    def _row(self, settings: S) -> dict[str, Any]:
        """The columns that say what an object says."""

    @abstractmethod
    def _settings(self, row: Mapping[str, Any]) -> S | None:
        """What a row says; None where it cannot be understood, and then it is left out of what is read."""

    async def _write(self, version: Stored[S]) -> Stored[S]:
        """Store a version unless another one of this number is stored; see the module."""
        body = orjson.dumps({**self._part, **_common_row(version), **self._row(version.settings)})
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": f"{version.workspace}-{version.id}-{version.version}"}
        sql = f"INSERT INTO {self._table} FORMAT JSONEachRow"
        try:
            await self._client.insert(sql, body, settings=settings, timeout_s=self._timeout_s)
        except (ClickHouseError, ClickHouseUnavailable):
            stored = await self._version(version)
            if stored is None:
                raise
        else:
            stored = await self._read_back(version)
        if stored.write_id != version.write_id:
            raise Conflict(await self._latest(version.workspace, version.id) or stored)
        return version

    async def _read_back(self, version: Stored[S]) -> Stored[S]:
        """What is stored as this version of this object; another replica may need a moment to know it."""
        try:
            async with asyncio.timeout(self._timeout_s):
                while (stored := await self._version(version)) is None:  # noqa: ASYNC110 - a server tells of nothing by itself
                    await asyncio.sleep(_PAUSE_S)
                return stored
        except TimeoutError:
            raise ClickHouseUnavailable("what was stored could not be read back in time", sent=True) from None

    async def _version(self, version: Stored[S]) -> Stored[S] | None:
        where = "Workspace = {workspace:String} AND Id = {id:UUID} AND Version = {version:UInt64}"
        parameters = {"workspace": version.workspace, "id": str(version.id), "version": version.version}
        return next(iter(await self._read(self._latest_of(where), parameters)), None)

    async def _latest(self, workspace: str, object_id: uuid.UUID) -> Stored[S] | None:
        where = "Workspace = {workspace:String} AND Id = {id:UUID}"
        return next(iter(await self._read(self._latest_of(where), {"workspace": workspace, "id": str(object_id)})), None)

    def _in_force(self, where: str, then: str = "") -> str:
        """SQL for the objects that there are; the last part may look at columns of what they say."""
        return f"SELECT * FROM ({self._latest_of(where)}) WHERE NOT Deleted {then}"  # noqa: S608 - values are bound

    def _latest_of(self, where: str) -> str:
        """SQL for the latest version of each object, and of several rows of one version for the one that all take."""
        return self._select(where, "ORDER BY Version DESC, UpdatedAt, WriteId LIMIT 1 BY Workspace, Id")

    def _select(self, where: str, then: str) -> str:
        return (
            f"SELECT {_FIELDS}, {self._columns} FROM {self._table} "  # noqa: S608 - values are bound
            f"WHERE {self._in_part()} AND ({where}) {then}"
        )

    def _in_part(self) -> str:
        return " AND ".join(["true", *(f"{column} = {{part{column}:String}}" for column in self._part)])

    async def _read(self, sql: str, parameters: Mapping[str, object]) -> list[Stored[S]]:
        return self._stored(await self._query(sql, parameters))

    def _stored(self, rows: Iterable[Mapping[str, Any]]) -> list[Stored[S]]:
        """What rows say, as far as it is understood."""
        return [
            Stored(
                id=uuid.UUID(row["Id"]),
                workspace=row["Workspace"],
                settings=settings,
                version=row["Version"],
                created_at=row["Created"],
                created_by=row["CreatedBy"],
                updated_at=row["Updated"],
                updated_by=row["UpdatedBy"],
                deleted=row["Deleted"],
                write_id=uuid.UUID(row["WriteId"]),
            )
            for row in rows
            if (settings := self._settings(row)) is not None
        ]

    async def _query(self, sql: str, parameters: Mapping[str, object]) -> Iterable[dict[str, Any]]:
        bound = {**{f"part{column}": value for column, value in self._part.items()}, **parameters}
        return (await self._client.query(sql, bound, timeout_s=self._timeout_s)).rows()


def _common_row(version: Stored[Any]) -> dict[str, Any]:
    return {
        "Workspace": version.workspace,
        "Id": str(version.id),
        "Version": version.version,
        "Deleted": version.deleted,
        "CreatedAt": instant(version.created_at),
        "CreatedBy": version.created_by,
        "UpdatedAt": instant(version.updated_at),
        "UpdatedBy": version.updated_by,
        "WriteId": str(version.write_id),
    }
