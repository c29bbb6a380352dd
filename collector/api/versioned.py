"""What requests and answers about objects with versions share: the version that a change is for, conflicts, ETags, histories."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

import orjson
from aiohttp import web

from collector.api import params
from collector.api.parsing import parse_uuid
from collector.api.problems import BadParameter, Problem
from collector.api.routing import CALLER, JSON, SETTINGS
from collector.control.versions import Stored, VersionStore

_ETAG: Final = re.compile(r'\s*"([1-9][0-9]{0,17})"\s*', re.ASCII)
_LIMIT: Final = params.limit(100, 1000, "versions")
_BEFORE: Final = params.optional_whole_number("before", "Only versions below this one.", 1, 999_999_999)
VERSIONS: Final = (_LIMIT, _BEFORE)
"""Parameters of paths that tell what an object has said."""


def path_id(request: web.Request, name: str) -> uuid.UUID:
    """The id in a request's path.

    Raises:
        BadParameter: it is no UUID.
    """
    text = request.match_info[name]
    try:
        return parse_uuid(text)
    except ValueError as error:
        raise BadParameter(name, text, str(error)) from None


def named_version(request: web.Request) -> int:
    """The version that the header If-Match names.

    Raises:
        Problem: 428 without one.
        BadParameter: it is something else.
    """
    text = request.headers.get("If-Match", "")
    if not text:
        detail = 'Say in the header If-Match which version you want to change, as ETag gave it: If-Match: "3".'
        raise Problem(428, "Version needed", detail)
    named = _ETAG.fullmatch(text)
    if named is None:
        raise BadParameter("If-Match", text, 'must be one version in quotes, such as "3"')
    return int(named[1])


def outdated(what: str, expected: int, current: Stored[Any]) -> Problem:
    """What somebody is told who wanted to change a version that is not the latest any more.

    Args:
        what: the object, such as `config`.
    """
    became = "was deleted, as version" if current.deleted else "is at version"
    return conflicting(f"You have seen version {expected}; the {what} {became} {current.version}.", current, expected)


def conflicting(detail: str, current: Stored[Any], expected: int = 0) -> Problem:
    """A conflict with what there is, which is told."""
    shown = None if current.deleted else current.as_json()
    return Problem(409, "Conflict", detail, expectedVersion=expected, currentVersion=current.version, current=shown)


async def check_room(request: web.Request, store: VersionStore[Any], noun: str) -> None:
    """Whether a workspace may have one more of a kind. Of many that are made at once, a few may be too many.

    Raises:
        Problem: 409 where it has as many as it may.
    """
    most, workspace = request.app[SETTINGS].max_objects, request[CALLER].workspace
    if (found := await store.count(workspace)) >= most:
        detail = (
            f"The workspace has {found} objects of the kind {noun}; max_objects of extensions.query allows {most}."
            " Delete some that are not needed any more."
        )
        raise Problem(409, "Too many objects", detail)


def answer_with(stored: Stored[Any], status: int = 200, **headers: str) -> web.Response:
    """The answer that an object is."""
    return answer_json(stored.as_json(), status, ETag=f'"{stored.version}"', **headers)


def answer_json(document: dict[str, Any], status: int = 200, **headers: str) -> web.Response:
    """The answer that a document is."""
    return web.Response(status=status, body=orjson.dumps(document), content_type=JSON, headers=headers)


async def answer_versions(request: web.Request, store: VersionStore[Any], object_id: uuid.UUID, noun: str) -> web.Response:
    """What an object has said, the latest first; of one that was deleted, too.

    Raises:
        Problem: 404 where the workspace never had one of this id.
    """
    limit, before = _LIMIT.read(request.query), _BEFORE.read(request.query)
    found = await store.history(request[CALLER].workspace, object_id, limit, *(() if before is None else (before,)))
    if not found and before is None:
        raise Problem(404, "Not found", f"The workspace has no such {noun}.")
    return answer_json({"versions": [{**each.as_json(), "deleted": each.deleted} for each in found]})
