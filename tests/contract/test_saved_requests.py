"""Saved requests over the API: sent over HTTP, as GraphQL and over gRPC, judged, stored, and found with their traces."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from exporters.clickhouse.client import ClickHouseClient
from tests.support.certificates import Authority
from tests.support.grpc_health import DESCRIPTORS, HEALTH, grpc_server
from tests.support.receivers import ListConsumer
from tests.support.sending_port import ANN, EVE, EXECUTIONS, RAY, REQUESTS, Port, outgoing_of, port_of
from tests.support.targets import serving_target
from tests.support.waiting import until


@pytest.fixture
async def port(embedded_client: ClickHouseClient) -> AsyncIterator[Port]:
    taken = ListConsumer()
    async with serving_target() as target, port_of(embedded_client, target, outgoing_of(embedded_client, taken), taken) as port:
        yield port


async def execute(port: Port, request: dict[str, Any], **said: Any) -> Any:
    """What came of a new saved request, which is stored as well."""
    made = await port.ask("POST", REQUESTS, {"name": "tried", "request": request, **said})
    assert made.status == 201, made.body
    answer = await port.ask("POST", f"{REQUESTS}/{made.json['id']}/executions")
    assert answer.status == 201, answer.body
    stored = (await port.ask("GET", answer.headers["Location"], token=RAY)).json
    assert stored == answer.json
    return stored


async def test_http_is_sent_judged_and_stored_with_its_trace(port: Port, embedded_client: ClickHouseClient) -> None:
    target = port.target
    request = {
        "kind": "http",
        "method": "POST",
        "url": f"http://allowed.example:{target.port}/json?a=b",
        "headers": {"X-Key": "${secret:key}"},
        "body": "{}",
    }
    made = await execute(port, request, expectations={"status": ["200"], "jsonValues": [{"path": "$.items[1].id", "equals": 8}]})
    assert (made["succeeded"], made["cause"], made["status"], made["executedBy"]) == (True, "", 200, "ann")
    assert (made["body"], made["address"]) == ('{"items": [{"id": 7}, {"id": 8}], "ok": true}', f"127.0.0.1:{target.port}")
    assert {"name": "content-type", "value": "application/json; charset=utf-8"} in made["headers"]
    timings = {name: None if value is None else int(value) for name, value in made["timings"].items()}
    assert timings.pop("tls") is None
    assert min(timings.values()) > 0  # type: ignore[type-var]  # none is None
    assert timings["total"] >= timings["dns"] + timings["connect"] + timings["firstByte"]  # type: ignore[operator]  # as above
    (path, headers) = target.requests[0]
    assert path == "/json"
    assert headers["traceparent"] == f"00-{made['traceId']}-{made['spanId']}-01"
    assert (headers["x-trace-id"], headers["x-span-id"], headers["x-key"]) == (made["traceId"], made["spanId"], "s3cret")

    # Its spans come later than the answer.
    assert not made["traceArrived"]
    columns = "Timestamp, TraceId, SpanId, SpanName, ServiceName, Workspace"
    span = f"(now64(9), '{made['traceId']}', 'aaaaaaaaaaaaaaaa', 'GET', 'shop', '%s')"
    await embedded_client.command(f"INSERT INTO otel_traces ({columns}) VALUES {span % 'theirs'}")
    assert not (await port.ask("GET", f"{EXECUTIONS}/{made['id']}")).json["traceArrived"]
    await embedded_client.command(f"INSERT INTO otel_traces ({columns}) VALUES {span % 'mine'}")
    assert (await port.ask("GET", f"{EXECUTIONS}/{made['id']}")).json["traceArrived"]

    later = await execute(port, {"kind": "http", "url": target.url("/status/404")})
    assert (later["succeeded"], later["cause"]) == (False, "status 404")
    listed = (await port.ask("GET", EXECUTIONS)).json["executions"]
    assert [(each["id"], each["traceArrived"]) for each in listed] == [(later["id"], False), (made["id"], True)]
    only = (await port.ask("GET", EXECUTIONS, request=made["request"])).json
    assert [each["id"] for each in only["executions"]] == [made["id"]]
    first = (await port.ask("GET", EXECUTIONS, limit="1")).json
    rest = (await port.ask("GET", EXECUTIONS, limit="1", cursor=first["nextCursor"])).json
    assert first["executions"] + rest["executions"] == listed

    theirs = "/api/v1/workspaces/theirs"
    assert (await port.ask("GET", f"{theirs}/request-executions/{made['id']}", token=EVE)).status == 404
    assert (await port.ask("POST", f"{theirs}/saved-requests/{made['request']}/executions", token=EVE)).status == 404
    assert (await port.ask("POST", f"{REQUESTS}/{made['request']}/executions", token=RAY)).status == 403


async def test_what_goes_wrong_is_told_by_its_cause(port: Port) -> None:
    async def cause(path: str, request: dict[str, Any] | None = None, **said: Any) -> tuple[str, int]:
        made = await execute(port, {"kind": "http", "url": port.target.url(path), **(request or {})}, **said)
        assert made["succeeded"] == (not made["cause"])
        return made["cause"], made["status"]

    assert await cause("/chunks", expectations={"bodyContains": ["first second third"]}) == ("", 200)
    assert await cause("/json", {"method": "HEAD"}) == ("", 200)
    assert await cause("/slow/5000", timeout="100ms") == ("timeout", 0)
    assert (await cause("/reset"))[0] in ("closed", "reset")
    assert await cause("/json", expectations={"maxDuration": "1us"}) == ("slower than expected", 200)
    graphql = {"kind": "graphql", "url": port.target.url("/graphql")}
    assert (await execute(port, {**graphql, "query": "fail"}))["cause"] == "GraphQL errors"
    assert (await execute(port, {**graphql, "query": "ok", "variables": {"a": 1}}))["cause"] == ""
    assert await cause("/redirect") == ("", 302)
    followed = await execute(port, {"kind": "http", "url": port.target.url("/redirect")}, followRedirects=1)
    assert (followed["cause"], followed["status"]) == ("", 200)
    assert followed["urls"] == [port.target.url("/redirect"), port.target.url("/json")]
    nowhere = {"kind": "http", "url": "http://nowhere.example/"}
    assert (await execute(port, nowhere))["cause"] == "dns"
    port.target.port, asked = 1024, port.target.port
    assert await cause("/json") == ("connect", 0)
    port.target.port = asked

    for url, said in (("http://rebound.example/", "a private address"), ("http://10.0.0.1/", "a private address")):
        made = await port.ask("POST", REQUESTS, {"name": "x", "request": {"kind": "http", "url": url}})
        refused = await port.ask("POST", f"{REQUESTS}/{made.json['id']}/executions")
        assert (refused.status, refused.json["title"]) == (403, "Target not allowed")
        assert said in refused.json["detail"]


async def test_redirects_lead_to_allowed_places_only_and_take_no_secrets_along(port: Port) -> None:
    there = {"kind": "http", "url": port.target.url("/redirect/http://10.0.0.1/"), "headers": {"X-Key": "${secret:key}"}}
    refused = await execute(port, there, followRedirects=3)
    assert (refused["cause"], refused["status"]) == ("redirect", 302)
    assert "a private address" in refused["detail"]
    away = {**there, "url": port.target.url(f"/redirect/http://allowed.example:{port.target.port}/json")}
    assert (await execute(port, away, followRedirects=3))["cause"] == ""
    asked = {path: headers for path, headers in port.target.requests if path != "/redirect"}
    assert "x-key" not in asked["/json"]
    endless = {"kind": "http", "url": port.target.url("/redirect/redirect/redirect")}
    assert (await execute(port, endless, followRedirects=2))["status"] == 302


async def test_grpc_is_called_by_reflection_or_descriptors(port: Port) -> None:
    def call(listens: int, method: str = f"{HEALTH}/Check", **said: Any) -> dict[str, Any]:
        return {"kind": "grpc", "url": f"http://allowed.example:{listens}", "method": method, **said}

    async with grpc_server(reflects=True) as (listens, recorder):
        key = {"x-key": "${secret:key}"}
        made = await execute(
            port,
            call(listens, message={"service": "shop"}, metadata=key),
            expectations={"jsonValues": [{"path": "$.status", "equals": "NOT_SERVING"}]},
        )
        assert (made["cause"], made["status"], made["body"]) == ("", 0, '{"status": "NOT_SERVING"}')
        assert made["urls"] == [f"http://allowed.example:{listens}/{HEALTH}/Check"]
        assert recorder.metadata[-1]["traceparent"] == f"00-{made['traceId']}-{made['spanId']}-01"
        assert (recorder.metadata[-1]["x-trace-id"], recorder.metadata[-1]["x-key"]) == (made["traceId"], "s3cret")
        unknown = call(listens, message={"service": "other"})
        assert (await execute(port, unknown))["cause"] == "status NOT_FOUND"
        assert (await execute(port, {**unknown, "expectedStatus": "NOT_FOUND"}))["cause"] == ""
        many = descriptor_pb2.FileDescriptorSet(file=[descriptor_pb2.FileDescriptorProto(name=f"{n}") for n in range(1001)])
        for request, said in (
            (
                call(listens, descriptors=base64.b64encode(many.SerializeToString()).decode()),
                "What descriptors holds has more than 1000 files.",
            ),
            (call(listens, message={"servic": "x"}), "The message is no grpc.health.v1.HealthCheckRequest"),
            (call(listens, f"{HEALTH}/Chek"), "The service grpc.health.v1.Health has no method Chek; it has "),
            (call(listens, f"{HEALTH}/Watch"), "The method Watch is a stream; only unary methods can be called."),
            (call(listens, "shop.Cart/Add"), "The server does not know shop.Cart"),
            (call(listens, descriptors="AAAA"), "What descriptors holds is no FileDescriptorSet."),
        ):
            failed = await execute(port, request)
            assert failed["cause"] == "message"
            assert failed["detail"].startswith(said)
    assert (await execute(port, call(listens)))["cause"] == "connect"

    async with grpc_server(reflects=False) as (listens, _):
        assert (await execute(port, call(listens)))["detail"] == "The server has no reflection; give descriptors."
        assert (await execute(port, call(listens, descriptors=DESCRIPTORS)))["body"] == '{"status": "SERVING"}'


async def test_https_and_grpc_with_tls_show_a_known_certificate(embedded_client: ClickHouseClient, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    identity = authority.issue("allowed.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert_file, identity.key_file)
    outgoing = outgoing_of(embedded_client, tls={"ca_file": str(authority.file)})
    credentials = grpc.ssl_server_credentials([(identity.key, identity.cert)])
    async with serving_target(context) as target, port_of(embedded_client, target, outgoing) as port:
        known = await execute(port, {"kind": "http", "url": f"https://allowed.example:{target.port}/json"})
        assert (known["cause"], int(known["timings"]["tls"]) > 0) == ("", True)
        assert (await execute(port, {"kind": "http", "url": target.url("/json", "https")}))["cause"] == "tls"
        async with grpc_server(reflects=True, credentials=credentials) as (listens, _):
            request = {"kind": "grpc", "url": f"https://allowed.example:{listens}", "method": f"{HEALTH}/Check"}
            assert (await execute(port, request))["body"] == '{"status": "SERVING"}'
            assert (await execute(port, {**request, "url": f"https://127.0.0.1:{listens}"}))["cause"] == "connect"
            authority.file.unlink()
            assert (await execute(port, request))["cause"] == "message"
        secure = {"kind": "http", "url": f"https://allowed.example:{target.port}/json"}
        made = await port.ask("POST", REQUESTS, {"name": "x", "request": secure})
        refused = await port.ask("POST", f"{REQUESTS}/{made.json['id']}/executions")
        assert (refused.status, refused.json["title"]) == (400, "TLS cannot be used")
        assert "extensions.load_tests.tls.ca_file" in refused.json["detail"]


async def test_failures_on_purpose_say_so(port: Port) -> None:
    here = {"kind": "http", "url": port.target.url("/json")}
    for service, failure, cause, status in (
        ("a", {"type": "error", "status": 503, "message": "no"}, "status 503", 503),
        ("b", {"type": "unavailable"}, "unavailable", 0),
        ("c", {"type": "reset"}, "reset", 0),
        ("d", {"type": "timeout"}, "timeout", 0),
        ("e", {"type": "latency", "mean": "20ms"}, "slower than expected", 200),
    ):
        rule = await port.let_fail(failure, service)
        expected = {"maxDuration": "20ms"}
        made = await execute(port, here, service=service, timeout="100ms" if service == "d" else "10s", expectations=expected)
        assert (made["cause"], made["status"], made["injected"]) == (cause, status, {"rule": rule, "type": failure["type"]})
        span = port.own_spans[-1]
        assert (span.trace_id.hex(), span.name, span.status.message) == (made["traceId"], "GET /json", cause)
        marks = {each.key: each.value.string_value for each in span.attributes if each.key.startswith("spanhouse.failure.")}
        assert marks == {"spanhouse.failure.rule": rule, "spanhouse.failure.type": failure["type"]}
    assert [path for path, _ in port.target.requests] == ["/json"]
    # What is kept waiting on purpose has the rest of its time for the server.
    await port.let_fail({"type": "latency", "mean": "300ms"}, "f")
    slow = {"kind": "http", "url": port.target.url("/slow/300")}
    assert (await execute(port, slow, service="f", timeout="500ms"))["cause"] == "timeout"
    rule = await port.let_fail({"type": "error", "status": 503}, "allowed.example")
    call = {"kind": "grpc", "url": "http://allowed.example:9", "method": f"{HEALTH}/Check"}
    assert (await execute(port, call))["cause"] == "status UNAVAILABLE"
    made = await execute(port, here)
    assert made["injected"] is None
    assert port.outgoing is not None
    assert dict(port.outgoing.injected.rows()) == {
        ("mine", "a", "error"): 1,
        ("mine", "b", "unavailable"): 1,
        ("mine", "c", "reset"): 1,
        ("mine", "d", "timeout"): 1,
        ("mine", "e", "latency"): 1,
        ("mine", "f", "latency"): 1,
        ("mine", "allowed.example", "error"): 1,
    }
    span = port.own_spans[-1]
    assert (span.trace_id.hex(), span.status.code) == (made["traceId"], Status.STATUS_CODE_UNSET)
    assert port.target.requests[-1][1]["traceparent"] == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
    assert not [each.key for each in span.attributes if each.key.startswith("spanhouse.failure.")]


async def test_slow_servers_of_one_workspace_hold_up_no_other(port: Port) -> None:
    async def made(workspace: str, token: str, path: str) -> str:
        everything = f"/api/v1/workspaces/{workspace}/saved-requests"
        request = {"name": path, "request": {"kind": "http", "url": port.target.url(path)}}
        answer = await port.ask("POST", everything, request, token=token)
        return f"{everything}/{answer.json['id']}/executions"

    slow, quick = await made("mine", ANN, "/slow/20000"), await made("theirs", EVE, "/json")
    waiting = [asyncio.create_task(port.ask("POST", slow)) for _ in range(40)]
    await until(lambda: sum(path == "/slow/20000" for path, _ in port.target.requests) >= 8)
    assert (await port.ask("POST", quick, token=EVE)).json["succeeded"]
    assert sum(path == "/slow/20000" for path, _ in port.target.requests) == 8
    refused = [asyncio.create_task(port.ask("POST", slow)) for _ in range(40)]
    answers, _ = await asyncio.wait(refused, return_when=asyncio.FIRST_COMPLETED)
    assert {(task.result().status, task.result().json["title"]) for task in answers} == {(429, "Too many requests")}
    for task in (*waiting, *refused):
        task.cancel()
    await asyncio.wait([*waiting, *refused])


async def test_what_can_be_said_can_be_shown(port: Port) -> None:
    def nested(levels: int) -> dict[str, Any]:
        variables: dict[str, Any] = {}
        for _ in range(levels):
            variables = {"a": variables}
        return {"name": "x", "request": {"kind": "graphql", "url": "http://x/", "query": "{a}", "variables": variables}}

    made = await port.ask("POST", REQUESTS, nested(60))
    assert [each["id"] for each in (await port.ask("GET", REQUESTS)).json["savedRequests"]] == [made.json["id"]]
    for levels in (70, 300):
        refused = await port.ask("POST", REQUESTS, nested(levels))
        assert (refused.status, "at most 64 levels" in refused.json["detail"]) == (400, True)
