"""A query port whose callers may send load tests and requests to a server, all in one process."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # publishes no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.access import Gate
from collector.api.app import build_application, build_runner
from collector.api.failure_rules import ROUTES as FAILURE_ROUTES
from collector.api.guard import Guard
from collector.api.load_test_runs import ROUTES as RUN_ROUTES
from collector.api.load_tests import ROUTES as TEST_ROUTES
from collector.api.openapi import COMPONENTS
from collector.api.saved_requests import ROUTES as REQUEST_ROUTES
from collector.control.objects import Objects
from collector.egress.policy import for_targets
from collector.monitor.failures.tally import InjectedFailures
from collector.monitor.load.run_store import RunStore
from collector.monitor.load.runs import LoadTests
from collector.monitor.outgoing import Outgoing
from collector.monitor.own_spans import OwnSpans
from collector.monitor.reach import Reach
from collector.monitor.requests.execution_store import ExecutionStore
from collector.monitor.requests.executor import Executor
from collector.monitor.secrets import NamedSecrets
from collector.tokens import Tokens
from config.access import TokensExtension
from config.load_tests import LoadTestsExtension
from exporters.clickhouse.client import ClickHouseClient
from proto.otlp_encode import encode_request
from tests.support.answers import Answer
from tests.support.receivers import ListConsumer
from tests.support.targets import Target
from tests.support.waiting import until

ANN, RAY, EVE = "ann-token-0123456789", "ray-token-0123456789", "eve-token-0123456789"
WORKSPACE = "/api/v1/workspaces/mine"
REQUESTS, EXECUTIONS = f"{WORKSPACE}/saved-requests", f"{WORKSPACE}/request-executions"
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
        taken: spans that the daemon itself has sent.
        outgoing: what sends, if anything does.
    """

    url: str
    session: aiohttp.ClientSession
    target: Target
    stored: RunStore
    tester: LoadTests | None
    taken: ListConsumer
    outgoing: Outgoing | None

    @property
    def own_spans(self) -> list[Span]:
        """The spans that the daemon itself has sent."""
        requests = [ExportTraceServiceRequest.FromString(encode_request(batch)) for batch in self.taken.batches]
        return [span for request in requests for span in request.resource_spans[0].scope_spans[0].spans]

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

    async def let_fail(self, failure: dict[str, Any], service: str = "shop") -> str:
        """Let requests of a service fail on purpose: the id of the rule."""
        rule = {
            "name": "x",
            "service": service,
            "failure": failure,
            "endsAt": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        }
        answer = await self.ask("POST", f"{WORKSPACE}/failure-rules", rule)
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
    for route in (*TEST_ROUTES, *RUN_ROUTES, *REQUEST_ROUTES, *FAILURE_ROUTES):
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
async def port_of(
    client: ClickHouseClient, target: Target, outgoing: Outgoing | None, taken: ListConsumer | None = None
) -> AsyncIterator[Port]:
    runner = build_runner(build_application(client, guard=Guard(gate()), outgoing=outgoing))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield Port(
            url,
            session,
            target,
            RunStore(client, client.database),
            outgoing and outgoing.load_tests,
            taken or ListConsumer(),
            outgoing,
        )
    await runner.cleanup()


def outgoing_of(client: ClickHouseClient, taken: ListConsumer | None = None, **settings: Any) -> Outgoing:
    """What sends, within LIMITS.

    Args:
        taken: keeps the spans of what is sent.
    """
    taken = taken or ListConsumer()
    limits = LoadTestsExtension.model_validate({**LIMITS, **settings})
    policy = for_targets(limits.allowed_targets, "extensions.load_tests.allowed_targets")
    reach = Reach(policy, NamedSecrets(limits.secrets, "extensions.load_tests.secrets"), _lookup)
    objects, spans = Objects(client, client.database), OwnSpans(taken, "tests")
    runs, executions = RunStore(client, client.database), ExecutionStore(client, client.database)
    injected = InjectedFailures()
    return Outgoing(
        LoadTests(limits, reach, runs, objects, spans, injected, time.time_ns),
        Executor(reach, limits.tls, executions, objects, spans, injected, time.time_ns),
        injected,
    )
