"""Channels and deliveries with a real store: what is kept, what the API tells of it, and that nothing is sent twice or lost."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from collector import metrics
from collector.api import alert_deliveries, channels
from collector.clock import Clock
from collector.control.objects import Objects, ObjectStore
from collector.egress.policy import for_notifications
from collector.monitor.alerts.events import AlertEvent
from collector.monitor.channels.deliveries import Deliveries
from collector.monitor.channels.http_sending import HttpSender
from collector.monitor.channels.outcomes import Delivery, Outcomes
from collector.monitor.channels.sender import Sender
from collector.monitor.channels.settings import CHANNELS, ChannelSettings
from collector.monitor.secrets import NamedSecrets
from collector.telemetry import Telemetry
from config.secrets import Secret
from exporters.clickhouse.client import ClickHouseClient, ClickHouseUnavailable
from exporters.clickhouse.schema import SchemaSettings
from tests.support.alert_events import alert_event
from tests.support.channel_receivers import Receiver, receiving
from tests.support.clickhouse import ClickHouse
from tests.support.waiting import until
from tests.support.workspace_port import WorkspacePort, workspace_port

EPOCH = time.time_ns()
"""Tables forget what is long ago, so that tests begin now."""
HOUR_S = 3600.0
GIVE_UP_S = 2 * HOUR_S
SECRET = "Bearer s3cr3t-of-the-operator"
FAULT = (500, {}, "out of order")


@dataclass
class TurnedClock:
    """A clock that passes while somebody sleeps, and at no other time.

    Attributes:
        passed_s: since the beginning.
        naps: so long was slept, in order.
    """

    passed_s: float = 0.0
    naps: list[float] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.passed_s, lambda: EPOCH + int(self.passed_s * 1e9))

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.passed_s += seconds
        await asyncio.sleep(0)


class Forgetful(Outcomes):
    """A table that is away when told so.

    Attributes:
        away: whether it is, for what is done.
    """

    away = False

    async def keep(self, workspace: str, delivery: Delivery) -> None:
        if self.away and delivery.outcome != "retrying":
            raise ClickHouseUnavailable("away", sent=False)
        await super().keep(workspace, delivery)


@dataclass
class World:
    """A store, the other side, and what lies between."""

    client: ClickHouseClient
    schema: SchemaSettings
    receiver: Receiver
    stack: AsyncExitStack
    time: TurnedClock = field(default_factory=TurnedClock)
    workspace: str = field(default_factory=lambda: f"w-{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.outcomes = Forgetful(self.client, self.schema)
        self.telemetry = Telemetry("test", self.time.clock)
        self.objects: ObjectStore[ChannelSettings] = Objects(self.client, self.client.database).of(CHANNELS)

    def deliveries(self, sleep: Callable[[float], Awaitable[None]] | None = None) -> Deliveries:
        policy = for_notifications(["127.0.0.1"], "extensions.alerting.notifications.allowed_destinations")
        secrets = {
            "token": Secret(value=SecretStr(SECRET), workspaces=("*",)),
            "slack": Secret(value=SecretStr(f"{self.receiver.url}/services/T0/B0/secret-path"), workspaces=("*",)),
        }
        named = NamedSecrets(secrets, "extensions.alerting.secrets")
        sender = Sender(HttpSender(policy, 10.0), policy, None, (), named, "", self.time.clock.now)
        made = Deliveries(
            self.objects, self.outcomes, sender, GIVE_UP_S, self.telemetry, self.time.clock, sleep or self.time.sleep
        )
        self.stack.push_async_callback(made.close)
        return made

    def settings(self, url: str = "", **others: Any) -> ChannelSettings:
        target = {"type": "alertmanager", "url": url or self.receiver.url, "authorization": {"secret": "token"}}
        return ChannelSettings.model_validate({"name": "ops", "target": target, **others}, strict=False)

    async def channel(self, url: str = "", **others: Any) -> str:
        return str((await self.objects.create(self.workspace, self.settings(url, **others), "ann")).id)

    def event(self, **changes: Any) -> AlertEvent:
        return alert_event(**{"workspace": self.workspace, "key": uuid.uuid4().hex, **changes})

    async def kept(self, **which: str) -> list[Delivery]:
        return await self.outcomes.page(self.workspace, 0, EPOCH + 10**15, 1000, **which)


@pytest.fixture
async def world(embedded_clickhouse: ClickHouse, embedded_database: str) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(ClickHouseClient([embedded_clickhouse.url], database=embedded_database))
        receiver = await stack.enter_async_context(receiving())
        yield World(client, SchemaSettings(database=embedded_database), receiver, stack)


async def test_an_outage_of_an_hour_is_waited_out_and_the_event_is_delivered_once(world: World) -> None:
    channel, event = await world.channel(), world.event()
    world.receiver.decide = lambda: FAULT if world.time.passed_s < HOUR_S else None
    during: list[Delivery] = []

    async def sleep(seconds: float) -> None:
        await world.time.sleep(seconds)
        during[:] = await world.kept()

    await world.deliveries(sleep).deliver(event, [channel])
    [kept] = await world.kept()
    attempts = len(world.receiver.received)
    assert (kept.outcome, kept.reason, kept.status, kept.attempts) == ("delivered", "", 200, attempts)
    assert (kept.started_at, kept.event_key, kept.what, kept.channel_name) == (EPOCH, event.key, "fired", "ops")
    assert kept.at >= EPOCH + HOUR_S * 1e9
    assert {received.headers["Idempotency-Key"] for received in world.receiver.received} == {event.key}
    # While it was tried again, this could be seen.
    assert [(each.outcome, each.reason, each.answer) for each in during] == [("retrying", "server_error", "out of order")]
    # From a second, twice as long each time, to five minutes, each give or take a half.
    assert 15 < attempts < 40
    assert all(0.5 * 2**number <= nap <= 1.5 * 2**number for number, nap in enumerate(world.time.naps[:8]))
    assert max(world.time.naps) <= 450
    # It is known to be done, by whoever asks.
    await world.deliveries().deliver(event, [channel])
    assert len(world.receiver.received) == attempts


async def test_what_cannot_be_delivered_is_given_up_after_its_time_and_what_is_refused_at_once(world: World) -> None:
    channel, deliveries = await world.channel(), world.deliveries()
    world.receiver.decide = lambda: (429, {"Retry-After": "290"}, "slow down")
    await deliveries.deliver(world.event(), [channel])
    [kept] = await world.kept()
    assert (kept.outcome, kept.reason, kept.status, kept.answer) == ("failed", "throttled", 429, "slow down")
    assert kept.attempts == len(world.time.naps) + 1
    assert all(nap >= 290 for nap in world.time.naps)
    assert GIVE_UP_S <= world.time.passed_s < GIVE_UP_S + 450

    world.time.naps.clear()
    world.receiver.decide = lambda: (401, {}, f"what is {SECRET}?")
    event = world.event()
    await deliveries.deliver(event, [channel])
    [refused] = [each for each in await world.kept(outcome="failed") if each.event_key == event.key]
    assert (refused.reason, refused.status, refused.answer, refused.attempts) == ("rejected", 401, "what is ***?", 1)
    assert world.time.naps == []


async def test_a_channel_that_hangs_holds_up_no_other_one(world: World) -> None:
    hanging, other = await world.channel(name="hanging"), await world.channel(f"{world.receiver.url}/")
    deliveries = world.deliveries()
    stuck = [world.event(incident=f"stuck {number}") for number in range(6)]
    free = [world.event(incident=f"free {number}") for number in range(20)]
    stuck_keys = {event.key for event in stuck}
    world.receiver.decide = lambda: "hang" if world.receiver.received[-1].headers["Idempotency-Key"] in stuck_keys else None
    waiting = [asyncio.create_task(deliveries.deliver(event, [hanging])) for event in stuck]
    await until(lambda: len(world.receiver.received) == 4)
    for event in free:
        await deliveries.deliver(event, [other])
    assert [each.outcome for each in await world.kept(channel=other)] == ["delivered"] * 20
    # Of what hangs, no more than a few attempts are made at once.
    assert sum(received.headers["Idempotency-Key"] in stuck_keys for received in world.receiver.received) == 4
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    # Whoever takes over sends what was under way again, by the same keys.
    world.receiver.decide = lambda: None
    again = world.deliveries()
    for event in stuck:
        await again.deliver(event, [hanging])
    assert sorted(each.event_key for each in await world.kept(channel=hanging)) == sorted(stuck_keys)


async def test_the_end_of_an_incident_does_not_overtake_its_beginning(world: World) -> None:
    channel, deliveries = await world.channel(), world.deliveries()
    world.receiver.script = [FAULT] * 5
    events = [world.event(what=what) for what in ("fired", "repeated", "resolved")]
    # Each is given twice, as by one who is not sure whether it was.
    await asyncio.gather(*(deliveries.deliver(event, [channel]) for event in events for _ in range(2)))
    keys = [event.key for event in events]
    assert [received.headers["Idempotency-Key"] for received in world.receiver.received] == [keys[0]] * 6 + keys[1:]


async def test_a_channel_that_is_gone_or_off_or_wants_to_hear_nothing_is_left_alone(world: World) -> None:
    off, deaf = await world.channel(enabled=False), await world.channel(events=["resolved"])
    foreign = str((await world.objects.create("elsewhere", world.settings(), "zoe")).id)
    nobody = str(uuid.UUID(int=7))
    await world.deliveries().deliver(world.event(), [off, deaf, foreign, nobody, "no id at all", nobody])
    assert {each.channel_id: each.outcome for each in await world.kept()} == {
        off: "disabled",
        foreign: "gone",
        nobody: "gone",
        "no id at all": "gone",
    }
    assert world.receiver.received == []
    assert world.telemetry.value(metrics.NOTIFICATIONS, "alertmanager", "disabled") == 1
    assert world.telemetry.value(metrics.NOTIFICATIONS, "", "gone") == 3


async def test_what_was_taken_is_not_sent_again_though_the_store_was_away(world: World) -> None:
    channel, deliveries, event = await world.channel(), world.deliveries(), world.event()
    world.outcomes.away = True
    for _ in range(3):
        with pytest.raises(ClickHouseUnavailable):
            await deliveries.deliver(event, [channel])
    assert await world.kept() == []
    world.outcomes.away = False
    await deliveries.deliver(event, [channel])
    assert [each.outcome for each in await world.kept()] == ["delivered"]
    assert len(world.receiver.received) == 1


async def test_a_crash_at_any_moment_loses_nothing_and_repeats_an_event_by_the_same_key_at_most(world: World) -> None:
    chance = random.Random(1)
    places = [await world.channel(f"{world.receiver.url}{'/' * number}") for number in range(3)]
    interrupted = 0
    for _ in range(15):
        event = world.event()
        dying = asyncio.create_task(world.deliveries().deliver(event, places))
        for _ in range(chance.randrange(1500)):
            await asyncio.sleep(0)
        interrupted += dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        settled = {each.channel_id for each in await world.kept() if each.event_key == event.key}
        before = len(world.receiver.received)
        await world.deliveries().deliver(event, places)
        # What was on its way to the table may have come there since.
        assert len(world.receiver.received) - before <= len(places) - len(settled)
        kept = [each for each in await world.kept() if each.event_key == event.key]
        assert sorted(each.channel_id for each in kept) == sorted(places)
        assert {each.outcome for each in kept} == {"delivered"}
        came = [received.headers["Idempotency-Key"] for received in world.receiver.received].count(event.key)
        assert len(places) <= came <= 2 * len(places)
    assert interrupted


async def test_a_channel_that_is_mended_while_it_is_tried_again_is_used_as_it_is_by_then(world: World) -> None:
    channel = await world.channel("http://127.0.0.1:1")

    async def mend(seconds: float) -> None:
        await world.time.sleep(seconds)
        stored = await world.objects.get(world.workspace, uuid.UUID(channel))
        assert stored is not None
        await world.objects.change(stored, world.settings(), "ann")

    await world.deliveries(mend).deliver(world.event(), [channel])
    assert [(each.outcome, each.attempts) for each in await world.kept()] == [("delivered", 2)]


@pytest.fixture
async def port(world: World) -> AsyncIterator[WorkspacePort]:
    routes, components = (*channels.ROUTES, *alert_deliveries.ROUTES), {**channels.COMPONENTS, **alert_deliveries.COMPONENTS}
    parts = {"deliveries": world.deliveries(), "now": lambda: world.time.clock.now() + 10**9}
    async with workspace_port(world.client, routes, components, **parts) as running:
        yield running


def alertmanager(url: str, **others: Any) -> dict[str, Any]:
    return {"type": "alertmanager", "url": url, "authorization": {"secret": "token"}, **others}


async def test_channels_are_made_tried_out_and_changed_over_the_api(world: World, port: WorkspacePort) -> None:
    body = {"name": "ops", "target": alertmanager(world.receiver.url)}
    made = await port.ask("POST", "channels", body)
    assert made.status == 201
    channel = made.json
    assert channel["target"] == {**alertmanager(world.receiver.url), "resolveAfterS": 86400}
    one = f"channels/{channel['id']}"
    assert (await port.ask("POST", f"{one}/test")).json["delivered"] is True
    assert world.receiver.received[-1].headers["Authorization"] == SECRET
    world.receiver.script = [(500, {}, f"no such thing as {SECRET}")]
    failed = (await port.ask("POST", f"{one}/test")).json
    assert (failed["delivered"], failed["reason"], failed["status"]) == (False, "server_error", 500)
    assert failed["answer"] == "no such thing as ***"
    changed = await port.ask("PATCH", one, {"enabled": False, "leastSeverity": "error"}, version=1)
    assert (changed.json["enabled"], changed.json["version"]) == (False, 2)
    # One who wants to know whether a channel works need not enable it first.
    assert (await port.ask("POST", f"{one}/test")).json["delivered"] is True
    # Who may read sees channels; who is in another workspace sees none of them, and sends nothing by them.
    assert [each["id"] for each in (await port.as_("ben").ask("GET", "channels")).json["channels"]] == [channel["id"]]
    assert (await port.as_("ben").ask("POST", f"{one}/test")).status == 403
    for method, path in (("GET", one), ("POST", f"{one}/test"), ("DELETE", one)):
        assert (await port.as_("zoe").ask(method, path, where="theirs", version=2)).status == 404
    assert (await port.as_("zoe").ask("GET", "channels", where="theirs")).json["channels"] == []
    assert len(world.receiver.received) == 3
    rows = await world.client.query("SELECT Body FROM otel_objects")
    assert "s3cr3t" not in str(list(rows.rows()))


async def test_channels_that_cannot_be_are_refused_with_what_would_be_right(world: World, port: WorkspacePort) -> None:
    good = world.receiver.url

    async def refused(target: Mapping[str, Any], **others: Any) -> str:
        answer = await port.ask("POST", "channels", {"name": "ops", "target": target, **others})
        assert answer.status == 400
        return str(answer.json["detail"])

    assert "events[0]: must be one of fired, repeated, acknowledged, resolved" in await refused(
        alertmanager(good), events=["all"]
    )
    assert "target.url: must begin with http:// or https://" in await refused(alertmanager("ftp://example.com"))
    assert "did you mean token?" in await refused({**alertmanager(good), "authorization": {"secret": "tokem"}})
    assert "10.0.0.1:9093 leads to a private address; name it in" in await refused(alertmanager("http://10.0.0.1:9093"))
    assert "the collector knows no mail server" in await refused({"type": "email", "to": ["ops@example.com"]})
    both = await refused({"type": "email", "to": ["nobody"]}, leastSeverity="bad")
    assert "target.to[0]: must be a mail address" in both
    assert "leastSeverity: must be one of critical, error, warning, info" in both


async def test_what_became_of_notifications_is_listed_page_by_page(world: World, port: WorkspacePort) -> None:
    world.workspace = "mine"
    deliveries = world.deliveries()
    first, second = await world.channel(name="first"), await world.channel("http://127.0.0.1:1", name="second", enabled=False)
    events = [world.event(alert_id=uuid.UUID(int=number % 2), key=f"key-{number}") for number in range(5)]
    for event in events:
        await deliveries.deliver(event, [first, second])
        world.time.passed_s += 1

    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await port.as_("ben").ask("GET", "alert-deliveries", limit="3", **cursor)).json
        seen += page["deliveries"]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    places = [(each["eventKey"], each["channelName"], each["outcome"]) for each in seen]
    assert len(places) == 10
    assert set(places) == {(event.key, *rest) for event in events for rest in (("first", "delivered"), ("second", "disabled"))}
    assert [each["atUnixNano"] for each in seen] == sorted((each["atUnixNano"] for each in seen), reverse=True)

    async def keys(**which: str) -> list[str]:
        return [each["eventKey"] for each in (await port.ask("GET", "alert-deliveries", **which)).json["deliveries"]]

    assert await keys(channel=first, outcome="delivered", alert=str(uuid.UUID(int=1))) == ["key-3", "key-1"]
    assert await keys(channel=second, outcome="delivered") == []
    assert await keys(channel=first, end=str(EPOCH + 10**9)) == ["key-0"]
    assert (await port.as_("zoe").ask("GET", "alert-deliveries", where="theirs")).json["deliveries"] == []
    for wrong in ({"channel": "x"}, {"outcome": "lost"}, {"cursor": "x"}, {"limit": "0"}):
        assert (await port.ask("GET", "alert-deliveries", **wrong)).status == 400
