"""Objects that people make and edit in a workspace: alert rules, channels, annotations and whatever else is said in JSON.

All kinds share one table and one way of changing (see `versions`). A kind is a pydantic model and what the table has to know of
it.

rules = ObjectStore(client, database, RULES)
made = await rules.create("default", AlertRule(name="slow"), "ann")
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from collector.control.config_store import CONFIGS_TABLE
from collector.control.versions import Stored, VersionStore
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import quoted

_log = structlog.get_logger(__name__)

_TABLE: Final = "otel_objects"
_COLUMNS: Final = "Name, Subject, Body"


class ObjectModel(BaseModel):
    """What an object says. In JSON, names are written as `samplingRate`, and there are no others."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, validate_by_name=True, use_attribute_docstrings=True
    )


S = TypeVar("S", bound=ObjectModel)


def _nothing(_: Any) -> str:
    return ""


def _never(_: Any) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Kind(Generic[S]):
    """What the table has to know of objects.

    Attributes:
        name: in the table; never changes, such as `alert_rule`.
        model: what such an object says.
        label: what lists are sorted by and searched in, such as its name.
        subject: what it is about, by which it is found, such as the id of a trace.
        expires_s: when it may be forgotten, in seconds since 1970; 0 for never. A change must not bring it forward.
    """

    name: str
    model: type[S]
    label: Callable[[S], str]
    subject: Callable[[S], str] = _nothing
    expires_s: Callable[[S], int] = _never


@dataclass(frozen=True, slots=True)
class Change:
    """That somebody changed something.

    Attributes:
        kind: of what was changed.
        id: of what was changed.
        name: by which people know it, as of this change.
        version: that the change made.
        deleted: whether the change was the end of it.
        at: nanoseconds since 1970.
        author: name of the caller.
        write_id: of this change.
    """

    kind: str
    id: uuid.UUID
    name: str
    version: int
    deleted: bool
    at: int
    author: str
    write_id: uuid.UUID


