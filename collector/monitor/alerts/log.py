"""All that happened to alerts, in one order that all collectors agree on.

The log is the table `otel_alert_events`. Entry n + 1 is one insert under the deduplication token `entry-(n + 1)`, whoever makes
it: of several at once the first counts (see `collector.control.versions`, which changes objects in the same way). Who lost reads
what came in between and thinks again. So of each alert there is one story, however many collectors evaluate its rule and people
acknowledge it, and each notification is written down once, before it is sent.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from collector.monitor.alerts.events import AlertEvent, Severity, event_of
from collector.monitor.alerts.states import OPEN, AlertState, state_of
from exporters.clickhouse.client import ClickHouseClient, ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.schema import SchemaSettings, instant

_SENT: Final = "sent"
"""The subject of claims that say which entries were sent."""
_PAUSE_S: Final = 0.05
_COLUMNS: Final = (
    "Workspace, Entry, toUnixTimestamp64Nano(At) AS AtNs, RuleId, RuleName, Severity, AlertId, Group, Status, By, State, Event, "
    "Channels, WriteId"
)
# Of two writers of one entry, which there cannot be while the table remembers tokens, all readers take the same.
_OF_THE_FIRST: Final = "(Entry, WriteId) IN (SELECT Entry, min(WriteId) FROM {table} WHERE {where} GROUP BY Entry)"
INSERT_SETTINGS: Final[Mapping[str, object]] = {
    "insert_deduplicate": 1,
    # Gathered inserts have no token each.
    "async_insert": 0,
    # A block that the server cut would be remembered by its pieces, and be seen in part.
    "max_insert_block_size": 1 << 24,
    "input_format_parallel_parsing": 0,
}


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to an alert.

    Attributes:
        rule_name, severity: of the rule, as it was then.
        entry: its place in the order; 0 before it has one.
        at: nanoseconds since 1970.
        group: the labels that tell the alert from others of its rule.
        state: where the alert stands since.
        by: who did it; empty where it came about by itself.
        event: what people are told; None for nothing.
        channels: through which; ids.
    """

    workspace: str
    rule_id: uuid.UUID
    rule_name: str
    severity: Severity
    alert_id: uuid.UUID
    group: Mapping[str, str]
    at: int
    state: AlertState
    by: str = ""
    event: AlertEvent | None = None
    channels: tuple[str, ...] = ()
    entry: int = 0


def alert_id_of(rule_id: uuid.UUID, group: Mapping[str, str]) -> uuid.UUID:
    """The id of an alert, which follows from its rule and its labels."""
    return uuid.uuid5(rule_id, orjson.dumps(group, option=orjson.OPT_SORT_KEYS).decode())


