"""Load tests over the API: described, started, followed, cancelled, and what is stored of them, against a real ClickHouse."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # publishes no types

from collector.access import Gate
from collector.api.app import build_application, build_runner
from collector.api.guard import Guard
from collector.api.load_test_runs import ROUTES as RUN_ROUTES
from collector.api.load_tests import ROUTES as TEST_ROUTES
from collector.api.openapi import COMPONENTS
from collector.egress.policy import for_targets
from collector.monitor.load.figures import result
from collector.monitor.load.interval import Summary
from collector.monitor.load.run_store import RunStore
from collector.monitor.load.runs import LoadTests
from collector.monitor.secrets import NamedSecrets
from collector.tokens import Tokens
from config.access import TokensExtension
from config.load_tests import LoadTestsExtension
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.migrations import apply
from exporters.clickhouse.schema import SchemaSettings
from tests.support.answers import Answer
from tests.support.clickhouse import ClickHouse
from tests.support.targets import Target, serving_target
from tests.support.waiting import until

ANN, RAY, EVE = "ann-token-0123456789", "ray-token-0123456789", "eve-token-0123456789"
WORKSPACE = "/api/v1/workspaces/mine"
TESTS, RUNS = f"{WORKSPACE}/load-tests", f"{WORKSPACE}/load-test-runs"
LIMITS = {
    "max_runs": 4,
    "max_rate": 2000,
    "max_concurrency": 50,
    "max_duration": "30s",
    "allowed_targets": ["allowed.example"],
    "secrets": {
        "key": {"value": "s3cret", "workspaces": ["mine"]},
        "elsewhere": {"value": "s3cret", "workspaces": ["mine"], "destinations": ["shop.example"]},
        "theirs": {"value": "s3cret", "workspaces": ["theirs"]},
    },
}


@dataclass
class Port:
    """A running query port, and a server that is tested.

    Attributes:
        stored: where runs are.
        tester: what runs load tests there; None where none can be started.
    """

    url: str
    session: aiohttp.ClientSession
    target: Target
    stored: RunStore
    tester: LoadTests | None

    async def ask(self, method: str, path: str, body: Any = None, token: str = ANN, version: int = 0, **options: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}", **({"If-Match": f'"{version}"'} if version else {})}
        async with self.session.request(method, self.url + path, json=body, headers=headers, params=options) as response:
            answer = Answer(response.status, response.headers, await response.read())
        _check(method, path, answer)
        return answer

    async def create(self, path: str, **said: Any) -> str:
        request = {"kind": "http", "url": self.target.url(path), **said.pop("request", {})}
        answer = await self.ask("POST", TESTS, {"name": path, "request": request, **said})
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    async def start(self, path: str, **said: Any) -> str:
        answer = await self.ask("POST", f"{TESTS}/{await self.create(path, **said)}/runs")
        assert answer.status == 201, answer.body
        assert answer.headers["Location"] == f"{RUNS}/{answer.json['id']}"
        return str(answer.json["id"])

    async def events(self, run: str) -> list[tuple[str, Any]]:
        """All events of a run, to its end."""
        headers = {"Authorization": f"Bearer {RAY}"}
        async with self.session.get(f"{self.url}{RUNS}/{run}/events", headers=headers) as response:
            assert (response.status, response.content_type) == (200, "text/event-stream")
            text = await response.text()
        events = (event.split("\n") for event in text.strip().split("\n\n"))
        return [(name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))) for name, data in events]

    async def ended(self, run: str) -> Any:
        """A run and its result, once it has ended."""
        name, last = (await self.events(run))[-1]
        assert name == "end"
        # From the store now, no more from memory.
        await until(lambda: self.tester is None or not self.tester.active("mine", uuid.UUID(run)))
        found = (await self.ask("GET", f"{RUNS}/{run}")).json
        assert found == last
        return found


def _check(method: str, path: str, answer: Answer) -> None:
    """Whatever is answered has the form that the OpenAPI document promises."""
    parts = path.split("/")
    for route in (*TEST_ROUTES, *RUN_ROUTES):
        names = route.path.split("/")
        fits = len(names) == len(parts) and all(name == part or name[0:1] == "{" for name, part in zip(names, parts, strict=True))
        if fits and route.method == method:
            schema = (
                route.answers["application/json"] if answer.status == route.status else {"$ref": "#/components/schemas/Problem"}
            )
            Draft202012Validator({**(schema or {}), "components": {"schemas": COMPONENTS}}).validate(answer.json)
            return
    raise AssertionError(f"{method} {path} is no route")


def gate() -> Gate:
    tokens = [
        {"name": "ann", "token": ANN, "role": "admin", "workspaces": ["mine"]},
        {"name": "ray", "token": RAY, "role": "read", "workspaces": ["mine"]},
        {"name": "eve", "token": EVE, "role": "admin", "workspaces": ["theirs"]},
    ]
    return Gate("read", Tokens(TokensExtension.model_validate({"tokens": tokens}), "extensions.tokens"))


async def _lookup(host: str, port: int) -> list[str]:
    return {"rebound.example": ["127.0.0.1", "10.0.0.1"], "allowed.example": ["127.0.0.1"]}.get(host, [])


@asynccontextmanager
async def port_of(client: ClickHouseClient, target: Target, tester: LoadTests | None) -> AsyncIterator[Port]:
    runner = build_runner(build_application(client, guard=Guard(gate()), load_tester=tester))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield Port(url, session, target, RunStore(client, client.database), tester)
    await runner.cleanup()


@pytest.fixture
async def client(embedded_clickhouse: ClickHouse) -> AsyncIterator[ClickHouseClient]:
    database = f"loads_{uuid.uuid4().hex}"
    async with ClickHouseClient([embedded_clickhouse.url], database=database) as client:
        await apply(client, SchemaSettings(database=database))
        yield client
        await client.command(f"DROP DATABASE {database}", database="default")


def load_tester(client: ClickHouseClient) -> LoadTests:
    settings = LoadTestsExtension.model_validate(LIMITS)
    policy = for_targets(settings.allowed_targets, "extensions.load_tests.allowed_targets")
    secrets = NamedSecrets(settings.secrets, "extensions.load_tests.secrets")
    return LoadTests(settings, policy, secrets, RunStore(client, client.database), time.time_ns, _lookup)


@pytest.fixture
async def port(client: ClickHouseClient) -> AsyncIterator[Port]:
    async with serving_target() as target, load_tester(client) as tester, port_of(client, target, tester) as port:
        yield port


async def test_a_test_runs_is_followed_and_leaves_its_result(port: Port) -> None:
    fine, bad = await asyncio.gather(
        port.start(
            "/json",
            concurrency=4,
            requests=200,
            expectations={"jsonValues": [{"path": "$.items[0].id", "equals": 7}], "bodyContains": ["items"]},
            request={"method": "POST", "headers": {"Authorization": "Bearer ${secret:key}"}, "body": "{}"},
        ),
        port.start("/status/503", rate=50, duration="1s", concurrency=4),
    )
    progress = [data for name, data in await port.events(fine) if name == "progress"]
    assert progress[-1]["total"]["succeeded"] == 200
    found, failing = await port.ended(fine), await port.ended(bad)

    assert (found["state"], found["startedBy"], found["unanswered"]) == ("completed", "ann", 0)
    figures = found["result"]
    assert (figures["sent"], figures["succeeded"], figures["failed"], figures["statuses"]) == (
        200,
        200,
        0,
        [{"status": 200, "count": 200}],
    )
    assert "s3cret" not in orjson.dumps(found).decode()
    assert {headers["authorization"] for path, headers in port.target.requests if path == "/json"} == {"Bearer s3cret"}
    sent = port.target.trace_ids("/json")
    assert len(set(sent)) == len(sent) == 200
    slowest = figures["slowest"]
    assert len(slowest) == 20
    assert {each["traceId"] for each in slowest} <= set(sent)
    durations = [int(each["durationNanos"]) for each in slowest]
    assert durations == sorted(durations, reverse=True)
    assert figures["responseTime"]["max"] == slowest[0]["durationNanos"]

    bad_figures = failing["result"]
    assert (failing["state"], bad_figures["succeeded"], bad_figures["errorShare"]) == ("completed", 0, 1.0)
    assert bad_figures["failures"] == [{"cause": "status 503", "count": bad_figures["failed"], "example": ""}]
    assert {each["traceId"] for each in bad_figures["failedTraces"]} <= set(port.target.trace_ids("/status/503"))

    # In memory sums are added up one by one, in the store at once.
    run = await port.stored.get("mine", uuid.UUID(fine))
    assert run is not None
    added = Summary(at=0, seconds=0)
    steps = await port.stored.series(run, 1)
    for step in steps:
        added.add(step)
    assert result(added) == figures
    series = (await port.ask("GET", f"{RUNS}/{fine}/series", step="1s")).json
    assert [point["sent"] for point in series["points"]] == [step.sent for step in steps]

    listed = (await port.ask("GET", RUNS, token=RAY)).json
    assert {run["id"] for run in listed["runs"]} == {fine, bad}
    first = (await port.ask("GET", RUNS, limit="1")).json
    second = (await port.ask("GET", RUNS, limit="1", cursor=first["nextCursor"])).json
    assert [*first["runs"], *second["runs"]] == listed["runs"]
    assert [run["id"] for run in (await port.ask("GET", RUNS, loadTest=found["loadTest"])).json["runs"]] == [fine]

    compared = (await port.ask("GET", f"{RUNS}/{bad}/comparison", base=fine)).json
    by_name = {each["figure"]: each for each in compared["figures"]}
    p99 = by_name["responseTime.p99"]
    before, after = int(figures["responseTime"]["p99"]), int(bad_figures["responseTime"]["p99"])
    assert (p99["base"], p99["other"], p99["change"]) == (before, after, pytest.approx((after - before) / before))
    assert (by_name["errorShare"]["base"], by_name["errorShare"]["other"], by_name["errorShare"]["change"]) == (0.0, 1.0, None)


async def test_what_ends_early_says_why_and_keeps_what_it_has(port: Port, client: ClickHouseClient) -> None:
    cancelled, killed, stopped, interrupted = await asyncio.gather(
        port.start("/slow/5", duration="30s", concurrency=2),
        port.start("/slow/6", duration="30s", concurrency=2),
        port.start("/status/500", duration="30s", concurrency=2, stopWhen={"errorShareAbove": 0.5}),
        port.start("/slow/7", duration="30s", concurrency=2),
    )
    tester = port.tester
    assert tester is not None

    refused = await port.ask("POST", f"{TESTS}/{await port.create('/json', requests=1)}/runs")
    assert (refused.status, refused.json["title"]) == (409, "Too many load tests")

    def has_begun(run: str) -> bool:
        active = tester.active("mine", uuid.UUID(run))
        return active is not None and active.total.succeeded > 0

    for run in (cancelled, killed, interrupted):
        await until(lambda run=run: has_begun(run))  # type: ignore[misc]  # mypy does not infer lambdas with defaults
    assert (await port.ask("POST", f"{RUNS}/{cancelled}/cancel", token=RAY)).status == 403
    assert (await port.ask("POST", f"{RUNS}/{cancelled}/cancel")).status == 202
    active = tester.active("mine", uuid.UUID(killed))
    assert active is not None
    assert active.pid is not None
    os.kill(active.pid, signal.SIGKILL)

    first, second, third = [await port.ended(run) for run in (cancelled, killed, stopped)]
    assert (first["state"], first["endedBy"]) == ("cancelled", "ann")
    assert first["result"]["sent"] == first["result"]["succeeded"] + first["result"]["failed"] + first["unanswered"]
    assert (second["state"], second["reason"]) == ("failed", "The load generator has ended by signal 9.")
    assert second["result"]["succeeded"] > 0
    assert (third["state"], third["result"]["succeeded"]) == ("stopped", 0)
    assert third["reason"].startswith("100.0% of the last ")
    assert (await port.ask("POST", f"{RUNS}/{stopped}/cancel")).json["detail"] == "The run is stopped."

    # The daemon ends in order, ...
    await tester.__aexit__(None, None, None)
    fourth = await port.ended(interrupted)
    assert (fourth["state"], fourth["endedAtUnixNano"] is None) == ("interrupted", False)
    assert fourth["result"]["succeeded"] > 0
    # ... or it did not: its run is silent then.
    run = await port.stored.get("mine", uuid.UUID(interrupted))
    assert run is not None
    left = str(uuid.UUID(int=9))
    values = f"('mine', '{left}', 'left', '{{}}', 'running', now64(9) - 60)"
    await client.command(f"INSERT INTO otel_load_test_runs (Workspace, Id, Name, Body, State, StartedAt) VALUES {values}")
    silent = await port.stored.get("mine", uuid.UUID(int=9))
    assert silent is not None
    assert (silent.state, silent.ended_at) == ("interrupted", None)
    await client.command(
        f"INSERT INTO otel_load_test_progress (Workspace, RunId, Number, Sent) VALUES ('mine', '{uuid.UUID(int=9)}', 0, 5)"
    )
    alive = await port.stored.get("mine", uuid.UUID(int=9))
    assert alive is not None
    assert alive.state == "running"
    elsewhere = await port.ask("POST", f"{RUNS}/{left}/cancel")
    assert (elsewhere.status, elsewhere.json["detail"]) == (409, "The run runs on another collector; ask that one.")


async def test_nothing_is_sent_where_it_must_not_go(port: Port, client: ClickHouseClient) -> None:
    async def started(url: str, **request: Any) -> Answer:
        made = await port.ask("POST", TESTS, {"name": url, "requests": 1, "request": {"kind": "http", "url": url, **request}})
        assert made.status == 201, made.body
        return await port.ask("POST", f"{TESTS}/{made.json['id']}/runs")

    for url, said in (
        ("http://10.0.0.1/", "a private address"),
        ("http://169.254.169.254/latest", "metadata"),
        ("http://rebound.example/", "a private address"),
        ("http://[::ffff:10.0.0.1]/", "a private address"),
        ("http://127.0.0.1:22/", "another protocol"),
    ):
        answer = await started(url)
        assert (answer.status, answer.json["title"]) == (403, "Target not allowed"), url
        assert said in answer.json["detail"]
    nowhere = await started("http://nowhere.example/")
    assert (nowhere.status, nowhere.json["title"]) == (400, "Target not found")
    here = port.target.url("/json")
    for name, said in (("theirs", "no secret that this workspace may use"), ("elsewhere", "may not be sent to 127.0.0.1")):
        answer = await started(here, headers={"X-Key": f"${{secret:{name}}}"})
        assert answer.status == 400
        assert said in answer.json["detail"]

    refused = await port.ask(
        "POST",
        TESTS,
        {
            "name": "",
            "request": {"kind": "http", "url": "ftp://x/", "headers": {"Host": "x", "A": "b\r\nc"}},
            "timeout": "0s",
            "expectations": {"status": ["20"], "jsonValues": [{"path": "items", "equals": 1}]},
        },
    )
    assert {error["field"].split(".")[0].split("[")[0] for error in refused.json["errors"]} == {
        "name",
        "request",
        "timeout",
        "expectations",
    }
    endless = await port.ask("POST", TESTS, {"name": "x", "request": {"kind": "http", "url": here}})
    assert "must have requests, duration, or both" in endless.json["detail"]
    beyond = await port.ask(
        "POST", TESTS, {"name": "x", "request": {"kind": "http", "url": here}, "concurrency": 51, "rate": 2001, "duration": "31s"}
    )
    assert [error["field"] for error in beyond.json["errors"]] == ["concurrency", "rate", "duration"]

    # A redirect is an answer like another: nobody follows it.
    allowed = await port.ask(
        "POST",
        TESTS,
        {
            "name": "x",
            "requests": 3,
            "request": {"kind": "http", "url": f"http://allowed.example:{port.target.port}/redirect"},
            "expectations": {"status": ["302"]},
        },
    )
    run = (await port.ask("POST", f"{TESTS}/{allowed.json['id']}/runs")).json["id"]
    assert (await port.ended(run))["result"]["succeeded"] == 3
    assert [path for path, _ in port.target.requests] == ["/redirect"] * 3

    # Another workspace finds neither test nor run, and readers start nothing.
    theirs = "/api/v1/workspaces/theirs"
    assert (await port.ask("POST", f"{TESTS}/{allowed.json['id']}/runs", token=RAY)).status == 403
    assert (await port.ask("POST", f"{theirs}/load-tests/{allowed.json['id']}/runs", token=EVE)).status == 404
    for method, path in (("GET", ""), ("GET", "/series"), ("GET", "/events"), ("POST", "/cancel")):
        assert (await port.ask(method, f"{theirs}/load-test-runs/{run}{path}", token=EVE)).status == 404
    assert (await port.ask("GET", f"{theirs}/load-test-runs", token=EVE)).json["runs"] == []

    async with port_of(client, port.target, None) as off:
        answer = await off.ask("POST", f"{TESTS}/{allowed.json['id']}/runs")
        assert (answer.status, answer.json["title"]) == (403, "Load tests are off")
        assert (await off.ask("GET", f"{RUNS}/{run}")).json["state"] == "completed"
