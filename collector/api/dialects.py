"""The query APIs of other systems: their routes, and how each words an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from collector.api import jaeger, prometheus, tempo, zipkin
from collector.api.problems import Problem

ROUTES: Final = (*jaeger.ROUTES, *tempo.ROUTES, *zipkin.ROUTES, *prometheus.ROUTES)
FORMS: Final[Mapping[str, Callable[[Problem], web.Response]]] = {
    **jaeger.FORMS,
    **tempo.FORMS,
    **zipkin.FORMS,
    **prometheus.FORMS,
}
"""Beginning of a path → how errors are worded there; the first that fits counts."""