class AlertLog:
    """The table of alert events.

    Args:
        client: connections to servers that hold the same data; the caller closes it.
        schema: where the tables are.
        timeout_s: of one statement, and of reading back what was written.

    All methods raise ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable as the client.
    """

    def __init__(self, client: ClickHouseClient, schema: SchemaSettings, timeout_s: float = 30.0) -> None:
        self._client = client
        self._table = schema.table_of("otel_alert_events")
        self._claims = schema.table_of("otel_alert_claims")
        self._timeout_s = timeout_s

    async def head(self) -> int:
        """The number of the last entry; 0 without any."""
        sql = f"SELECT max(Entry) AS head FROM {self._table}"  # noqa: S608 - nothing of it comes from outside
        return int(next(iter(await self._query(sql, {})))["head"])

    async def latest(self, since: int) -> tuple[int, list[Happening]]:
        """The number of the last entry, and the last happening of each alert that is open or has changed since a time."""
        head = await self.head()
        sql = self._last_of_each(
            "Entry <= {head:UInt64}",
            "argMax(Status, Entry) IN {open:Array(String)} OR max(At) >= fromUnixTimestamp64Nano({since:Int64})",
        )
        rows = await self._query(sql, {"head": head, "open": sorted(OPEN), "since": since})
        return head, [_happening(row) for row in rows]

    async def after(self, entry: int) -> list[Happening]:
        """What happened after an entry, in order."""
        chosen = _OF_THE_FIRST.format(table=self._table, where="Entry > {entry:UInt64}")
        sql = f"SELECT {_COLUMNS} FROM {self._table} WHERE Entry > {{entry:UInt64}} AND {chosen} ORDER BY Entry"  # noqa: S608 - values are bound
        return [_happening(row) for row in await self._query(sql, {"entry": entry})]

    async def to_send(self, entry: int, head: int, since: int) -> list[Happening]:
        """What people are to be told that happened after an entry, up to another, and since a time, in order.

        What was sent is left out.
        """
        where = "Entry > {entry:UInt64} AND Entry <= {head:UInt64} AND At >= fromUnixTimestamp64Nano({since:Int64})"
        chosen = _OF_THE_FIRST.format(table=self._table, where=where)
        sql = (
            f"SELECT {_COLUMNS} FROM {self._table} WHERE {where} AND Event != '' AND notEmpty(Channels) AND {chosen}"  # noqa: S608 - values are bound
            f" AND Entry NOT IN (SELECT Number FROM {self._claims} WHERE Subject = '{_SENT}') ORDER BY Entry"
        )
        return [_happening(row) for row in await self._query(sql, {"entry": entry, "head": head, "since": since})]

    async def sent(self, entries: Iterable[int], at: int) -> None:
        """Write down that everybody has been told of some entries; at a time, nanoseconds since 1970."""
        nobody = str(uuid.UUID(int=0))
        row = {"Subject": _SENT, "At": instant(at), "Done": True, "Holder": nobody, "WriteId": nobody}
        body = b"\n".join(orjson.dumps({**row, "Number": entry}) for entry in entries)
        sql = f"INSERT INTO {self._claims} FORMAT JSONEachRow"
        await self._client.insert(sql, body, settings={"insert_deduplicate": 0, "async_insert": 0}, timeout_s=self._timeout_s)

    async def of_alert(self, workspace: str, alert_id: uuid.UUID, limit: int, before: int = 1 << 62) -> list[Happening]:
        """What happened to an alert below entry `before`, the latest first."""
        where = "Workspace = {workspace:String} AND AlertId = {alert:UUID} AND Entry < {before:UInt64}"
        sql = (
            f"SELECT {_COLUMNS} FROM {self._table} WHERE {where}"  # noqa: S608 - values are bound
            " ORDER BY Entry DESC, WriteId LIMIT 1 BY Entry LIMIT {limit:UInt32}"
        )
        rows = await self._query(sql, {"workspace": workspace, "alert": str(alert_id), "before": before, "limit": limit})
        return [_happening(row) for row in rows]

    async def page(
        self, workspace: str, limit: int, *, statuses: Sequence[str], before: tuple[int, str], rule_id: uuid.UUID | None = None
    ) -> list[Happening]:
        """The alerts of a workspace that stand at one of these statuses, by their last happening, the latest first.

        Args:
            before: entry and id of the alert behind which the page begins.
            rule_id: only those of this rule.
        """
        of_rule = "" if rule_id is None else " AND RuleId = {rule:UUID}"
        sql = self._last_of_each(
            f"Workspace = {{workspace:String}}{of_rule}",
            "argMax(Status, Entry) IN {statuses:Array(String)}"
            " AND (max(Entry), toString(AlertId)) < ({entry:UInt64}, {alert:String})"
            " ORDER BY max(Entry) DESC, toString(AlertId) DESC LIMIT {limit:UInt32}",
        )
        parameters: dict[str, object] = {"workspace": workspace, "statuses": list(statuses), "limit": limit}
        parameters |= {"entry": before[0], "alert": before[1]}
        if rule_id is not None:
            parameters["rule"] = str(rule_id)
        return [_happening(row) for row in await self._query(sql, parameters)]

    async def happened(
        self, workspace: str, start: int, end: int, limit: int, *, before: tuple[int, str], rule_id: uuid.UUID | None = None
    ) -> list[Happening]:
        """What happened in a workspace in [start, end), nanoseconds since 1970, the latest first.

        Args:
            before: entry and id of the alert behind which the page begins.
            rule_id: only to alerts of this rule.
        """
        of_rule = "" if rule_id is None else " AND RuleId = {rule:UUID}"
        sql = (
            f"SELECT {_COLUMNS} FROM {self._table} WHERE Workspace = {{workspace:String}}{of_rule}"  # noqa: S608 - values are bound
            " AND At >= fromUnixTimestamp64Nano({start:Int64}) AND At < fromUnixTimestamp64Nano({end:Int64})"
            " AND (Entry, toString(AlertId)) < ({entry:UInt64}, {alert:String})"
            " ORDER BY Entry DESC, toString(AlertId) DESC, WriteId LIMIT 1 BY Entry, AlertId LIMIT {limit:UInt32}"
        )
        parameters: dict[str, object] = {"workspace": workspace, "start": start, "end": end, "limit": limit}
        parameters |= {"entry": before[0], "alert": before[1]}
        if rule_id is not None:
            parameters["rule"] = str(rule_id)
        return [_happening(row) for row in await self._query(sql, parameters)]

    async def last_told(self, workspace: str, alert_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Happening]:
        """What people were told last of some alerts, of those of which they ever were."""
        sql = (
            f"SELECT {_COLUMNS} FROM {self._table} WHERE Workspace = {{workspace:String}} AND AlertId IN {{alerts:Array(UUID)}}"  # noqa: S608 - values are bound
            " AND Event != '' ORDER BY Entry DESC, WriteId LIMIT 1 BY AlertId"
        )
        rows = await self._query(sql, {"workspace": workspace, "alerts": [str(each) for each in alert_ids]})
        return {each.alert_id: each for each in map(_happening, rows)}

    async def append(self, entry: int, happenings: Iterable[Happening]) -> bool:
        """Write an entry, which must be the one after the last that was read.

        Returns:
            Whether it is that; False if somebody else has written this entry, and then nothing of ours was.
        """
        write_id = uuid.uuid4()
        body = b"\n".join(orjson.dumps(_row(each, entry, write_id)) for each in happenings)
        settings = {**INSERT_SETTINGS, "insert_deduplication_token": f"entry-{entry}"}
        sql = f"INSERT INTO {self._table} FORMAT JSONEachRow"
        try:
            await self._client.insert(sql, body, settings=settings, timeout_s=self._timeout_s)
        except (ClickHouseError, ClickHouseUnavailable):
            writer = await self._writer(entry)
            if writer is None:
                raise
        else:
            writer = await self._read_back(entry)
        return writer == write_id

    async def forget(self, before: int, open_alerts: Iterable[uuid.UUID]) -> bool:
        """Let go of what happened before a time, nanoseconds since 1970, but for alerts that are open and for the last entry.

        The store does it by and by. Entries are never counted anew, so the last one stays.

        Args:
            open_alerts: those that have been open since before then.

        Returns:
            Whether there was anything.
        """
        where = f"At < fromUnixTimestamp64Nano({before:d}) AND Entry < {await self.head():d}"
        if kept := ", ".join(f"'{alert_id}'" for alert_id in open_alerts):
            where += f" AND AlertId NOT IN ({kept})"
        found = await self._query(f"SELECT count() AS number FROM {self._table} WHERE {where}", {})  # noqa: S608 - all ours
        if not next(iter(found))["number"]:
            return False
        await self._client.command(f"ALTER TABLE {self._table} DELETE WHERE {where}", timeout_s=self._timeout_s)
        return True

    def _last_of_each(self, where: str, having: str) -> str:
        """SQL for the last happening of each alert that fits, the latest first.

        The texts, which are long, are read of these alone.
        """
        last = f"SELECT AlertId, max(Entry) FROM {self._table} WHERE {where} GROUP BY AlertId HAVING {having}"  # noqa: S608 - values are bound
        return (
            f"SELECT {_COLUMNS} FROM {self._table} WHERE (AlertId, Entry) IN ({last})"  # noqa: S608 - as above
            " ORDER BY Entry DESC, toString(AlertId) DESC, WriteId LIMIT 1 BY Entry, AlertId"
        )

    async def _read_back(self, entry: int) -> uuid.UUID:
        """Who has written an entry; another replica may need a moment to know it."""
        try:
            async with asyncio.timeout(self._timeout_s):
                while (writer := await self._writer(entry)) is None:  # noqa: ASYNC110 - a server tells of nothing by itself
                    await asyncio.sleep(_PAUSE_S)
                return writer
        except TimeoutError:
            raise ClickHouseUnavailable("what was stored could not be read back in time", sent=True) from None

    async def _writer(self, entry: int) -> uuid.UUID | None:
        sql = f"SELECT WriteId FROM {self._table} WHERE Entry = {{entry:UInt64}} ORDER BY WriteId LIMIT 1"  # noqa: S608 - values are bound
        row = next(iter(await self._query(sql, {"entry": entry})), None)
        return None if row is None else uuid.UUID(row["WriteId"])

    async def _query(self, sql: str, parameters: Mapping[str, object]) -> Iterable[dict[str, Any]]:
        return (await self._client.query(sql, parameters, timeout_s=self._timeout_s)).rows()


