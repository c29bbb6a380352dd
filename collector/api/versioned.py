"""What requests and answers about objects with versions share: the version that a change is for, conflicts, ETags."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

import orjson
from aiohttp import web

from collector.api.params import parse_uuid
from collector.api.problems import BadParameter, Problem
from collector.api.routing import JSON
from collector.control.versions import Stored

_ETAG: Final = re.compile(r'\s*"([1-9][0-9]{0,17})"\s*', re.ASCII)


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


def answer_with(stored: Stored[Any], status: int = 200, **headers: str) -> web.Response:
    """The answer that an object is."""
    return answer_json(stored.as_json(), status, ETag=f'"{stored.version}"', **headers)


def answer_json(document: dict[str, Any], status: int = 200, **headers: str) -> web.Response:
    """The answer that a document is."""
    return web.Response(status=status, body=orjson.dumps(document), content_type=JSON, headers=headers)
