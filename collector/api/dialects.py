"""The query APIs of other systems: their routes, and how each words an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from collector.api.jaeger import monitor, routes, v3
from collector.api.jaeger.rendering import error_answer
from collector.api.problems import Problem

ROUTES: Final = (*routes.ROUTES, *monitor.ROUTES, *v3.ROUTES)
FORMS: Final[Mapping[str, Callable[[Problem], web.Response]]] = {
    f"{v3.PREFIX}/": v3.error_answer,
    "/jaeger/": error_answer,
}
"""Beginning of a path → how errors are worded there; the first that fits counts."""
