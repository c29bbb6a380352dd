"""What every kind of objects has in the API: create, list, get, replace, change, delete, and what its versions were.

RULES: Final = ObjectApi(ALERT_RULES, "alert-rules", "AlertRule", "alert rule")
ROUTES: Final = RULES.routes()
COMPONENTS: Final = RULES.components()
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import structlog
from aiohttp import web

from collector.api import params, schemas
from collector.api.bodies import read_object, validated
from collector.api.cursors import cursor, next_cursor
from collector.api.problems import Problem, Refusal
from collector.api.routing import CALLER, JSON, OBJECTS, Role, Route, made_at
from collector.api.versioned import (
    VERSIONS,
    answer_json,
    answer_versions,
    answer_with,
    check_room,
    named_version,
    outdated,
    path_id,
)
from collector.control.objects import Kind, ObjectModel, ObjectStore
from collector.control.versions import Conflict, Stored

_log = structlog.get_logger(__name__)

S = TypeVar("S", bound=ObjectModel)

ID: Final = "object_id"
"""What the id is called in paths."""
LIMIT: Final = params.limit(100, 1000, "objects")
CONTAINS: Final = params.optional_text("contains", "Only those with this in what the list is sorted by, in either case.", "cart")


def _place(label: Any, identifier: Any) -> tuple[str, uuid.UUID]:
    return str(label), uuid.UUID(identifier)


CURSOR: Final = cursor(_place)


async def _anything(_: web.Request, __: Any) -> None:
    """Nothing more is asked of what an object says."""


async def _as_said(_: web.Request, said: S) -> S:
    """Nothing is added to what an object says."""
    return said


@dataclass(frozen=True, slots=True)
class ObjectApi(Generic[S]):
    """The routes of one kind.

    Attributes:
        kind: of the objects.
        path: below `/api/v1/workspaces/{workspace}/`, such as `alert-rules`; in lists the objects are called `alertRules`.
        schema: how the OpenAPI document calls what an object is, such as `AlertRule`.
        noun: the same for people, such as `alert rule`.
        role: what a caller needs to be allowed for changes.
        by_author_only: whether a change needs to come from who made the object, or from an administrator.
        check: called with what a caller wants an object to say, before it is stored; raises a Problem where that cannot be.
        complete: called with the same then; gives it back with what follows from it. Raises as `check`.
    """

    kind: Kind[S]
    path: str
    schema: str
    noun: str
    role: Role = "admin"
    by_author_only: bool = False
    check: Callable[[web.Request, S], Awaitable[None]] = _anything
    complete: Callable[[web.Request, S], Awaitable[S]] = _as_said

    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        everything = f"/api/v1/workspaces/{{workspace}}/{self.path}"
        one = f"{everything}/{{{ID}}}"
        answer = {JSON: schemas.reference(self.schema)}
        unknown = f"The workspace has no such {self.noun}."
        settings = schemas.reference(f"{self.schema}Settings")
        changing: dict[str, Any] = {
            "unknown": unknown,
            "conflict": "Somebody else has changed it; the answer has both versions and what it says now.",
            "names_version": True,
            "role": self.role,
        }
        return (
            Route(
                everything,
                self._list,
                f"Those of the kind {self.noun} in a workspace",
                {JSON: schemas.reference(f"{self.schema}List")},
                (CONTAINS, LIMIT, CURSOR),
                operation=f"list_{self.kind.name}s",
            ),
            Route(
                everything,
                self._create,
                f"Make an object: {self.noun}",
                answer,
                method="POST",
                status=201,
                body=settings,
                role=self.role,
                conflict="The workspace has as many as it may.",
                operation=f"create_{self.kind.name}",
            ),
            Route(one, self._get, f"An object: {self.noun}", answer, unknown=unknown, operation=f"get_{self.kind.name}"),
            Route(
                one,
                self._replace,
                f"Say anew what an object says: {self.noun}",
                answer,
                method="PUT",
                body=settings,
                operation=f"replace_{self.kind.name}",
                **changing,
            ),
            Route(
                one,
                self._change,
                f"Change some of what an object says: {self.noun}",
                answer,
                method="PATCH",
                body=schemas.reference(f"{self.schema}Change"),
                operation=f"change_{self.kind.name}",
                **changing,
            ),
            Route(
                one,
                self._delete,
                f"End an object: {self.noun}",
                {},
                method="DELETE",
                status=204,
                operation=f"delete_{self.kind.name}",
                **changing,
            ),
            Route(
                f"{one}/versions",
                self._versions,
                f"What an object has said, and who said it, the latest first: {self.noun}",
                {JSON: schemas.reference(f"{self.schema}Versions")},
                VERSIONS,
                unknown=unknown,
                operation=f"list_{self.kind.name}_versions",
            ),
        )

    def components(self) -> dict[str, schemas.Schema]:
        """JSON schemas that the routes refer to, and those of models within the model."""
        said = self.kind.model.model_json_schema(ref_template="#/components/schemas/{model}")
        inner = said.pop("$defs", {})
        whole = schemas.record(**schemas.stored(said["properties"]))
        return {
            **inner,
            f"{self.schema}Settings": said,
            f"{self.schema}Change": {
                **{key: value for key, value in said.items() if key != "required"},
                "description": "What is to be said otherwise; what is left out stays as it is.",
            },
            self.schema: whole,
            f"{self.schema}List": schemas.record(
                **{self.plural: schemas.listing(schemas.reference(self.schema))}, nextCursor=schemas.NEXT_CURSOR
            ),
            f"{self.schema}Versions": schemas.versions(said["properties"]),
        }

    @property
    def plural(self) -> str:
        """What objects are called in lists: `alertRules`."""
        first, *others = self.path.split("-")
        return first + "".join(map(str.capitalize, others))

    def store(self, request: web.Request) -> ObjectStore[S]:
        """Where the objects are."""
        return request.app[OBJECTS].of(self.kind)

    async def named(self, request: web.Request) -> Stored[S]:
        """The object that the path names.

        Raises:
            Problem: 404 where the workspace has none of this id.
        """
        found = await self.store(request).get(request[CALLER].workspace, path_id(request, ID))
        if found is None:
            raise Problem(404, "Not found", f"The workspace has no such {self.noun}.")
        return found

    def page(self, found: list[Stored[S]], limit: int) -> web.Response:
        """The answer of a list: the first `limit` of the objects that were found, and where the next page begins."""
        after = next_cursor(found, limit, lambda last: (self.kind.label(last.settings), last.id))
        return answer_json({self.plural: [each.as_json() for each in found[:limit]], "nextCursor": after})

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        limit = LIMIT.read(query)
        contains = CONTAINS.read(query) or ""
        workspace = request[CALLER].workspace
        found = await self.store(request).page(workspace, limit + 1, after=CURSOR.read(query), contains=contains)
        return self.page(found, limit)

    async def _create(self, request: web.Request) -> web.Response:
        settings = validated(self.kind.model, await read_object(request))
        await self.check(request, settings)
        settings = await self.complete(request, settings)
        caller = request[CALLER]
        store = self.store(request)
        await check_room(request, store, self.noun)
        made = await store.create(caller.workspace, settings, caller.principal.name)
        self._tell("created", made)
        return answer_with(made, 201, **made_at(request, f"{request.path}/{made.id}"))

    async def _get(self, request: web.Request) -> web.Response:
        return answer_with(await self.named(request))

    async def _replace(self, request: web.Request) -> web.Response:
        version = named_version(request)
        settings = validated(self.kind.model, await read_object(request))
        return await self._say(request, await self._at(request, version), settings)

    async def _change(self, request: web.Request) -> web.Response:
        version = named_version(request)
        change = await read_object(request)
        seen = await self._at(request, version)
        said = seen.settings.model_dump(by_alias=True, mode="json")
        return await self._say(request, seen, validated(self.kind.model, {**said, **change}))

    async def _delete(self, request: web.Request) -> web.Response:
        seen = await self._at(request, named_version(request))
        try:
            await self.store(request).delete(seen, request[CALLER].principal.name)
        except Conflict as conflict:
            raise outdated(self.noun, seen.version, conflict.current) from None
        self._tell("deleted", seen)
        return web.Response(status=204)

    async def _versions(self, request: web.Request) -> web.Response:
        return await answer_versions(request, self.store(request), path_id(request, ID), self.noun)

    async def _say(self, request: web.Request, seen: Stored[S], settings: S) -> web.Response:
        await self.check(request, settings)
        settings = await self.complete(request, settings)
        if (brought := self.kind.expires_s(settings)) and brought < (self.kind.expires_s(seen.settings) or 1 << 62):
            raise Problem(400, "Invalid body", f"The {self.noun} must not be forgotten earlier than was said before.")
        try:
            changed = await self.store(request).change(seen, settings, request[CALLER].principal.name)
        except Conflict as conflict:
            raise outdated(self.noun, seen.version, conflict.current) from None
        self._tell("changed", changed)
        return answer_with(changed)

    async def _at(self, request: web.Request, version: int) -> Stored[S]:
        """The object that the path names, which must still be at this version, and which the caller may change."""
        seen = await self.named(request)
        principal = request[CALLER].principal
        if self.by_author_only and principal.name != seen.created_by and not principal.may("admin"):
            detail = f"{seen.created_by} has made this; only they or an administrator may change it."
            raise Refusal("permission_denied", 403, "Not allowed", detail)
        if seen.version != version:
            raise outdated(self.noun, version, seen)
        return seen

    def _tell(self, what: str, stored: Stored[S]) -> None:
        _log.info(
            f"{self.kind.name}_{what}",
            workspace=stored.workspace,
            id=str(stored.id),
            version=stored.version,
            by=stored.updated_by,
        )