class ObjectStore(VersionStore[S]):
    """The objects of one kind.

    Args:
        client: connections to servers that hold the same data; the caller closes it.
        database: in which the table is.
        kind: of the objects.
        timeout_s: of one statement, and of reading back what was written.
        now: nanoseconds since 1970.

    All methods raise ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable as the client.
    """

    def __init__(
        self,
        client: ClickHouseClient,
        database: str,
        kind: Kind[S],
        timeout_s: float = 30.0,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(client, f"{quoted(database)}.{quoted(_TABLE)}", _COLUMNS, {"Kind": kind.name}, timeout_s, now)
        self._kind = kind

    async def page(
        self,
        workspace: str,
        limit: int,
        *,
        after: tuple[str, uuid.UUID] | None = None,
        contains: str = "",
        subject: str = "",
    ) -> list[Stored[S]]:
        """Objects of a workspace by their labels, in order of code points, and by their ids.

        Args:
            after: label and id of the one after which the page begins.
            contains: only those with this in their label, in either case.
            subject: only those about this.
        """
        conditions = ["positionCaseInsensitiveUTF8(Name, {contains:String}) > 0"] if contains else []
        parameters: dict[str, object] = {"limit": limit, "contains": contains}
        if after is not None:
            # As texts, in whose order UUIDs are sorted nowhere else.
            conditions.append("(Name, toString(Id)) > ({name:String}, {id:String})")
            parameters |= {"name": after[0], "id": str(after[1])}
        then = "".join(f"AND {condition} " for condition in conditions)
        return await self.select(workspace, f"{then}ORDER BY Name, toString(Id) LIMIT {{limit:UInt32}}", parameters, subject)

    async def select(self, workspace: str, then: str, parameters: Mapping[str, object], subject: str = "") -> list[Stored[S]]:
        """Objects of a workspace as SQL says.

        Args:
            then: goes on behind a condition; may look at `Name`, `Body`, `Id`, `CreatedBy`, `UpdatedBy`, and in nanoseconds
                `Created` and `Updated`.
            parameters: bound in it.
            subject: only those about this, which versions of an object must have in common.
        """
        where = "Workspace = {workspace:String}" + (" AND Subject = {subject:String}" if subject else "")
        return await self._read(self._in_force(where, then), {"workspace": workspace, "subject": subject, **parameters})

    async def is_subject(self, workspace: str, subject: str) -> bool:
        """Whether an object of a workspace is about this, or was: half the work of finding out what is said now."""
        where = "Workspace = {workspace:String} AND Subject = {subject:String}"
        sql = f"SELECT 1 AS One FROM {self._table} WHERE {self._in_part()} AND {where} LIMIT 1"  # noqa: S608 - values are bound
        return next(iter(await self._query(sql, {"workspace": workspace, "subject": subject})), None) is not None

    async def create(self, workspace: str, settings: S, author: str, object_id: uuid.UUID | None = None) -> Stored[S]:
        """Make an object.

        Args:
            author: the name of the caller.
            object_id: where it follows from something, so that there cannot be two of it; else a new one.

        Raises:
            Conflict: there is one of this id.
        """
        return await self._create(object_id or uuid.uuid4(), workspace, settings, author)

    def _row(self, settings: S) -> dict[str, Any]:
        return {
            "Name": self._kind.label(settings),
            "Subject": self._kind.subject(settings),
            "Body": settings.model_dump_json(by_alias=True),
            "ExpiresAt": self._kind.expires_s(settings),
        }

    def _settings(self, row: Mapping[str, Any]) -> S | None:
        try:
            return self._kind.model.model_validate_json(row["Body"])
        except ValidationError as error:
            # Written by a later version of this program, or by hand.
            _log.warning("object_not_understood", kind=self._kind.name, id=row["Id"], version=row["Version"], error=str(error))
            return None


class Objects:
    """The objects of all kinds in one database; arguments as of ObjectStore."""

    def __init__(
        self, client: ClickHouseClient, database: str, timeout_s: float = 30.0, now: Callable[[], int] = time.time_ns
    ) -> None:
        self._client = client
        self._database = database
        self._timeout_s = timeout_s
        self._now = now

    def of(self, kind: Kind[S]) -> ObjectStore[S]:
        """Those of one kind."""
        return ObjectStore(self._client, self._database, kind, self._timeout_s, self._now)

    async def changes(self, workspace: str, start: int, before: tuple[int, uuid.UUID], limit: int) -> list[Change]:
        """What was changed by whom, the latest first, tracing configs included.

        Args:
            start: nanoseconds since 1970; nothing earlier than this.
            before: time and WriteId of the change behind which the page begins.
            limit: at most so many.
        """
        columns = "Id, Version, Deleted, UpdatedBy, WriteId, toUnixTimestamp64Nano(UpdatedAt) AS At"
        where = (
            "WHERE Workspace = {workspace:String} AND UpdatedAt >= fromUnixTimestamp64Nano({start:Int64})"
            " AND (UpdatedAt, toString(WriteId)) < (fromUnixTimestamp64Nano({at:Int64}), {write:String})"
        )
        parts = ((_TABLE, "Kind, Name"), (CONFIGS_TABLE, "'tracing_config' AS Kind, Service AS Name"))
        sql = " UNION ALL ".join(
            f"SELECT {named}, {columns} FROM {quoted(self._database)}.{quoted(table)} {where}"  # noqa: S608 - values are bound
            for table, named in parts
        )
        parameters = {"workspace": workspace, "start": start, "at": before[0], "write": str(before[1]), "limit": limit}
        found = await self._client.query(
            f"SELECT * FROM ({sql}) ORDER BY At DESC, toString(WriteId) DESC LIMIT {{limit:UInt32}}",  # noqa: S608 - as above
            parameters,
            timeout_s=self._timeout_s,
        )
        return [
            Change(
                kind=row["Kind"],
                id=uuid.UUID(row["Id"]),
                name=row["Name"],
                version=row["Version"],
                deleted=row["Deleted"],
                at=row["At"],
                author=row["UpdatedBy"],
                write_id=uuid.UUID(row["WriteId"]),
            )
            for row in found.rows()
        ]
