"""A running daemon tells every kind of channel what a rule has to say, once, though it is stopped in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.support.channel_receivers import Receiver, receiving
from tests.support.daemon import Daemon, daemon_in
from tests.support.mail_server import MailServer, mail_server
from tests.support.waiting import until

pytestmark = pytest.mark.soak

PATH = "/api/v1/workspaces/default"


@pytest.fixture
async def others() -> AsyncIterator[tuple[Receiver, MailServer]]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(receiving()), await stack.enter_async_context(mail_server())


@pytest.fixture
def daemon(tmp_path: Path, others: tuple[Receiver, MailServer]) -> Any:
    receiver, mail = others
    with daemon_in(tmp_path) as made:
        document = yaml.safe_load(made.file.read_text())
        document["extensions"]["alerting"] = {
            "secrets": {
                "slack": {"value": "${env:SLACK}"},
                "pager": {"value": "${env:PAGER}"},
                "key": {"value": "${env:KEY}"},
            },
            "smtp": {"endpoint": f"localhost:{mail.port}", "encryption": "none", "sender": "alerts@example.com"},
            "notifications": {"allowed_destinations": ["127.0.0.1"]},
        }
        document["service"]["extensions"].append("alerting")
        made.file.write_text(yaml.safe_dump(document, sort_keys=False))
        made.environment = {"SLACK": f"{receiver.url}/services/T0/B0/secret-path", "PAGER": "p" * 32, "KEY": "k" * 32}
        yield made


def targets(url: str) -> list[dict[str, Any]]:
    return [
        {"type": "slack", "url": {"secret": "slack"}},
        {"type": "email", "to": ["ops@example.com"]},
        {"type": "pagerduty", "routingKey": {"secret": "pager"}, "url": f"{url}/v2/enqueue"},
        {"type": "webhook", "url": f"{url}/hook", "signingKey": {"secret": "key"}},
        {"type": "alertmanager", "url": url},
    ]


async def test_every_channel_hears_of_a_rule_once_over_a_restart(daemon: Daemon, others: tuple[Receiver, MailServer]) -> None:
    receiver, mail = others
    receiver.decide = lambda: "hang" if receiver.received[-1].service == "slack" else None
    await asyncio.to_thread(daemon.start)
    await asyncio.to_thread(daemon.await_ready)

    async with aiohttp.ClientSession(f"http://127.0.0.1:{daemon.ports.query}") as session:

        async def ask(method: str, path: str, body: Any = None) -> Any:
            async with session.request(method, f"{PATH}/{path}", json=body) as answer:
                assert answer.status < 300, await answer.text()
                return await answer.json()

        ids = [
            (await ask("POST", "channels", {"name": target["type"], "target": target}))["id"] for target in targets(receiver.url)
        ]
        condition = {"measure": "latency", "of": "p99", "above": "500ms"}
        rule = await ask("POST", "alert-rules", {"name": "Checkout is slow", "condition": condition, "channels": ids})
        await ask("POST", f"alert-rules/{rule['id']}/test")

        def came() -> list[str]:
            return sorted(received.service for received in receiver.received)

        await until(lambda: came() == ["alertmanager", "pagerduty", "pagerduty", "slack", "webhook"] and len(mail.messages) == 1)

        async def outcomes() -> list[tuple[str, str]]:
            listed = (await ask("GET", "alert-deliveries"))["deliveries"]
            return sorted((each["channelName"], each["outcome"]) for each in listed)

        taken = [(name, "delivered") for name in ("alertmanager", "email", "pagerduty", "webhook")]

        async def all_but_one() -> bool:
            return await outcomes() == taken

        await until(all_but_one)
    # Slack has heard of it and said nothing when the daemon is stopped.
    assert await asyncio.to_thread(daemon.stop) == 0, daemon.log
    receiver.decide = lambda: None
    await asyncio.to_thread(daemon.start)

    async with aiohttp.ClientSession(f"http://127.0.0.1:{daemon.ports.query}") as session:

        async def all_of_them() -> bool:
            return await outcomes() == sorted([*taken, ("slack", "delivered")])

        await until(all_of_them)
    assert came() == ["alertmanager", "pagerduty", "pagerduty", "slack", "slack", "webhook"]
    assert len(mail.messages) == 1
    assert len({received.headers["Idempotency-Key"] for received in receiver.received}) == 1
    assert receiver.faults == []
    assert mail.messages[0]["Subject"].startswith("[")
    assert "secret-path" not in daemon.log
    assert await asyncio.to_thread(daemon.stop) == 0, daemon.log
