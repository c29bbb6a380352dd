"""Whether the daemon lives, whether it is ready, and its metrics: three paths on the query port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from collector.api.routing import SEES_ALL
from collector.telemetry import Telemetry

_JSON: Final = "application/json"
_NOT_TOLD: Final = "does not work; the log says why, and so does this answer to those who read every workspace"

Check = Callable[[], Awaitable[str]]
"""Finds out what keeps a part from working: a sentence, empty when nothing does."""


class Health:
    """Answers `/healthz`, `/readyz` and `/metrics`.

    Args:
        telemetry: what `/metrics` shows.
        checks: for each part that readiness depends on, by its name, how to find out about it.
        with_metrics: whether `/metrics` is served.
    """

    def __init__(self, telemetry: Telemetry, checks: Mapping[str, Check], *, with_metrics: bool = True) -> None:
        self._telemetry = telemetry
        self._checks = checks
        self._with_metrics = with_metrics
        self._asked: asyncio.Future[dict[str, str]] | None = None
        """What is being found out, for all who ask meanwhile: anybody may, and the store answers so many questions at a time."""
        self.state = "starting"
        """What the daemon is doing: `starting`, `running` or `stopping`. Ready is only one that runs."""

    async def problems(self) -> dict[str, str]:
        """What keeps each part from working; empty when the daemon is ready."""
        if self.state != "running":
            return {"daemon": f"is {self.state}"}
        if self._asked is None or self._asked.done():
            self._asked = asyncio.ensure_future(self._found())
        return await asyncio.shield(self._asked)

    async def _found(self) -> dict[str, str]:
        answers = await asyncio.gather(*(check() for check in self._checks.values()))
        return {name: problem for name, problem in zip(self._checks, answers, strict=True) if problem}

    def routes(self) -> list[web.RouteDef]:
        """The paths, for the application of the query port."""
        routes = [web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)]
        return [*routes, web.get("/metrics", self._metrics)] if self._with_metrics else routes

    async def _healthz(self, _: web.Request) -> web.Response:
        """Whoever gets this answer knows that the event loop turns, which is all that a restart could mend."""
        return web.Response(body=orjson.dumps({"status": "ok"}), content_type=_JSON)

    async def _readyz(self, request: web.Request) -> web.Response:
        problems = await self.problems()
        if not request.get(SEES_ALL, False):
            # Reasons may tell of addresses, users and tables.
            problems = dict.fromkeys(problems, _NOT_TOLD)
        document = {"status": "not ready" if problems else "ready", "problems": problems}
        return web.Response(body=orjson.dumps(document), content_type=_JSON, status=503 if problems else 200)

    async def _metrics(self, _: web.Request) -> web.Response:
        body = await asyncio.to_thread(self._telemetry.snapshot().exposition)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
