"""Requests of workspaces take turns: so many at once, fewer of each workspace, and nobody starves who asks little."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


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


class Busy(Exception):
    """There is no turn, and too many wait for one, or for too long; the text says so, for people.

    Attributes:
        by_itself: whether the workspace has all the turns that it may have; else others have them.
    """

    def __init__(self, detail: str, *, by_itself: bool) -> None:
        super().__init__(detail)
        self.by_itself = by_itself


class Turns:
    """Whose turn it is.

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

    @asynccontextmanager
    async def turn(self, workspace: str) -> AsyncIterator[None]:
        """A turn for a request about a workspace.

        Raises:
            Busy: too many wait for one, or this one did for too long.
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

    def _refusal(self, workspace: str) -> Busy:
        running = self._running[workspace]
        if running >= self._limits.of_workspace:
            detail = f"{running} requests about the workspace {workspace} are being answered, as many as may be; ask again later."
            return Busy(detail, by_itself=True)
        detail = f"{self.running} requests are being answered, as many as may be, and too many wait; ask again later."
        return Busy(detail, by_itself=False)
