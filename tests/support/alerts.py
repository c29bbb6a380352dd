"""Collectors that watch alert rules in a real ClickHouse, with a clock that tests turn, and a receiver that remembers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from collector.clock import Clock
from collector.control.objects import Objects, ObjectStore
from collector.monitor.alerts.book import RuleBook
from collector.monitor.alerts.dispatch import Dispatcher
from collector.monitor.alerts.evaluation import Evaluator
from collector.monitor.alerts.events import AlertEvent
from collector.monitor.alerts.log import AlertLog
from collector.monitor.alerts.rules import ALERT_RULES, AlertRule
from collector.query.store import SpanStore
from collector.telemetry import Telemetry
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.migrations import apply
from exporters.clickhouse.schema import SchemaSettings
from tests.support.clickhouse import ClickHouse

SECOND = 10**9
MINUTE = 60 * SECOND
START = 1_800_000_000 * SECOND // (60 * MINUTE) * 60 * MINUTE
"""A whole hour, nanoseconds since 1970."""
CHANNEL = uuid.UUID(int=7)
WORKSPACE = "shop"

_RATES = """
INSERT INTO otel_red_minute
SELECT Workspace, ServiceName, toStartOfMinute(Timestamp), SpanName, SpanKind, StatusCode, '', sum(AdjustedCount),
    sum(AdjustedCount * Duration), min(Duration), max(Duration),
    sumMap(map(toInt16(if(Duration = 0, -1, ceil(log2(Duration) * 32))), AdjustedCount))
