"""Requests take turns at the store: so many at once, fewer of each workspace, and nobody starves who asks little."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from collector.api.problems import Handler, Refusal
from collector.api.routing import CALLER


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """How many requests have a turn at once, and how many wait for one.

    Attributes:
        at_once: over all workspaces.
        of_workspace: of one workspace.
        waiting: of one workspace, besides those that have a turn.
        wait_s: seconds after which one that waits is refused.
    """

    at_once: int = 16
    of_workspace: int = 8
    waiting: int = 64
    wait_s: float = 5.0


class Turns:
    """Who may ask the store now.

    A turn that becomes free goes to the workspace that has the fewest, of several to the one that has waited longest; within a
    workspace first come is first served. All of it happens on one event loop.

    Args:
        limits: how many.
    """

    def __init__(self, limits: TurnLimits) -> None:
        self._limits = limits
        self._running: Counter[str] = Counter()
        # In the order of the workspaces' last turns, so that those with equally many take turns as well.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @property
    def running(self) -> int:
        """How many requests have a turn."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """How many requests wait for one."""
        return sum(map(len, self._waiting.values()))

    def middleware(self, *prefixes: str, lasting: tuple[str, ...]) -> Middleware:
        """Lets requests for paths that begin so wait for their turn; stands behind the guard, which knows the workspace.

        Args:
            lasting: paths that end so need no turn: they are answered for long, mostly without the store.
        """

        @web.middleware
        async def take_turns(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not request.path.startswith(prefixes) or request.path.endswith(lasting):
                return await handler(request)
            if request.can_read_body:
                # Kept for the handler: a client that sends slowly takes nobody's turn.
                await request.read()
            async with self.turn(request[CALLER].workspace):
                return await handler(request)

        return take_turns

    @asynccontextmanager
    async def turn(self, workspace: str) -> AsyncIterator[None]:
        """A turn for a request about a workspace.

        Raises:
            Refusal: 429 where the workspace has all the turns it may have, 503 where others have them: too many wait, or for too
                long.
        """
        if workspace not in self._waiting and self._has_room(workspace):
            self._running[workspace] += 1
        else:
            await self._wait(workspace)
        try:
            yield
        finally:
            self._end(workspace)

    async def _wait(self, workspace: str) -> None:
        queue = self._waiting.setdefault(workspace, deque())
        if len(queue) >= self._limits.waiting:
            self._forget_empty(workspace)
            raise self._refusal(workspace)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(self._limits.wait_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # It came at the very moment when nobody waited for it any more.
                self._end(workspace)
            elif turn in self._waiting.get(workspace, ()):
                self._waiting[workspace].remove(turn)
                self._forget_empty(workspace)
            if isinstance(error, TimeoutError):
                raise self._refusal(workspace) from None
            raise

    def _end(self, workspace: str) -> None:
        self._running[workspace] -= 1
        if not self._running[workspace]:
            del self._running[workspace]
        if workspace in self._waiting:
            self._waiting[workspace] = self._waiting.pop(workspace)
        while ready := [each for each in self._waiting if self._has_room(each)]:
            next_one = min(ready, key=self._running.__getitem__)
            queue = self._waiting.pop(next_one)
            turn = queue.popleft()
            if queue:
                self._waiting[next_one] = queue
            if not turn.done():
                self._running[next_one] += 1
                turn.set_result(None)

    def _has_room(self, workspace: str) -> bool:
        return self.running < self._limits.at_once and self._running[workspace] < self._limits.of_workspace

    def _forget_empty(self, workspace: str) -> None:
        if not self._waiting[workspace]:
            del self._waiting[workspace]

    def _refusal(self, workspace: str) -> Refusal:
        limits, running = self._limits, self._running[workspace]
        headers = {"Retry-After": "1"}
        if running >= limits.of_workspace:
            detail = f"{running} requests about the workspace {workspace} are being answered, as many as may be; ask again later."
            return Refusal("workspace_busy", 429, "Too many requests", detail, headers=headers)
        detail = f"{self.running} requests are being answered, as many as may be, and too many wait; ask again later."
        return Refusal("busy", 503, "Too many requests", detail, headers=headers)
