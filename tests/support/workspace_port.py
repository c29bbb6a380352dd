"""A query port with callers of several roles, whose answers are held against what the OpenAPI document says of them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from aiohttp import web
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # publishes no types

from collector.access import Gate
from collector.api import schemas
from collector.api.app import build_application, build_runner
from collector.api.guard import Guard
from collector.api.routing import QuerySettings, Route
from collector.tokens import Tokens
from config.access import TokensExtension
from exporters.clickhouse.client import ClickHouseClient
from tests.support.answers import Answer
from tests.support.requests import EPOCH

TOKENS = {name: f"{name}-token-0123456789" for name in ("ann", "ben", "ray", "zoe")}
"""Ann is an administrator of the workspace `mine`, where Ben and Ray read; Zoe is one of `theirs`."""


@dataclass(frozen=True)
class WorkspacePort:
    """A running query port, asked by somebody.

    Attributes:
        url: of the port.
        session: asks.
        routes: may be asked.
        components: schemas that answers of these are described by.
        name: who asks.
    """

    url: str
    session: aiohttp.ClientSession
    routes: Sequence[Route]
    components: Mapping[str, Any]
    name: str = "ann"

    def as_(self, name: str) -> WorkspacePort:
        """The same, asked by somebody else."""
        return replace(self, name=name)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        version: int | None = None,
        where: str = "mine",
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """Ask something of a workspace.

        Args:
            path: below the workspace.
            version: that is changed.
            where: the workspace.
        """
        sent = {"Authorization": f"Bearer {TOKENS[self.name]}", **(headers or {})}
        if version is not None:
            sent["If-Match"] = f'"{version}"'
        url = f"{self.url}/api/v1/workspaces/{where}/{path}"
        async with self.session.request(method, url, json=body, headers=sent, params=query) as response:
            answer = Answer(response.status, response.headers, await response.read())
        self._check(method, path, answer)
        return answer

    def _check(self, method: str, path: str, answer: Answer) -> None:
        """Whatever is answered has the form that the OpenAPI document promises."""
        parts = path.split("/")
        for route in self.routes:
            names = route.path.split("/")[5:]
            fits = len(names) == len(parts) and all(
                name in (part, f"{{{name[1:-1]}}}") for name, part in zip(names, parts, strict=True)
            )
            if fits and route.method == method:
                schema = route.answers.get("application/json") if answer.status == route.status else schemas.reference("Problem")
                if schema is None or answer.status == 304:
                    assert answer.body == b""
                else:
                    Draft202012Validator({**schema, "components": {"schemas": self.components}}).validate(answer.json)
                return
        raise AssertionError(f"{method} {path} is no route")


def gate() -> Gate:
    """Lets in those who have TOKENS."""
    roles = {"ann": "admin", "ben": "read", "ray": "read", "zoe": "admin"}
    tokens = [
        {"name": name, "token": TOKENS[name], "role": role, "workspaces": ["theirs" if name == "zoe" else "mine"]}
        for name, role in roles.items()
    ]
    return Gate("read", Tokens(TokensExtension.model_validate({"tokens": tokens}), "extensions.tokens"))


@asynccontextmanager
async def workspace_port(
    client: ClickHouseClient,
    routes: Sequence[Route],
    components: Mapping[str, Any],
    extra_routes: Sequence[Route] = (),
    settings: QuerySettings | None = None,
    **parts: Any,
) -> AsyncIterator[WorkspacePort]:
    """A port on a store.

    Args:
        routes: that are asked.
        components: schemas that those refer to, besides the common ones.
        extra_routes: those of `routes` that only the test has.
        settings: what the operator decides about queries.
        parts: further ones of the application, as of `build_application`.
    """
    definitions = [web.route(route.method, route.path, route.answer) for route in extra_routes]
    parts = {"now": itertools.count(EPOCH).__next__, **parts}
    application = build_application(client, settings, guard=Guard(gate()), extra_routes=definitions, **parts)
    runner = build_runner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session:
        yield WorkspacePort(url, session, routes, {**schemas.COMPONENTS, **components})
    await runner.cleanup()
