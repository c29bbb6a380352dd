"""What a route is, and what handlers reach through the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aiohttp import web

from collector.access import Caller
from collector.api.params import Parameter, refuse_unknown
from collector.api.problems import Refusal
from collector.control.config_store import ConfigStore
from collector.control.objects import Objects
from collector.control.policies import Policy
from collector.fair_turns import Turns
from collector.ledger import Ledger
from collector.processors.tail_sampling.recent import Explainer
from collector.query.store import Limits, SpanStore
from collector.running import RunningConfig

JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"

Role = Literal["read", "admin"]
"""What a caller needs to be allowed."""


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """What the operator decides about queries.

    Attributes:
        spans_table: as written by the exporter, with or without a database.
        timeout_s: limit of one query to the store.
        limits: what else one query to the store may take.
        max_spans: of a larger trace only the earliest so many spans are read.
        spans_ttl_s: how long the store keeps spans, in seconds; 0 for ever.
        default_policy: tells what becomes of spans of services for which no tracing config speaks.
        max_objects: so many objects of a kind a workspace may have.
    """

    spans_table: str = "otel_traces"
    timeout_s: float = 30.0
    limits: Limits = field(default_factory=Limits)
    max_spans: int = 100_000
    default_policy: Callable[[], Policy] = Policy
    spans_ttl_s: int = 0
    max_objects: int = 20_000


BASE_PATH: Final = web.AppKey("base_path", str)
"""What stands in front of all paths for those who come through a proxy; empty for nothing."""
STORE: Final = web.AppKey("store", SpanStore)
CONFIGS: Final = web.AppKey("configs", ConfigStore)
OBJECTS: Final = web.AppKey("objects", Objects)
CALLER: Final = web.RequestKey("caller", Caller)
"""Who asks; the guard puts it there."""
SEES_ALL: Final = web.RequestKey("sees_all", bool)
"""Whether who asks may know what is not of one workspace, where others are answered as well; the guard puts it there."""
TURNS: Final = web.AppKey("turns", Turns)
"""For handlers whose requests take no turn at the store, because they last, but which ask it now and then."""
RUNNING: Final = web.AppKey("running", RunningConfig)
LEDGER: Final = web.AppKey("ledger", Ledger)
EXPLAINERS: Final[web.AppKey[Mapping[str, Explainer]]] = web.AppKey("explainers", Mapping)
"""Id of an exporter → who decides about traces on the way to it."""
SETTINGS: Final = web.AppKey("settings", QuerySettings)
NOW: Final[web.AppKey[Callable[[], int]]] = web.AppKey("now", Callable[[], int])  # type: ignore[arg-type]  # a callable type is no class


def made_at(request: web.Request, path: str) -> dict[str, str]:
    """The header that says where something is that was made."""
    return {"Location": f"{request.app[BASE_PATH]}{path}"}


@dataclass(frozen=True, slots=True)
class Route:
    """One method of a path, with all that the OpenAPI document says about it.

    Attributes:
        path: with names in braces, as aiohttp and OpenAPI both write it.
        summary: one line for the reader of the document.
        answers: media type -> JSON schema of what it answers (None for bytes).
        parameters: of the query.
        unknown: what a 404 means, empty when there is none.
        conflict: what a 409 means, empty when there is none.
        method: of HTTP.
        status: of an answer that is no problem.
        body: JSON schema of the request's body; None where it has none.
        names_version: whether the header If-Match must name the version that is changed.
        has_tag: whether answers have an `ETag`, and are spared a client that has the same one already (`polling.py`).
        role: what the caller needs to be allowed.
        operation: how the OpenAPI document calls this; the handler's name where it is empty.
    """

    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    summary: str
    answers: Mapping[str, Mapping[str, Any] | None]
    parameters: tuple[Parameter[Any], ...] = ()
    unknown: str = ""
    conflict: str = ""
    method: str = "GET"
    status: int = 200
    body: Mapping[str, Any] | None = None
    names_version: bool = False
    has_tag: bool = False
    role: Role = "read"
    operation: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Check that the caller may do this and that the query has no other parameters, then handle it."""
        principal = request[CALLER].principal
        if not principal.may(self.role):
            detail = f"{principal.name} has the role {principal.role}; this needs the role {self.role}."
            raise Refusal("permission_denied", 403, "Not allowed", detail)
        refuse_unknown(request.query, self.parameters)
        return await self.handler(request)
