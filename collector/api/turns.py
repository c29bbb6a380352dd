"""Requests take turns at the store."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Middleware

from collector.api.problems import Handler, Refusal
from collector.api.routing import CALLER
from collector.fair_turns import Busy, Turns


def turn_taking(turns: Turns, *prefixes: str, lasting: tuple[str, ...]) -> Middleware:
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
        try:
            async with turns.turn(request[CALLER].workspace):
                return await handler(request)
        except Busy as busy:
            raise refusal_of(busy) from None

    return take_turns


def refusal_of(busy: Busy) -> Refusal:
    """What a caller is told for whom there is no turn: 429 where the workspace has all that it may have, 503 where others do."""
    headers = {"Retry-After": "1"}
    if busy.by_itself:
        return Refusal("workspace_busy", 429, "Too many requests", str(busy), headers=headers)
    return Refusal("busy", 503, "Too many requests", str(busy), headers=headers)
