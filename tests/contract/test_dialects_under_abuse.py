"""Whatever a client of another dialect sends, it gets an answer in that dialect, and never an error of ours."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest
from yarl import URL

from collector.api import dialects
from tests.contract.test_query_api_traces import Api, request_of, span
from tests.contract.test_query_api_traces import api as api
from tests.support.paths import filled

NAMES = {
    "/jaeger/api/v3/": (
        *("query.serviceName", "query.filter", "query.startTimeMin", "query.startTimeMax", "query.searchDepth"),
        *("query.attributes", "query.durationMin", "spanKind", "service", "rawTraces"),
    ),
    "/jaeger/": (
        *("service", "spanKind", "operation", "start", "end", "limit", "minDuration", "maxDuration", "tag", "tags", "traceID"),
        *("raw", "prettyPrint", "endTs", "lookback", "step", "quantile", "ratePer", "groupByOperation"),
    ),
    "/tempo/": ("q", "tags", "start", "end", "limit", "spss", "minDuration", "scope", "since", "step", "maxSeries"),
    "/zipkin/": (
        *("serviceName", "spanName", "remoteServiceName", "annotationQuery", "minDuration", "maxDuration", "endTs", "lookback"),
        *("limit", "traceIds", "key"),
    ),
    "/prometheus/": ("query", "time", "start", "end", "step", "match[]", "limit", "timeout"),
}
"""Beginning of a path → parameters that are read there; the first that fits counts."""
VALUES = (
    *("", "%00", "%FF%FE", "%ED%A0%80", "%F0%9F%92%A9", "'", "%5C", "-1", "1e999", "99999999999999999999999", "NaN", "true"),
    *("%7B%22a%22%3A%22%5Cud800%22%7D", "%7B%22%5Cud800%22%3A1%7D", "%7B.a%3D%22%5Cud800%22%7D", "%7B%20name%3D%22%5Cx00%22%7D"),
    *("a%3A%ED%A0%80", "%7B%7D%7Crate()by(.%22%00%22)", "%7B.a%3E1e999%7D", "%7B.a%3D~%22%5C%5CC%22%7D", "2026-99-99T00:00:00Z"),
)
NEEDED = (
    "service=shop&serviceName=shop&quantile=0.5&endTs=1767225600000&key=a&traceIds=1,2&query.startTimeMin=2000-01-01T00:00:00Z"
    "&query.startTimeMax=2200-01-01T00:00:00Z&q=%7B%7D"
)
"""What some of the paths need in order to answer at all; a value of the test stands before it, and is the one that counts."""


async def ask(api: Api, path: str, query: str) -> tuple[int, Any]:
    async with api.session.get(URL(f"{api.url}{path}?{query}", encoded=True)) as response:
        return response.status, await response.read()


@pytest.mark.soak
async def test_no_value_of_a_parameter_is_an_error_of_ours(api: Api) -> None:
    await api.store(request_of(span(1, 1, name="a")))
    values = itertools.cycle(VALUES)
    for route in dialects.ROUTES:
        if route.method != "GET":
            continue
        path = filled(route.path, trace_id="1", service="shop", tag=".a", label="service_name")
        names = next(names for prefix, names in NAMES.items() if path.startswith(prefix))
        # Every name on every path, and every value under most names.
        for name, value in zip(names, values, strict=False):
            status, body = await ask(api, path, f"{name}={value}&{NEEDED}")
            assert status in (200, 400, 404), (path, name, value, body)


async def test_no_part_of_a_path_is_an_error_of_ours(api: Api) -> None:
    for route in dialects.ROUTES:
        if "{" not in route.path:
            continue
        for value in VALUES[1:]:
            path = filled(route.path, trace_id=value, service=value, tag=value, label=value)
            status, body = await ask(api, path, "")
            assert status in (200, 400, 404), (path, body)
            if path.startswith("/jaeger/") and status != 200:
                assert orjson.loads(body)
