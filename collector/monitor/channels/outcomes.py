"""What became of each event at each channel: the table `otel_alert_deliveries`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import orjson

from collector.monitor.alerts.events import AlertEvent
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings, instant

Outcome = Literal["delivered", "retrying", "failed", "disabled", "gone"]
"""The other side has taken it; it is tried again; it was given up; the channel is not enabled; there is no such channel."""
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

_COLUMNS: Final = (
    "toUnixTimestamp64Nano(At) AS AtNs, toUnixTimestamp64Nano(StartedAt) AS StartedNs, EventKey, RuleId, AlertId, What, "
    "ChannelId, ChannelName, ChannelType, Outcome, Reason, Answer, Status, Attempts"
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an event fared at a channel.

    Attributes:
        at: when this was so, nanoseconds since 1970.
        started_at: when it was sent first.
        event_key, rule_id, alert_id, what: of the event.
        channel_id: as the rule names it.
        channel_name, channel_type: empty where there is no such channel.
        outcome: so far.
        reason, answer, status: of the last attempt.
        attempts: so many there were.
    """

    at: int
    started_at: int
    event_key: str
    rule_id: uuid.UUID
    alert_id: uuid.UUID
    what: str
    channel_id: str
    channel_name: str
    channel_type: str
    outcome: Outcome
    reason: str
    answer: str
    status: int
    attempts: int

    def as_json(self) -> dict[str, Any]:
        """A delivery as the API shows it."""
        return {
            "atUnixNano": str(self.at),
            "startedAtUnixNano": str(self.started_at),
            "eventKey": self.event_key,
            "ruleId": str(self.rule_id),
            "alertId": str(self.alert_id),
            "what": self.what,
            "channelId": self.channel_id,
            "channelName": self.channel_name,
            "channelType": self.channel_type,
            "outcome": self.outcome,
            "reason": self.reason,
            "answer": self.answer,
            "status": self.status,
            "attempts": self.attempts,
        }


Place = tuple[int, str, str]
"""Where a page of deliveries ends: time, key of the event, id of the channel."""


class Outcomes:
    """The table of deliveries.

    Args:
        client: connections to servers that hold the same data; the caller closes it.
        schema: where the tables are.
        timeout_s: of one statement.

    All methods raise ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable as the client.
    """

    def __init__(self, client: ClickHouseClient, schema: SchemaSettings, timeout_s: float = 30.0) -> None:
        self._client = client
        self._table = schema.table_of("otel_alert_deliveries")
        self._timeout_s = timeout_s

    async def is_settled(self, event: AlertEvent, channel: str) -> bool:
        """Whether a channel is done with an event."""
        sql = (
            f"SELECT 1 FROM {self._table} WHERE Workspace = {{workspace:String}} AND EventKey = {{key:String}}"  # noqa: S608 - values are bound
            " AND ChannelId = {channel:String} AND Outcome != 'retrying' LIMIT 1"
        )
        rows = await self._query(sql, {"workspace": event.workspace, "key": event.key, "channel": channel})
        return any(True for _ in rows)

    async def keep(self, workspace: str, delivery: Delivery) -> None:
        """Write down how an event fares at a channel. What is done is written once."""
        row = {
            "Workspace": workspace,
            "At": instant(delivery.at),
            "StartedAt": instant(delivery.started_at),
            "EventKey": delivery.event_key,
            "RuleId": str(delivery.rule_id),
            "AlertId": str(delivery.alert_id),
            "What": delivery.what,
            "ChannelId": delivery.channel_id,
            "ChannelName": delivery.channel_name,
            "ChannelType": delivery.channel_type,
            "Outcome": delivery.outcome,
            "Reason": delivery.reason,
            "Answer": delivery.answer,
            "Status": delivery.status,
            "Attempts": delivery.attempts,
        }
        token = f"{delivery.event_key}-{delivery.channel_id}"
        if delivery.outcome == "retrying":
            token += f"-{delivery.started_at}"
        await self._client.insert(
            f"INSERT INTO {self._table} FORMAT JSONEachRow",
            orjson.dumps(row),
            settings={"insert_deduplicate": 1, "async_insert": 0, "insert_deduplication_token": token},
            timeout_s=self._timeout_s,
        )

    async def page(
        self,
        workspace: str,
        start: int,
        end: int,
        limit: int,
        *,
        before: Place | None = None,
        channel: str = "",
        alert: str = "",
        outcome: str = "",
    ) -> list[Delivery]:
        """Deliveries of a workspace in a time range, the latest first, as they stood at its end.

        Args:
            start, end: nanoseconds since 1970, the end exclusive.
            before: where the page before ended.
            channel, alert: only those at this channel, of this alert; ids.
            outcome: only those that stand so.
        """
        parameters: dict[str, object] = {"workspace": workspace, "start": start, "end": end, "limit": limit}
        within = ["Workspace = {workspace:String}", "At >= fromUnixTimestamp64Nano({start:Int64})"]
        within.append("At < fromUnixTimestamp64Nano({end:Int64})")
        behind = ["true"]
        for column, value in (("ChannelId", channel), ("toString(AlertId)", alert)):
            if value:
                within.append(f"{column} = {{v{len(within)}:String}}")
                parameters[f"v{len(within) - 1}"] = value
        if outcome:
            behind.append("Outcome = {outcome:String}")
            parameters["outcome"] = outcome
        if before is not None:
            behind.append("(AtNs, EventKey, ChannelId) < ({at:Int64}, {key:String}, {id:String})")
            parameters |= {"at": before[0], "key": before[1], "id": before[2]}
        latest = (
            f"SELECT {_COLUMNS} FROM {self._table} WHERE {' AND '.join(within)}"  # noqa: S608 - values are bound
            " ORDER BY At DESC, Attempts DESC LIMIT 1 BY EventKey, ChannelId"
        )
        sql = (
            f"SELECT * FROM ({latest}) WHERE {' AND '.join(behind)}"  # noqa: S608 - as above
            " ORDER BY AtNs DESC, EventKey DESC, ChannelId DESC LIMIT {limit:UInt32}"
        )
        return [_delivery(row) for row in await self._query(sql, parameters)]

    async def _query(self, sql: str, parameters: Mapping[str, object]) -> Iterable[dict[str, Any]]:
        return (await self._client.query(sql, parameters, timeout_s=self._timeout_s)).rows()


def _delivery(row: Mapping[str, Any]) -> Delivery:
    return Delivery(
        at=row["AtNs"],
        started_at=row["StartedNs"],
        event_key=row["EventKey"],
        rule_id=uuid.UUID(row["RuleId"]),
        alert_id=uuid.UUID(row["AlertId"]),
        what=row["What"],
        channel_id=row["ChannelId"],
        channel_name=row["ChannelName"],
        channel_type=row["ChannelType"],
        outcome=row["Outcome"],
        reason=row["Reason"],
        answer=row["Answer"],
        status=row["Status"],
        attempts=row["Attempts"],
    )