def _row(happening: Happening, entry: int, write_id: uuid.UUID) -> dict[str, Any]:
    return {
        "Workspace": happening.workspace,
        "Entry": entry,
        "At": instant(happening.at),
        "RuleId": str(happening.rule_id),
        "RuleName": happening.rule_name,
        "Severity": happening.severity,
        "AlertId": str(happening.alert_id),
        "Group": orjson.dumps(happening.group, option=orjson.OPT_SORT_KEYS).decode(),
        "Status": happening.state.status,
        "By": happening.by,
        "State": orjson.dumps(happening.state).decode(),
        "Event": "" if happening.event is None else orjson.dumps(happening.event).decode(),
        "Channels": happening.channels,
        "WriteId": str(write_id),
    }


def _happening(row: Mapping[str, Any]) -> Happening:
    return Happening(
        workspace=row["Workspace"],
        rule_id=uuid.UUID(row["RuleId"]),
        rule_name=row["RuleName"],
        severity=row["Severity"],
        alert_id=uuid.UUID(row["AlertId"]),
        group=orjson.loads(row["Group"]),
        at=row["AtNs"],
        state=state_of(orjson.loads(row["State"])),
        by=row["By"],
        event=event_of(orjson.loads(row["Event"])) if row["Event"] else None,
        channels=tuple(row["Channels"]),
        entry=row["Entry"],
    )
