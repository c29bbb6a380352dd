"""Tracing configs over the query API, against a real ClickHouse."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # publishes no types

from collector.access import Gate
from collector.api.app import build_application, build_runner
from collector.api.guard import Guard
from collector.api.openapi import COMPONENTS, openapi_document
from collector.api.routing import QuerySettings
from collector.api.tracing_configs import ROUTES
from collector.control.policies import Policy
from collector.tokens import Tokens
from config.access import TokensExtension
from exporters.clickhouse.client import ClickHouseClient
from tests.support.answers import Answer
from tests.support.requests import EPOCH

MINE, READER, BOTH = "mine-token-0123456789", "read-token-0123456789", "both-token-0123456789"
MY_CONFIGS = "/api/v1/workspaces/mine/tracing-configs"
NOBODYS_ID = str(uuid.UUID(int=1))


@dataclass
class Port:
    """A running query port, asked with one token."""

    url: str
    session: aiohttp.ClientSession
    token: str = MINE

    def as_(self, token: str) -> Port:
        return Port(self.url, self.session, token)

    async def ask(self, method: str, path: str, body: Any = None, version: int | str | None = None, **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        if version is not None:
            headers["If-Match"] = version if isinstance(version, str) else f'"{version}"'
        async with self.session.request(method, self.url + path, json=body, headers=headers, params=options) as response:
            answer = Answer(response.status, response.headers, await response.read())
        _check(method, path, answer)
        return answer

    async def create(self, service: str, **settings: Any) -> Any:
        answer = await self.ask("POST", MY_CONFIGS, {"service": service, **settings})
        assert answer.status == 201, answer.body
        return answer.json


def _check(method: str, path: str, answer: Answer) -> None:
    """Whatever is answered has the form that the OpenAPI document promises."""
    parts = path.split("/")
    for route in ROUTES:
        names = route.path.split("/")
        fits = len(names) == len(parts) and all(name == part or name[0:1] == "{" for name, part in zip(names, parts, strict=True))
        if fits and route.method == method:
            if answer.status == route.status:
                schema = route.answers.get("application/json")
                if schema is None:
                    assert answer.body == b""
                    return
            else:
                schema = {"$ref": "#/components/schemas/Problem"}
            Draft202012Validator({**schema, "components": {"schemas": COMPONENTS}}).validate(answer.json)
            return
    raise AssertionError(f"{method} {path} is no route")


def gate() -> Gate:
    tokens = [
        {"name": "ann", "token": MINE, "role": "admin", "workspaces": ["mine"]},
        {"name": "ray", "token": READER, "role": "read", "workspaces": ["mine"]},
        {"name": "ben", "token": BOTH, "role": "admin", "workspaces": ["mine", "theirs"]},
    ]
    return Gate("read", Tokens(TokensExtension.model_validate({"tokens": tokens}), "extensions.tokens"))


@asynccontextmanager
async def serving(client: ClickHouseClient, settings: QuerySettings | None = None) -> AsyncIterator[Port]:
    clock = itertools.count(EPOCH)
    runner = build_runner(build_application(client, settings, guard=Guard(gate()), now=clock.__next__))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        yield Port(f"http://127.0.0.1:{runner.addresses[0][1]}", session)
    await runner.cleanup()


@pytest.fixture
async def port(module_client: ClickHouseClient) -> AsyncIterator[Port]:
    async with serving(module_client) as port:
        yield port


async def test_a_config_is_made_with_defaults_and_found_at_its_location(port: Port) -> None:
    answer = await port.ask("POST", MY_CONFIGS, {"service": "cart"})
    made = answer.json
    assert answer.status == 201
    assert (answer.headers["Location"], answer.headers["ETag"]) == (f"{MY_CONFIGS}/{made['id']}", '"1"')
    assert made == {
        "id": made["id"],
        "workspace": "mine",
        "service": "cart",
        "enabled": True,
        "samplingRate": 1.0,
        "excludedPaths": [],
        "propagateContext": True,
        "comment": "",
        "version": 1,
        "createdAtUnixNano": str(EPOCH),
        "createdBy": "ann",
        "updatedAtUnixNano": str(EPOCH),
        "updatedBy": "ann",
    }
    found = await port.as_(READER).ask("GET", answer.headers["Location"])
    assert (found.status, found.headers["ETag"], found.json) == (200, '"1"', made)
    assert (await port.ask("GET", f"{MY_CONFIGS}/by-service", service="cart")).json == made
    assert (await port.ask("GET", f"{MY_CONFIGS}/by-service", service="car")).status == 404


async def test_a_second_config_for_a_text_is_a_conflict_that_names_the_first(port: Port) -> None:
    made = await port.create("cart")
    answer = await port.ask("POST", MY_CONFIGS, {"service": "cart", "enabled": False})
    assert (answer.status, answer.json["current"], answer.json["currentVersion"]) == (409, made, 1)
    assert made["id"] in answer.json["detail"]


async def test_a_workspace_has_no_more_configs_than_it_may(module_client: ClickHouseClient) -> None:
    async with serving(module_client, QuerySettings(max_objects=2)) as port:
        first = await port.create("a")
        await port.create("b")
        refused = await port.ask("POST", MY_CONFIGS, {"service": "c"})
        assert (refused.status, refused.json["title"]) == (409, "Too many objects")
        assert "max_objects of extensions.query allows 2" in refused.json["detail"]
        # Those that there are can be changed, and one that is ended makes room.
        assert (await port.ask("PATCH", f"{MY_CONFIGS}/{first['id']}", {"enabled": False}, version=1)).status == 200
        assert (await port.ask("DELETE", f"{MY_CONFIGS}/{first['id']}", version=2)).status == 204
        await port.create("c")


async def test_put_replaces_and_patch_changes_what_it_names(port: Port) -> None:
    made = await port.create("cart", samplingRate=0.5, comment="first")
    path = f"{MY_CONFIGS}/{made['id']}"
    replaced = await port.ask("PUT", path, {"service": "cart", "excludedPaths": ["/healthz"]}, version=1)
    assert (replaced.status, replaced.headers["ETag"]) == (200, '"2"')
    expected = {"samplingRate": 1.0, "comment": "", "excludedPaths": ["/healthz"], "version": 2, "createdAtUnixNano": str(EPOCH)}
    assert replaced.json == {**replaced.json, **expected}
    changed = await port.as_(BOTH).ask("PATCH", path, {"samplingRate": 0.25}, version=2)
    assert changed.json == {
        **replaced.json,
        "samplingRate": 0.25,
        "version": 3,
        "updatedBy": "ben",
        "updatedAtUnixNano": changed.json["updatedAtUnixNano"],
    }
    assert (await port.ask("GET", path)).json == changed.json


@pytest.mark.parametrize(("method", "suffix"), [("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/toggle")])
async def test_the_later_of_two_editors_gets_both_versions_and_changes_nothing(port: Port, method: str, suffix: str) -> None:
    made = await port.create("cart")
    path = f"{MY_CONFIGS}/{made['id']}"
    body = {"service": "cart", "comment": "late"} if method in ("PUT", "PATCH") else None
    newer = (await port.as_(BOTH).ask("PATCH", path, {"comment": "early"}, version=1)).json
    late = await port.ask(method, path + suffix, body, version=1)
    assert late.status == 409
    assert (late.json["expectedVersion"], late.json["currentVersion"], late.json["current"]) == (1, 2, newer)
    assert (await port.ask("GET", path)).json == newer
    missing = await port.ask(method, path + suffix, body)
    assert (missing.status, missing.json["title"]) == (428, "Version needed")
    for wrong in ("*", "2", '"2", "3"', 'W/"2"', '"0"', '"x"'):
        answer = await port.ask(method, path + suffix, body, version=wrong)
        assert (answer.status, answer.json["parameter"]) == (400, "If-Match")
    assert (await port.ask("GET", path)).json == newer


async def test_of_editors_at_two_ports_at_once_one_wins(module_client: ClickHouseClient) -> None:
    async with serving(module_client) as one, serving(module_client) as other:
        path = f"{MY_CONFIGS}/{(await one.create('cart'))['id']}"
        for version in range(1, 6):
            answers = await asyncio.gather(
                *(port.ask("PATCH", path, {"comment": str(number)}, version) for number, port in enumerate((one, other) * 3))
            )
            assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409, 409]
            [won] = [answer.json for answer in answers if answer.status == 200]
            assert [answer.json["current"] for answer in answers if answer.status == 409] == [won] * 5
            assert (await other.ask("GET", path)).json == won


async def test_a_deleted_config_is_gone_for_all_and_can_be_made_anew(port: Port) -> None:
    made = await port.create("cart")
    path = f"{MY_CONFIGS}/{made['id']}"
    deleted = await port.ask("DELETE", path, version=1)
    assert (deleted.status, deleted.body) == (204, b"")
    for method, suffix in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/toggle")):
        answer = await port.ask(method, path + suffix, {} if method == "PATCH" else None, version=2)
        assert answer.status == 404
    assert (await port.ask("GET", MY_CONFIGS)).json["configs"] == []
    again = await port.create("cart")
    assert (again["id"], again["version"]) == (made["id"], 3)


async def test_what_a_config_has_said_stays_with_the_names_of_who_said_it(port: Port) -> None:
    made = await port.create("cart", comment="first")
    path = f"{MY_CONFIGS}/{made['id']}"
    changed = (await port.as_(BOTH).ask("PATCH", path, {"comment": "second"}, version=1)).json
    assert (await port.ask("DELETE", path, version=2)).status == 204
    last, *before = (await port.as_(READER).ask("GET", f"{path}/versions")).json["versions"]
    assert (last["version"], last["deleted"], last["updatedBy"]) == (3, True, "ann")
    assert before == [{**changed, "deleted": False}, {**made, "deleted": False}]
    assert (await port.ask("GET", f"{path}/versions", before=2)).json["versions"] == before[1:]
    assert (await port.ask("GET", f"{MY_CONFIGS}/{uuid.uuid4()}/versions")).status == 404


async def test_toggles_one_by_one_and_many_at_once(port: Port) -> None:
    one, two = await port.create("one"), await port.create("two", enabled=False)
    toggled = await port.ask("POST", f"{MY_CONFIGS}/{one['id']}/toggle", version=1)
    assert (toggled.json["enabled"], toggled.json["version"]) == (False, 2)
    wanted = [{"id": one["id"], "version": 2}, {"id": two["id"], "version": 7}, {"id": NOBODYS_ID, "version": 1}]
    answer = await port.ask("POST", f"{MY_CONFIGS}/toggle", {"enabled": True, "configs": wanted})
    assert [each["status"] for each in answer.json["results"]] == [200, 409, 404]
    assert [each["config"] and each["config"]["version"] for each in answer.json["results"]] == [3, 1, None]
    enabled = await port.ask("GET", f"{MY_CONFIGS}/enabled")
    disabled = await port.ask("GET", f"{MY_CONFIGS}/disabled")
    assert [config["service"] for config in enabled.json["configs"]] == ["one"]
    assert disabled.json["configs"] == [two]


async def test_lists_are_paged_and_narrowed(port: Port) -> None:
    for number, service in enumerate(("cart", "cart-*", "payment", "überweisung")):
        await port.create(service, enabled=number != 1)
    found, cursor = [], {}
    while cursor is not None:
        page = (await port.ask("GET", MY_CONFIGS, limit=1, **cursor)).json
        found += [config["service"] for config in page["configs"]]
        cursor = {"cursor": page["nextCursor"]} if page["nextCursor"] else None
    assert found == ["cart", "cart-*", "payment", "überweisung"]

    async def listed(path: str = "", **query: Any) -> list[str]:
        return [config["service"] for config in (await port.ask("GET", MY_CONFIGS + path, **query)).json["configs"]]

    assert await listed(enabled="false") == await listed("/disabled") == ["cart-*"]
    assert await listed(enabled="true", contains="cart") == await listed("/enabled", contains="cart") == ["cart"]
    for query in ({"enabled": "yes"}, {"limit": "0"}, {"cursor": "x"}, {"servce": "cart"}):
        answer = await port.ask("GET", MY_CONFIGS, **query)
        assert (answer.status, answer.json["parameter"]) == (400, next(iter(query)))


@pytest.mark.parametrize("path", ["check", "by-service"])
async def test_a_service_must_be_named_and_the_document_says_so(port: Port, path: str) -> None:
    refused = await port.ask("GET", f"{MY_CONFIGS}/{path}")
    assert (refused.status, refused.json["parameter"]) == (400, "service")
    operation = openapi_document(ROUTES)["paths"][f"/api/v1/workspaces/{{workspace}}/tracing-configs/{path}"]["get"]
    assert [each["required"] for each in operation["parameters"] if each["name"] == "service"] == [True]


async def test_a_check_says_what_decides(module_client: ClickHouseClient) -> None:
    async with serving(module_client, QuerySettings(default_policy=lambda: Policy(sampling_rate=0.125))) as port:
        made = await port.create("cart*", samplingRate=0.5, excludedPaths=["/healthz"], propagateContext=False)
        exact = await port.create("cart-admin", enabled=False)

        async def check(service: str) -> Any:
            return (await port.as_(READER).ask("GET", f"{MY_CONFIGS}/check", service=service)).json

        assert await check("cart-eu") == {
            "service": "cart-eu",
            "traced": True,
            "samplingRate": 0.5,
            "excludedPaths": ["/healthz"],
            "propagateContext": False,
            "rule": "glob",
            "config": made,
        }
        found = await check("cart-admin")
        assert (found["traced"], found["samplingRate"], found["rule"], found["config"]) == (False, 0.0, "exact", exact)
        found = await check("payment")
        assert (found["traced"], found["samplingRate"], found["rule"], found["config"]) == (True, 0.125, "default", None)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"service": "is required"}),
        ({"service": ""}, {"service": "must not be empty"}),
        ({"service": 7}, {"service": "must be text"}),
        ({"service": "a\nb"}, {"service": "visible characters"}),
        ({"service": "a" * 257}, {"service": "at most 256 characters"}),
        ({"service": "a", "samplingRate": 2}, {"samplingRate": "must be at most 1"}),
        ({"service": "a", "samplingRate": -0.1}, {"samplingRate": "must be at least 0"}),
        ({"service": "a", "samplingRate": True}, {"samplingRate": "must be a"}),
        ({"service": "a", "samplingRate": "0.5"}, {"samplingRate": "must be a number"}),
        ({"service": "a", "enabled": "yes"}, {"enabled": "must be true or false"}),
        ({"service": "a", "enabld": False}, {"enabld": "did you mean enabled?"}),
        ({"service": "a", "version": 1}, {"version": "is not a known field"}),
        ({"service": "a", "excludedPaths": "/x"}, {"excludedPaths": "must be a list"}),
        ({"service": "a", "excludedPaths": ["/x", ""]}, {"excludedPaths[1]": "must not be empty"}),
        ({"service": "a", "excludedPaths": ["/x"] * 101}, {"excludedPaths": "at most 100 items"}),
        (
            {"enabled": 1, "comment": None},
            {"service": "is required", "enabled": "must be true or false", "comment": "must be text"},
        ),
    ],
)
async def test_what_is_wrong_with_a_body_is_told_field_by_field(port: Port, body: Any, errors: dict[str, str]) -> None:
    answer = await port.ask("POST", MY_CONFIGS, body)
    assert answer.status == 400
    found = {error["field"]: error["detail"] for error in answer.json["errors"]}
    assert found.keys() == errors.keys()
    for field, detail in errors.items():
        assert detail in found[field]
        assert f"{field}: {found[field]}" in answer.json["detail"]


async def test_what_is_no_json_object_is_refused(port: Port) -> None:
    url, headers = port.url + MY_CONFIGS, {"Authorization": f"Bearer {MINE}"}
    for media_type, body, status in (
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"\xff", 400),
        ("application/json", b'{"service": "' + b"x" * 70_000 + b'"}', 413),
        ("text/plain", b'{"service": "cart"}', 415),
        ("application/x-www-form-urlencoded", b"service=cart", 415),
    ):
        async with port.session.post(url, data=body, headers={**headers, "Content-Type": media_type}) as answer:
            assert (answer.status, answer.content_type) == (status, "application/problem+json")
    assert (await port.ask("GET", MY_CONFIGS)).json["configs"] == []


async def test_the_service_of_a_config_stays(port: Port) -> None:
    path = f"{MY_CONFIGS}/{(await port.create('cart'))['id']}"
    for method in ("PUT", "PATCH"):
        answer = await port.ask(method, path, {"service": "basket"}, version=1)
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, "service")
    assert (await port.ask("PATCH", path, {"samplingRate": 7}, version=1)).json["errors"][0]["field"] == "samplingRate"
    assert (await port.ask("GET", f"{MY_CONFIGS}/cart")).json["parameter"] == "config_id"


async def test_only_admins_write_and_nobody_reaches_another_workspace(port: Port) -> None:
    theirs = "/api/v1/workspaces/theirs/tracing-configs"
    made = await port.as_(BOTH).ask("POST", theirs, {"service": "secret"})
    mine = await port.create("cart")
    assert made.status == 201
    body = {"service": "cart", "comment": "new"}
    toggles = {"enabled": False, "configs": [{"id": made.json["id"], "version": 1}, {"id": mine["id"], "version": 1}]}
    for route in ROUTES:
        query = {"service": "secret"} if route.path.endswith(("by-service", "check")) else {}
        sent = None if route.body is None else toggles if route.path.endswith("toggle") else body
        for own_id, place in itertools.product((made.json["id"], mine["id"]), ("mine", "theirs")):
            path = route.path.replace("{workspace}", place).replace("{config_id}", own_id)
            if place == "theirs":
                answer = await port.ask(route.method, path, sent, version=1, **query)
                assert answer.status == 403
            elif route.role == "admin":
                answer = await port.as_(READER).ask(route.method, path, sent, version=1, **query)
                assert (answer.status, "admin" in answer.json["detail"]) == (403, True)
            else:
                answer = await port.as_(READER).ask(route.method, path, sent, version=1, **query)
                of_another = "by-service" in path or ("{config_id}" in route.path and own_id == made.json["id"])
                assert answer.status == (404 if of_another else 200)
            assert b'"service":"secret","enabled"' not in answer.body
    # An id of another workspace is unknown, to those who may write as well.
    strange = await port.ask("POST", f"{MY_CONFIGS}/toggle", toggles)
    assert [each["status"] for each in strange.json["results"]] == [404, 200]
    assert (await port.as_(BOTH).ask("GET", f"{theirs}/{made.json['id']}")).json == made.json


async def test_the_path_names_the_workspace_and_headers_must_not_name_another(port: Port) -> None:
    both = port.as_(BOTH)
    assert (await both.ask("GET", MY_CONFIGS)).status == 200
    assert (await both.ask("GET", MY_CONFIGS, headers={"X-Workspace-Id": "mine"})).status == 200
    differing = await both.ask("GET", MY_CONFIGS, headers={"X-Workspace-Id": "theirs"})
    assert (differing.status, "which the path names" in differing.json["detail"]) == (400, True)
    assert (await both.ask("GET", "/api/v1/workspaces/a%20b/tracing-configs")).status == 400


async def test_without_the_store_callers_are_told_to_come_back() -> None:
    async with ClickHouseClient(["http://127.0.0.1:1"]) as nowhere, serving(nowhere) as port:
        for method, body in (("GET", None), ("POST", {"service": "cart"})):
            answer = await port.ask(method, MY_CONFIGS, body)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
