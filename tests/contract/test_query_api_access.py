"""Who may read over the query port, and that an attacker sees nothing of another workspace, whatever is asked for."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from collector.access import Gate
from collector.api import dialects
from collector.api.app import ROUTES, build_application, build_runner
from collector.api.guard import Guard
from collector.fair_turns import TurnLimits, Turns
from collector.health import Health
from collector.telemetry import Telemetry
from collector.tokens import Tokens
from config.access import TokensExtension
from exporters.clickhouse.client import ClickHouseClient
from tests.support.answers import Answer
from tests.support.paths import filled
from tests.support.requests import EPOCH, key_values
from tests.support.rows import insert_statement, json_lines, rows_of
from tests.support.waiting import until

MINE = "mine-token-0123456789"
BOTH = "both-token-0123456789"
EVERY = "every-token-0123456789"
INGEST = "ingest-token-0123456789"
RANGE = {"start": str(EPOCH - 10**9), "end": str(EPOCH + 3600 * 10**9)}
SECRET = "secret-service"
SECRET_TRACE = f"{2:032x}"
MY_TRACE = f"{1:032x}"


def bearer(token: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}


def reading_gate() -> Gate:
    settings = {
        "tokens": [
            {"name": "mine", "token": MINE, "role": "read", "workspaces": ["mine"]},
            {"name": "both", "token": BOTH, "role": "read", "workspaces": ["mine", "theirs"]},
            {"name": "every", "token": EVERY, "role": "read", "workspaces": "*"},
            {"name": "ingest", "token": INGEST, "role": "ingest", "workspaces": "*"},
        ]
    }
    return Gate("read", Tokens(TokensExtension.model_validate(settings), "extensions.tokens"))


@dataclass
class Port:
    """A running query port with a guard."""

    url: str
    session: aiohttp.ClientSession
    refused: Counter[str] = field(default_factory=Counter)

    async def get(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET", **query: str) -> Answer:
        async with self.session.request(method, self.url + path, params=query, headers=headers) as response:
            return Answer(response.status, response.headers, await response.read())


@asynccontextmanager
async def port(client: ClickHouseClient, gate: Gate | None = None, **guard: Any) -> AsyncIterator[Port]:
    refused: Counter[str] = Counter()

    def count(reason: str) -> None:
        refused[reason] += 1

    async def trouble() -> str:
        return SECRET

    health = Health(Telemetry("test"), {"store": trouble})
    health.state = "running"
    application = build_application(
        client,
        guard=Guard(gate, refused=count, **guard),
        extra_routes=health.routes(),
        now=lambda: EPOCH + 60 * 10**9,
    )
    runner = build_runner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        yield Port(f"http://127.0.0.1:{runner.addresses[0][1]}", session, refused)
    await runner.cleanup()


@pytest.fixture
async def client(embedded_client: ClickHouseClient) -> ClickHouseClient:
    """A database with a trace in the workspace `mine`, and one in `theirs` that has a service of the same and of another name."""
    for workspace, trace, services in (("mine", 1, ("shop",)), ("theirs", 2, ("shop", SECRET)), ("theirs", 1, (SECRET,))):
        data = TracesData()
        for number, service in enumerate(services):
            resource_spans = data.resource_spans.add()
            resource_spans.resource.attributes.extend(key_values({"service.name": service}))
            span = resource_spans.scope_spans.add().spans.add(name=f"{workspace} does", kind=2)
            span.trace_id, span.span_id = trace.to_bytes(16, "big"), (number + 1 + 10 * trace).to_bytes(8, "big")
            span.start_time_unix_nano, span.end_time_unix_nano = EPOCH + number, EPOCH + number + 10**6
        rows = rows_of(data, workspace)
        await embedded_client.insert(insert_statement(rows), json_lines(rows))
    await embedded_client.command(
        "INSERT INTO otel_red_minute (Workspace, ServiceName, Minute, SpanName, SpanKind, StatusCode, Spans, DurationSketch)"
        f" VALUES ('theirs', '{SECRET}', {EPOCH // 60_000_000_000 * 60}, 'theirs does', 'Server', 'Unset', 3, map(640, 3))"
    )
    return embedded_client


PATHS = [
    route.path.replace("{trace_id}", trace)
    for route in ROUTES
    for trace in (MY_TRACE, SECRET_TRACE)
    if route.method == "GET" and "{workspace}" not in route.path
]
FILTERS: list[dict[str, str]] = [
    {},
    {"service": SECRET},
    {"service": "' OR Workspace = 'theirs' --"},
    {"service": "shop\\' OR 1=1 OR \\'"},
    {"operation": "theirs does"},
    {"attribute": "service.name=" + SECRET},
    {"workspace": "theirs"},
    {"param_workspace": "theirs"},
    {"x-workspace-id": "theirs"},
    {"X-Workspace-Id": "theirs"},
    {"limit": "1000"},
]
HEADERS: list[dict[str, str]] = [
    {},
    {"X-Workspace-Id": "theirs"},
    {"X-Scope-OrgID": "theirs"},
    {"X-Workspace-Id": "mine", "X-Scope-OrgID": "theirs"},
    {"X-Scope-OrgID": "mine|theirs"},
    {"X-Workspace-Id": "*"},
    {"X-Workspace-Id": "mine' OR '1'='1"},
    {"X-ClickHouse-User": "default", "X-ClickHouse-Database": "system"},
    {"Cookie": "workspace=theirs", "X-Forwarded-User": "admin"},
]


def one_by_one(filters: Sequence[dict[str, str]], headers: Sequence[dict[str, str]]) -> Iterator[tuple[dict[str, str], ...]]:
    """Each of the filters with the first of the headers, and each of the headers with the first of the filters."""
    yield from itertools.product(filters, headers[:1])
    yield from itertools.product(filters[:1], headers[1:])


Together = Callable[[Sequence[dict[str, str]], Sequence[dict[str, str]]], Iterable[tuple[dict[str, str], ...]]]
IN_WALKS = pytest.mark.parametrize(
    "together", [one_by_one, pytest.param(itertools.product, marks=pytest.mark.soak)], ids=["one by one", "each with each"]
)


@IN_WALKS
async def test_an_attackers_walk_shows_nothing_of_another_workspace(client: ClickHouseClient, together: Together) -> None:
    async with port(client, reading_gate()) as query:
        seen: Counter[int] = Counter()
        for path, (parameters, headers) in itertools.product(PATHS, together(FILTERS, HEADERS)):
            answer = await query.get(path, bearer(MINE, **headers), **{**RANGE, **parameters})
            seen[answer.status] += 1
            assert answer.status in (200, 400, 403, 404)
            if answer.status == 200:
                # A refusal may repeat what was asked for, and so does the search of an analysis; an answer must not know of it.
                told = json.dumps({**answer.json, "search": None}) if "/analysis/" in path else answer.body.decode()
                assert SECRET not in told
                assert "theirs does" not in told
                assert SECRET_TRACE not in told
            if SECRET_TRACE in path:
                assert answer.status != 200
        assert seen[200] > 0
        # The same questions find it for those who may see it.
        answer = await query.get(f"/api/v1/traces/{SECRET_TRACE}", bearer(EVERY, x_workspace_id="theirs"))
        assert SECRET.encode() in answer.body


PROMETHEUS = {
    "time": str(EPOCH // 10**9 + 600),
    "start": str(EPOCH // 10**9 - 600),
    "end": str(EPOCH // 10**9 + 600),
    "step": "60",
}
IN_DIALECTS: dict[str, list[dict[str, str]]] = {
    "/jaeger/": [
        {},
        {"service": SECRET},
        {"service": "shop"},
        {"tags": '{"service.name":"secret-service"}'},
        {"tag": "x' OR Workspace = 'theirs' --:y"},
        {"traceID": MY_TRACE},
        {"query.serviceName": SECRET},
        {"query.attributes": '{"service.name":"secret-service"}'},
        {"workspace": "theirs"},
    ],
    "/tempo/": [
        {},
        {"q": '{ resource.service.name = "secret-service" }'},
        {"q": '{ resource.service.name = "secret-service" } && {}'},
        {"q": '{ name = "theirs does" } > {}'},
        {"q": "{ trace:duration > 0ms } | count() > 0"},
        {"q": "{ name = `' OR Workspace = 'theirs' --` }"},
        {"q": "{} | count_over_time() by (resource.service.name, name)"},
        {"tags": "service.name=secret"},
        {"workspace": "theirs"},
    ],
    "/zipkin/": [
        {},
        {"serviceName": SECRET},
        {"serviceName": "shop", "remoteServiceName": SECRET},
        {"annotationQuery": "service.name=secret-service"},
        {"spanName": "theirs does"},
        {"traceIds": f"{MY_TRACE},{SECRET_TRACE}"},
        {"workspace": "theirs"},
    ],
    "/prometheus/": [
        {**PROMETHEUS, "query": "traces_spanmetrics_calls_total", "match[]": "traces_spanmetrics_calls_total"},
        {**PROMETHEUS, "query": f'{{service="{SECRET}"}}', "match[]": f'{{service=~"{SECRET}|x"}}'},
        {**PROMETHEUS, "query": 'sum by (service) (rate(traces_spanmetrics_calls_total{service!="x"}[1h]))'},
        {**PROMETHEUS, "query": "traces_span_metrics_calls_total{span_name=~\"' OR Workspace = 'theirs' --|.*\"}"},
        {**PROMETHEUS, "query": "histogram_quantile(0.5, sum by (le, service) (rate(traces_spanmetrics_latency_bucket[1h])))"},
        {"workspace": "theirs"},
    ],
}
ALWAYS = {
    "query.startTimeMin": "2000-01-01T00:00:00Z",
    "query.startTimeMax": "2200-01-01T00:00:00Z",
    "quantile": "0.5",
    "endTs": str(EPOCH // 10**6 + 60_000),
    "key": "service.name",
    "traceIds": f"{SECRET_TRACE},{MY_TRACE}",
}
"""What some of these paths need in order to answer at all."""


@IN_WALKS
async def test_an_attackers_walk_through_the_dialects_shows_nothing_either(client: ClickHouseClient, together: Together) -> None:
    paths = {
        filled(route.path, trace_id=trace, service=service, tag="resource.service.name", label="service")
        for route in dialects.ROUTES
        for trace in (MY_TRACE, SECRET_TRACE)
        for service in ("shop", SECRET)
        if route.method == "GET"
    }
    async with port(client, reading_gate()) as query:
        answered = set()
        for path in sorted(paths):
            (filters,) = (found for prefix, found in IN_DIALECTS.items() if path.startswith(prefix))
            for parameters, headers in together(filters, HEADERS[:5]):
                answer = await query.get(path, bearer(MINE, **headers), **{**ALWAYS, **parameters})
                assert answer.status in (200, 400, 403, 404), (path, parameters, answer.body)
                if answer.status == 200:
                    answered.add(path)
                    assert SECRET.encode() not in answer.body
                    assert b"theirs does" not in answer.body
                    assert SECRET_TRACE.encode() not in answer.body
        # Only of the other workspace's trace there is nothing to be had.
        assert {path for path in paths - answered if SECRET_TRACE not in path} == set()
        # The same questions find it for those who may see it.
        for path in (f"/jaeger/api/traces/{SECRET_TRACE}", f"/zipkin/api/v2/trace/{SECRET_TRACE}", "/tempo/api/search"):
            answer = await query.get(path, bearer(EVERY, x_workspace_id="theirs"))
            assert (answer.status, SECRET.encode() in answer.body) == (200, True)
        for path, filters in (("query", IN_DIALECTS["/prometheus/"][2]), ("label/service/values", PROMETHEUS)):
            answer = await query.get(f"/prometheus/api/v1/{path}", bearer(EVERY, x_workspace_id="theirs"), **filters)
            assert (answer.status, SECRET.encode() in answer.body) == (200, True)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/jaeger/api/services", '{"data":null,"total":0,"limit":0,"offset":0,"errors":[{"code":401,"msg":"'),
        ("/jaeger/api/v3/services", '{"error":{"httpCode":401,"message":"'),
        ("/tempo/api/search", "no token came"),
        ("/zipkin/api/v2/services", "no token came"),
        ("/prometheus/api/v1/labels", '{"status":"error","errorType":"bad_data","error":"'),
    ],
)
async def test_each_dialect_is_refused_in_its_own_words(client: ClickHouseClient, path: str, body: str) -> None:
    async with port(client, reading_gate()) as query:
        answer = await query.get(path)
        assert answer.status == 401
        assert "WWW-Authenticate" in answer.headers
        assert answer.body.decode().startswith(body)


async def test_a_cursor_of_another_workspace_leads_nowhere(client: ClickHouseClient) -> None:
    async with port(client, reading_gate()) as query:
        theirs = bearer(BOTH, x_workspace_id="theirs")
        for path in ("/api/v1/traces", "/api/v1/services", "/api/v1/latencies"):
            page = (await query.get(path, theirs, **RANGE, limit="1")).json
            assert page["nextCursor"]
            answer = await query.get(path, bearer(MINE), **RANGE, cursor=page["nextCursor"])
            assert SECRET.encode() not in answer.body
            assert b"theirs does" not in answer.body


async def test_an_id_of_another_workspace_is_unknown_rather_than_forbidden(client: ClickHouseClient) -> None:
    async with port(client, reading_gate()) as query:
        theirs = await query.get(f"/api/v1/traces/{SECRET_TRACE}", bearer(MINE))
        nobodys = await query.get(f"/api/v1/traces/{99:032x}", bearer(MINE))
        assert theirs.status == nobodys.status == 404
        assert theirs.body.replace(SECRET_TRACE.encode(), b"") == nobodys.body.replace(f"{99:032x}".encode(), b"")


async def test_a_shared_trace_id_shows_the_spans_of_the_workspace_alone(client: ClickHouseClient) -> None:
    async with port(client, reading_gate()) as query:
        mine = (await query.get(f"/api/v1/traces/{MY_TRACE}", bearer(BOTH, x_workspace_id="mine"))).body
        theirs = (await query.get(f"/api/v1/traces/{MY_TRACE}", bearer(BOTH, x_workspace_id="theirs"))).body
        assert b"mine does" in mine
        assert b"theirs does" not in mine
        assert b"theirs does" in theirs
        assert b"mine does" not in theirs


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 401, "unauthenticated"),
        (bearer("wrong-token-0123456789"), 401, "unauthenticated"),
        (bearer(INGEST), 403, "permission_denied"),
        (bearer(MINE, x_workspace_id="theirs"), 403, "permission_denied"),
        (bearer(MINE, x_workspace_id="a b"), 400, "invalid"),
        (bearer(BOTH), 400, "invalid"),
    ],
)
async def test_refusals_are_problems_with_a_reason(
    client: ClickHouseClient, headers: dict[str, str], status: int, reason: str
) -> None:
    async with port(client, reading_gate()) as query:
        for path in ("/api/v1/services", "/openapi.json", "/nowhere", "/metrics"):
            answer = await query.get(path, headers)
            assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
            assert answer.json["status"] == status
            assert ("WWW-Authenticate" in answer.headers) == (status == 401)
        assert query.refused == {reason: 4}


async def test_basic_authentication_lets_browsers_in(client: ClickHouseClient) -> None:
    async with port(client, reading_gate()) as query:
        pair = base64.b64encode(f"mine:{MINE}".encode()).decode()
        assert (await query.get("/api/v1/services", {"Authorization": f"Basic {pair}"})).status == 200


async def test_health_is_open_and_metrics_are_for_those_who_see_all(client: ClickHouseClient) -> None:
    async with port(client, reading_gate()) as query:
        assert [(await query.get(path)).status for path in ("/healthz", "/readyz", "/metrics")] == [200, 503, 401]
        assert (await query.get("/metrics", bearer(MINE))).status == 403
        assert (await query.get("/metrics", bearer(EVERY))).status == 200
    async with port(client, reading_gate(), metrics_without_auth=True) as query:
        assert (await query.get("/metrics")).status == 200
    async with port(client) as query:
        assert (await query.get("/metrics")).status == 200


async def test_why_the_daemon_is_not_ready_is_for_those_who_see_all(client: ClickHouseClient) -> None:
    async def reasons(query: Port, headers: Mapping[str, str]) -> list[str]:
        answer = await query.get("/readyz", headers)
        assert answer.status == 503
        return list(answer.json["problems"].values())

    async with port(client, reading_gate(), checks_hosts=True) as query:
        for headers in ({}, bearer("wrong-token-0123456789"), bearer(MINE), {**bearer(EVERY), "Host": "evil.example"}):
            (told,) = await reasons(query, headers)
            assert SECRET not in told
        assert query.refused == {}
        assert await reasons(query, bearer(EVERY)) == [SECRET]
    async with port(client, checks_hosts=True) as query:
        assert await reasons(query, {}) == [SECRET]
        assert SECRET not in await reasons(query, {"Host": "evil.example"})


async def test_without_authentication_a_header_names_any_workspace(client: ClickHouseClient) -> None:
    async with port(client) as query:
        found = await query.get("/api/v1/services", {"X-Scope-OrgID": "theirs"}, **RANGE)
        assert [service["name"] for service in found.json["services"]] == [SECRET, "shop"]
        assert (await query.get("/api/v1/services", **RANGE)).json["services"] == []
    async with port(client, Gate("read", from_header=False)) as query:
        assert (await query.get("/api/v1/services", {"X-Scope-OrgID": "theirs"}, **RANGE)).status == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:4319", "127.0.0.1:1", "[::1]:4319", "LOCALHOST", "spans.example.com"])
async def test_on_loopback_its_own_names_are_served(client: ClickHouseClient, host: str) -> None:
    async with port(client, hosts=["Spans.example.com"], checks_hosts=True) as query:
        assert (await query.get("/openapi.json", {"Host": host})).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4319", "localhost.evil.example", "127.0.0.1.evil.example", "[", "10.0.0.1"]
)
async def test_on_loopback_other_names_are_refused(client: ClickHouseClient, host: str) -> None:
    async with port(client, hosts=["spans.example.com"], checks_hosts=True) as query:
        answer = await query.get("/openapi.json", {"Host": host})
        assert (answer.status, query.refused) == (403, {"host": 1})
        assert (await query.get("/healthz", {"Host": host})).status == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:4319", 200),
        ("https://spans.example.com", 200),
        ("http://localhost:3000", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
async def test_other_origins_are_refused_and_get_no_cors_headers(client: ClickHouseClient, origin: str, status: int) -> None:
    async with port(client, hosts=["spans.example.com"]) as query:
        for method in ("GET", "OPTIONS"):
            headers = {"Host": "localhost:4319", "Origin": origin, "Access-Control-Request-Method": "GET"}
            answer = await query.get("/openapi.json", headers, method)
            assert answer.status == (405 if status == 200 and method == "OPTIONS" else status)
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_every_answer_tells_browsers_to_be_careful(client: ClickHouseClient) -> None:
    async with port(client, reading_gate()) as query:
        for path, headers in (
            ("/healthz", {}),
            ("/api/v1/services", {}),
            ("/api/v1/services", bearer(MINE)),
            ("/nowhere", bearer(MINE)),
        ):
            answer = (await query.get(path, headers)).headers
            assert answer["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert answer["X-Content-Type-Options"] == "nosniff"
            assert answer["X-Frame-Options"] == "DENY"
            assert answer["Referrer-Policy"] == "no-referrer"
            assert answer["Cache-Control"] == "no-store"
            assert answer["Server"] == "spanhouse"


async def test_a_workspace_that_floods_leaves_others_room_and_health_and_metrics_take_no_turns(client: ClickHouseClient) -> None:
    gate = asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        if request.headers["X-Workspace-Id"] == "flood":
            await gate.wait()
        return web.Response()

    turns = Turns(TurnLimits(at_once=3, of_workspace=2, waiting=1))
    told: list[str] = []
    slow = [web.get("/api/v1/slow", wait), web.get("/metrics", answer_nothing)]
    runner = build_runner(build_application(client, guard=Guard(refused=told.append), turns=turns, extra_routes=slow))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    flooding, quiet = {"X-Workspace-Id": "flood"}, {"X-Workspace-Id": "quiet"}
    async with aiohttp.ClientSession() as session:
        waiting = [asyncio.create_task(session.get(f"{url}/api/v1/slow", headers=flooding)) for _ in range(3)]
        await until(lambda: turns.running == 2 and turns.waiting == 1)
        async with session.get(f"{url}/api/v1/slow", headers=flooding) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
            assert "flood" in (await refused.json(content_type=None))["detail"]
        for path in ("/api/v1/slow", "/metrics", "/docs"):
            async with session.get(f"{url}{path}", headers=quiet) as served:
                assert served.status == 200
        gate.set()
        assert [(await each).status for each in waiting] == [200, 200, 200]
    await runner.cleanup()
    assert told == ["workspace_busy"]
    assert turns.running == 0


async def answer_nothing(_: web.Request) -> web.Response:
    return web.Response()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01 this is no HTTP\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_gets_a_problem(client: ClickHouseClient, head: bytes, status: int) -> None:
    async with port(client) as query:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(query.url.rpartition(":")[2]))
        writer.write(head)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert int(answer.split()[1]) == status
        assert b"problem+json" in answer
        assert b"nosniff" in answer
        assert b"aiohttp" not in answer
        assert sum(query.refused.values()) == 1