FROM otel_traces WHERE Timestamp >= fromUnixTimestamp64Nano({start:Int64}) AND Timestamp < fromUnixTimestamp64Nano({end:Int64})
GROUP BY ALL
"""


@dataclass(frozen=True)
class SpanOf:
    """What a test says of a span."""

    at: int
    duration: int = SECOND
    service: str = "cart"
    operation: str = "GET /"
    kind: str = "Server"
    failed: bool = False
    count: float = 1.0
    attributes: dict[str, str] = field(default_factory=dict)
    trace_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass
class Inbox:
    """A receiver that takes each idempotency key once, as the outcomes of channels do, and remembers all that it was sent."""

    events: list[AlertEvent] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)

    async def deliver(self, event: AlertEvent, channels: Sequence[str]) -> None:
        for channel in channels:
            if (event.key, channel) not in self.sent:
                self.events.append(event)
            self.sent.append((event.key, channel))

    @property
    def whats(self) -> list[str]:
        return [event.what for event in self.events]


@dataclass
class Shop:
    """A database, and the time of all collectors that share it."""

    client: ClickHouseClient
    schema: SchemaSettings
    now: int = START
    inbox: Inbox = field(default_factory=Inbox)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now / 1e9, lambda: self.now)

    @property
    def store(self) -> SpanStore:
        return SpanStore(self.client)

    @property
    def objects(self) -> Objects:
        return Objects(self.client, self.schema.database)

    @property
    def rules(self) -> ObjectStore[AlertRule]:
        return self.objects.of(ALERT_RULES)

    async def rule(self, condition: dict[str, Any], workspace: str = WORKSPACE, **settings: Any) -> uuid.UUID:
        document = {"name": "rule", "condition": condition, "channels": [str(CHANNEL)], **settings}
        rule = AlertRule.model_validate_json(orjson.dumps(document))
        return (await self.rules.create(workspace, rule, "ann")).id

    async def spans(self, spans: Iterable[SpanOf], workspace: str = WORKSPACE) -> None:
        """Store spans, and what is counted of them."""
        rows = [
            {
                "Timestamp": f"{span.at // SECOND}.{span.at % SECOND:09}",
                "TraceId": span.trace_id,
                "SpanId": span.trace_id[:16],
                "SpanName": span.operation,
                "SpanKind": span.kind,
                "ServiceName": span.service,
                "SpanAttributes": span.attributes,
                "Duration": span.duration,
                "StatusCode": "Error" if span.failed else "Ok",
                "Workspace": workspace,
                "AdjustedCount": span.count,
            }
            for span in spans
        ]
        await self.client.insert("INSERT INTO otel_traces FORMAT JSONEachRow", b"\n".join(map(orjson.dumps, rows)))
        times = [span.at for span in spans]
        await self.client.command("TRUNCATE TABLE otel_red_minute")
        await self.client.command("TRUNCATE TABLE otel_red_quarter_hour")
        await self.client.command(_RATES, {"start": 0, "end": max(times) + 2**60}, settings={"insert_deduplicate": 0})

    def collector(self, client: ClickHouseClient | None = None, evaluated: int = 0) -> Collector:
        """One more collector, which takes over from one that has evaluated all up to then, if any has."""
        return Collector(self, client or self.client, evaluated)


class Collector:
    """Evaluates and sends when it is told to."""

    def __init__(self, shop: Shop, client: ClickHouseClient, evaluated: int) -> None:
        self.telemetry = telemetry = Telemetry("1", shop.clock)
        self.shop = shop
        self.log = AlertLog(client, shop.schema)
        self.book = RuleBook(Objects(client, shop.schema.database))
        self.evaluator = Evaluator(SpanStore(client), self.log, self.book, 0, telemetry, shop.clock, evaluated=evaluated)
        self.dispatcher = Dispatcher(self.log, shop.inbox, telemetry, shop.clock)

    async def open(self) -> Collector:
        await self.book.look()
        await self.evaluator.recorder.load()
        return self

    async def minute(self, minutes: int = 1) -> None:
        """Let whole minutes pass, evaluate for each, and send what comes of it."""
        for _ in range(minutes):
            self.shop.now = (self.shop.now // MINUTE + 1) * MINUTE
            await self.evaluate()
        await self.send()

    async def evaluate(self) -> None:
        """Evaluate what is due in this minute."""
        await self.book.look()
        begun = await self.evaluator.due()
        end = self.shop.now // MINUTE * MINUTE
        self.shop.now += 45 * SECOND
        for batch in [*begun, *await self.evaluator.due()]:
            await self.evaluator.evaluate(batch, end)

    async def catch_up(self) -> None:
        """Evaluate what was missed, and wait for all of it."""
        async with asyncio.TaskGroup() as evaluations:
            await self.evaluator.catch_up(evaluations)

    async def send(self) -> None:
        """Send what there is to be sent, and write down that it was."""
        sending = asyncio.create_task(self.dispatcher.run())
        try:
            while not self.dispatcher.looked_at(await self.log.head()) or not self.dispatcher.is_idle:
                await asyncio.sleep(0.002)
                if sending.done():
                    sending.result()
        finally:
            sending.cancel()
            await asyncio.wait([sending])


class Crash(BaseException):
    """The process is gone."""


class CrashingClient(ClickHouseClient):
    """Takes the process down at one of its requests: before it is sent, or when it was answered."""

    left = 1 << 30
    after = False

    async def _request(self, *arguments: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Crash
        answer = await super()._request(*arguments, **named)
        if self.left == 0:
            raise Crash
        return answer


@asynccontextmanager
async def crashing_client(shop: Shop) -> AsyncIterator[CrashingClient]:
    """A client of the shop's database that takes the process down when it is told to."""
    async with CrashingClient([str(shop.client._endpoints[0])], database=shop.client.database) as client:
        yield client


def slow(minutes: range, duration: int = 3 * SECOND, **fields: object) -> list[SpanOf]:
    """Four spans in each minute."""
    return [
        SpanOf(START + minute * MINUTE + number * SECOND, duration, **fields)  # type: ignore[arg-type]  # as SpanOf
        for minute in minutes
        for number in range(4)
    ]


@asynccontextmanager
async def opened_shop(clickhouse: ClickHouse, database: str) -> AsyncIterator[Shop]:
    """A database that was made, with nothing in its tables."""
    schema = SchemaSettings(database=database)
    async with ClickHouseClient([clickhouse.url], database=database) as client:
        for table in ("otel_traces", "otel_red_minute", "otel_red_quarter_hour", "otel_objects"):
            await client.command(f"TRUNCATE TABLE {table}")
        # Made anew, they remember no tokens.
        for table in ("otel_alert_events", "otel_alert_claims"):
            await client.command(f"DROP TABLE {table} SYNC")
        await apply(client, schema)
        yield Shop(client, schema)
