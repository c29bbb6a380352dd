"""The page: the built bundle of `collector/web`, at `/` and at the paths of its views.

All that it shows it asks of the API, so its files are for everybody, without a token.
"""

from __future__ import annotations

import gzip
import mimetypes
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Final

from aiohttp import web

VIEWS: Final = (
    *("search", "analyze", "trace", "compare", "services", "topology", "dashboard", "alerts", "load-tests", "requests"),
    *("failures", "tracing", "health"),
)
"""Beginnings of the paths of views. Each answers with the page, which reads its own URL."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing leaves this host, and nothing in names or attributes of spans can run."""
_OWN: Final = frozenset({"", "assets", "icon.svg", *VIEWS})
_FOR_EVER: Final = "public, max-age=31536000, immutable"
"""Names in `assets` have a hash of what is in them."""
_WORTH_PACKING: Final = 1024
_BELOW: Final = b'="./'
"""How the page's document names what lies below the path that it is served at."""


def is_page(path: str) -> bool:
    """Whether a path is one of the page or of its files, which hold nothing that not everybody may know."""
    first = path[1:].partition("/")[0]
    return first in _OWN


def page_routes(base_path: str = "") -> list[web.RouteDef]:
    """Where the page and its files are; it asks for all that it needs below a path."""
    bundle = Path(str(files("collector"))) / "web" / "bundle"
    file = bundle.joinpath("index.html")
    document = _as_it_is_and_packed(file.read_bytes().replace(_BELOW, b'="%s/' % base_path.encode()))
    index = partial(_answer_with, document, file.name, "no-cache")
    routes = [web.get("/", index)]
    for view in VIEWS:
        routes += [web.get(f"/{view}", index), web.get(f"/{view}/{{rest:.*}}", index)]
    routes += [
        web.get(f"/assets/{file.name}", partial(_answer, file, _FOR_EVER)) for file in sorted((bundle / "assets").iterdir())
    ]
    return [*routes, web.get("/icon.svg", partial(_answer, bundle / "icon.svg", "no-cache"))]


async def _answer(file: Path, caching: str, request: web.Request) -> web.Response:
    return await _answer_with(_content(file), file.name, caching, request)


async def _answer_with(content: tuple[bytes, bytes], name: str, caching: str, request: web.Request) -> web.Response:
    plain, packed = content
    headers = {"Cache-Control": caching, "Content-Security-Policy": POLICY, "Vary": "Accept-Encoding"}
    if packed and "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=packed, content_type=_media_type(name), headers={**headers, "Content-Encoding": "gzip"})
    return web.Response(body=plain, content_type=_media_type(name), headers=headers)


@cache
def _content(file: Path) -> tuple[bytes, bytes]:
    """What a file holds, as `_as_it_is_and_packed`."""
    return _as_it_is_and_packed(file.read_bytes())


def _as_it_is_and_packed(plain: bytes) -> tuple[bytes, bytes]:
    """The latter empty where it is not worth it."""
    return plain, gzip.compress(plain, 9, mtime=0) if len(plain) > _WORTH_PACKING else b""


def _media_type(name: str) -> str:
    if name.endswith(".js"):
        return "text/javascript"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
