"""How requests of Prometheus' API are read: parameters from the URL and, of a POST, from a form."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Final

from aiohttp import web
from multidict import MultiDict, MultiMapping

from collector.api.asked import HOUR, SECOND, asked, ordered, rfc3339
from collector.api.problems import BadParameter, Problem
from collector.query.promql.literals import read_duration
from collector.query.promql.vectors import EvaluationError
from collector.query.store import MAX_TIMESTAMP

PREFIX: Final = "/prometheus/api/v1"

Query = MultiMapping[str]
Handler = Callable[[web.Request, Query], Awaitable[web.Response]]


def routes(path: str, handler: Handler) -> tuple[web.RouteDef, web.RouteDef]:
    """A path that answers GET, and POST with a form."""

    async def answer(request: web.Request) -> web.Response:
        query: MultiDict[str] = MultiDict(request.query)
        if request.method == "POST":
            query.extend((name, text) for name, text in (await request.post()).items() if isinstance(text, str))
        limit = asked(query, duration, None, "timeout")
        try:
            async with asyncio.timeout(limit and limit / SECOND):
                return await handler(request, query)
        except TimeoutError:
            if limit is None:
                raise
            raise Problem(504, "Query timed out", f"the query took longer than timeout={query['timeout']}") from None
        except EvaluationError as error:
            raise Problem(422, "Query cannot be worked out", str(error)) from None

    return web.get(f"{PREFIX}{path}", answer), web.post(f"{PREFIX}{path}", answer)


def time(text: str) -> int:
    """Nanoseconds since 1970 of seconds, or of an RFC 3339 time.

    Raises:
        ValueError: it is neither, or before 1970, or after 2262.
    """
    nanoseconds = _of_seconds(text)
    if nanoseconds is None:
        return rfc3339(text)
    if not 0 <= nanoseconds <= MAX_TIMESTAMP:
        raise ValueError("must lie between 1970-01-01 and 2262-04-11")
    return nanoseconds


def duration(text: str) -> int:
    """Nanoseconds of seconds, or of a duration such as 5m.

    Raises:
        ValueError: it is neither, or not above 0.
    """
    nanoseconds = _of_seconds(text)
    if nanoseconds is None:
        return read_duration(text)
    if not 0 < nanoseconds <= MAX_TIMESTAMP:
        raise ValueError("must be above 0, such as 60 or 1m")
    return nanoseconds


def _of_seconds(text: str) -> int | None:
    """Nanoseconds of a number of seconds; None where it is no number."""
    try:
        # To Python, digits of all scripts are digits.
        return int(Decimal(text) * SECOND) if text.isascii() else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


def time_range(query: Query, now: int) -> tuple[int, int]:
    """`start` and `end`, nanoseconds; the last hour where they are not there.

    Raises:
        BadParameter: one is no time, or the range is empty.
    """
    end = asked(query, time, now, "end")
    start = asked(query, time, max(end - HOUR, 0), "start")
    # A range may be one moment.
    return ordered(start, end + 1, "end", query.get("end", ""))


def required(query: Query, name: str) -> str:
    """The text of a parameter that must be there.

    Raises:
        BadParameter: it is not.
    """
    text = query.get(name, "")
    if not text:
        raise BadParameter(name, text, "is needed")
    return text
