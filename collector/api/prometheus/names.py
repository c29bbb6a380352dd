"""Which series, labels and metrics there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from collector.api.asked import asked, whole
from collector.api.problems import BadParameter
from collector.api.prometheus.asked import Query, routes, time_range
from collector.api.prometheus.rendering import answer
from collector.api.routing import CALLER, NOW, STORE
from collector.query.promql.expressions import NAME, Matcher
from collector.query.promql.families import METRICS
from collector.query.promql.label_sets import find_label_sets
from collector.query.promql.reading import read_selector
from collector.query.promql.vectors import Labels
from config.ottl_grammar import OttlError

_MATCH: Final = "match[]"
_MOST_SELECTORS: Final = 20
_ANY: Final = (Matcher(NAME, "!=", ""),)
_TRUNCATED: Final = "results truncated due to limit"
_CLAIMED_VERSION: Final = "2.55.0"
"""Clients look at it to know which parameters are understood."""


async def series(request: web.Request, query: Query) -> web.Response:
    """The series that fit one of the selectors."""
    if _MATCH not in query:
        raise BadParameter(_MATCH, "", "no match[] parameter provided")
    return _listed([dict(labels) for labels in await _found(request, query)], query)


async def label_names(request: web.Request, query: Query) -> web.Response:
    """Names of labels of these series, or of all."""
    return _listed(sorted({name for labels in await _found(request, query) for name, _ in labels}), query)


async def label_values(request: web.Request, query: Query) -> web.Response:
    """What a label of these series, or of all, says."""
    wanted = request.match_info["label"]
    found = {value for labels in await _found(request, query) for name, value in labels if name == wanted}
    return _listed(sorted(found), query)


async def metadata(_: web.Request, query: Query) -> web.Response:
    """Types and meanings of the metrics."""
    families = {
        metric.name if metric.kind == "counter" else metric.family: [{"type": metric.kind, "help": metric.help, "unit": ""}]
        for metric in METRICS.values()
    }
    wanted = query.get("metric", "")
    most = asked(query, whole(0, 10**9), 0, "limit") or len(families)
    return answer(dict([(name, told) for name, told in families.items() if wanted in ("", name)][:most]))


async def rules(_: web.Request, __: Query) -> web.Response:
    """Rules in PromQL: there are none. Grafana asks before it shows its list of alerts, and when somebody types a query."""
    return answer({"groups": []})


async def build_information(_: web.Request, __: Query) -> web.Response:
    """Which Prometheus this can be taken for."""
    nothing = dict.fromkeys(("revision", "branch", "buildUser", "buildDate", "goVersion"), "")
    return answer({"version": _CLAIMED_VERSION, **nothing})


async def _found(request: web.Request, query: Query) -> list[Labels]:
    start, end = time_range(query, request.app[NOW]())
    texts = query.getall(_MATCH, [])
    if len(texts) > _MOST_SELECTORS:
        raise BadParameter(_MATCH, texts[_MOST_SELECTORS], f"may be given {_MOST_SELECTORS} times at most")
    selectors = [_matchers(text) for text in texts] or [_ANY]
    return await find_label_sets(request.app[STORE], selectors, start=start, end=end, workspace=request[CALLER].workspace)


def _matchers(text: str) -> Sequence[Matcher]:
    try:
        return read_selector(text).matchers
    except OttlError as error:
        raise BadParameter(_MATCH, text, f"{error.line}:{error.column}: parse error: {error.message}") from None


def _listed(found: list[Any], query: Query) -> web.Response:
    most = asked(query, whole(0, 10**9), 0, "limit") or len(found)
    return answer(found[:most], warnings=[_TRUNCATED] if most < len(found) else [])


ROUTES: Final = (
    *routes("/series", series),
    *routes("/labels", label_names),
    *routes("/label/{label}/values", label_values)[:1],
    *routes("/metadata", metadata)[:1],
    *routes("/rules", rules)[:1],
    *routes("/status/buildinfo", build_information)[:1],
)
