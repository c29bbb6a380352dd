"""What a route is, and what handlers reach through the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from collector.access import Caller
from collector.api.params import Parameter, refuse_unknown
from collector.ledger import Ledger
from collector.query.store import SpanStore

JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """What the operator decides about queries.

    Attributes:
        spans_table: as written by the exporter, with or without a database.
        timeout_s: limit of one query to the store.
        max_spans: of a larger trace only the earliest so many spans are read.
    """

    spans_table: str = "otel_traces"
    timeout_s: float = 30.0
    max_spans: int = 100_000


STORE: Final = web.AppKey("store", SpanStore)
CALLER: Final = web.RequestKey("caller", Caller)
"""Who asks; the guard puts it there."""
LEDGER: Final = web.AppKey("ledger", Ledger)
SETTINGS: Final = web.AppKey("settings", QuerySettings)
NOW: Final[web.AppKey[Callable[[], int]]] = web.AppKey("now", Callable[[], int])  # type: ignore[arg-type]  # a callable type is no class


@dataclass(frozen=True, slots=True)
class Route:
    """One GET path, with all that the OpenAPI document says about it.

    Attributes:
        path: with names in braces, as aiohttp and OpenAPI both write it.
        summary: one line for the reader of the document.
        answers: media type -> JSON schema of a 200 (None for bytes).
        parameters: of the query.
        unknown: what a 404 means, empty when there is none.
    """

    path: str
    handler: Callable[[web.Request], Awaitable[web.Response]]
    summary: str
    answers: Mapping[str, Mapping[str, Any] | None]
    parameters: tuple[Parameter[Any], ...] = ()
    unknown: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Check that the query has no other parameters, then handle it."""
        refuse_unknown(request.query, self.parameters)
        return await self.handler(request)
