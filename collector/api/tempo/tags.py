"""Completion of what somebody types into Grafana's search for Tempo: names of tags, and their values."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from aiohttp import web

from collector.api.asked import asked, parsed, whole
from collector.api.parsing import choice
from collector.api.rendering import json_response
from collector.api.routing import CALLER, NOW, STORE
from collector.api.tempo.searching import time_range_of
from collector.api.tempo.traces import PREFIX
from collector.query.attribute_values import SpansSeen, find_keys, find_values
from collector.query.predicates import EVERY_SPAN, ROOT, AllOf, Attribute, Level
from collector.query.store import KINDS, STATUS_CODES
from collector.query.traceql.fields import INTRINSICS, Subject, subject_of
from collector.query.traceql.reading import read_unfinished

_MOST: Final = 5_000
_DEFAULT: Final = 1_000
_SCOPES: Final[dict[str, Level]] = {
    "resource": "resource",
    "span": "span",
    "event": "event",
    "link": "link",
    "instrumentation": "scope",
}
_INTRINSIC: Final = "intrinsic"
_OFFERED: Final = sorted(name for name, subject in INTRINSICS.items() if subject.takes not in ("count", "place"))
"""Intrinsics of which Grafana makes lists to choose from: spans are not told apart by the others."""
_TYPES: Final = {"s": "string", "i": "int", "d": "float", "b": "bool"}
_KEYWORDS: Final = {"kind": KINDS, "status": STATUS_CODES}


def _spans(request: web.Request) -> SpansSeen:
    start, end = time_range_of(request.query, request.app[NOW]())
    where = asked(request.query, read_unfinished, EVERY_SPAN, "q")
    return SpansSeen(request[CALLER].workspace, start, end, where)


def _limit(request: web.Request) -> int:
    # Zero, and more than we have, mean as many as there are.
    return min(asked(request.query, whole(0, 10**9), _DEFAULT, "limit") or _MOST, _MOST)


async def _scopes(request: web.Request) -> dict[str, list[str]]:
    """Names of tags by their scope, those of one or of all."""
    scope = asked(request.query, choice(("none", *_SCOPES, _INTRINSIC)), "none", "scope")
    found = {}
    if scope != _INTRINSIC:
        keys = await find_keys(request.app[STORE], _spans(request), _limit(request))
        found = {name: keys[level] for name, level in _SCOPES.items() if scope in ("none", name)}
    if scope in ("none", _INTRINSIC):
        found[_INTRINSIC] = list(_OFFERED)
    return found


async def list_tags(request: web.Request) -> web.Response:
    """Names of tags in one list."""
    scopes = await _scopes(request)
    names = sorted({name for scope, names in scopes.items() if scope != _INTRINSIC for name in names})
    return json_response({"tagNames": names or scopes.get(_INTRINSIC, []), "metrics": {}})


async def list_tags_by_scope(request: web.Request) -> web.Response:
    """Names of tags in a list for each scope."""
    scopes = await _scopes(request)
    return json_response({"scopes": [{"name": name, "tags": tags} for name, tags in scopes.items() if tags], "metrics": {}})


async def list_values(request: web.Request) -> web.Response:
    """Texts of the values of a tag, which is named without a scope."""
    name = _tag_name(request)
    field = Subject(Attribute("span or resource", name), "anything")
    found = await _values(request, INTRINSICS.get(name, field))
    return json_response({"tagValues": list(dict.fromkeys(text for _, text in found)), "metrics": {}})


async def list_typed_values(request: web.Request) -> web.Response:
    """Values of a tag or intrinsic with their types."""
    found = await _values(request, parsed("tag", _tag_name(request), subject_of))
    return json_response({"tagValues": [{"type": kind, "value": text} for kind, text in found], "metrics": {}})


def _tag_name(request: web.Request) -> str:
    # Grafana encodes the name twice, since servers in between may take an encoded slash for one.
    return unquote(request.match_info["tag"])


async def _values(request: web.Request, subject: Subject) -> list[tuple[str, str]]:
    """Values and their types, each once: bytes, and what has no type, are told as texts."""
    spans, limit = _spans(request), _limit(request)
    names = _KEYWORDS.get(subject.takes)
    if names is not None:
        return [("keyword", name.lower()) for name in names]
    if subject.field is None:
        return []
    if subject.of == "root":
        spans = SpansSeen(spans.workspace, spans.start, spans.end, AllOf((ROOT, spans.where)))
    found = await find_values(request.app[STORE], subject.field, spans, limit)
    return list(dict.fromkeys((_TYPES.get(value.code, "string"), value.text) for value in found))


ROUTES: Final = (
    web.get(f"{PREFIX}/search/tags", list_tags),
    web.get(f"{PREFIX}/v2/search/tags", list_tags_by_scope),
    web.get(f"{PREFIX}/search/tag/{{tag:.+}}/values", list_values),
    web.get(f"{PREFIX}/v2/search/tag/{{tag:.+}}/values", list_typed_values),
)
