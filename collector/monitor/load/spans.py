"""Spans of those requests of a load test that its result names, and of those with which something went wrong on purpose.

All requests would be as many spans as the services under test send themselves; these are where people look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from yarl import URL

from collector.monitor.failures.injecting import marks
from collector.monitor.load.interval import Named, Summary
from collector.monitor.load.message import span_id_of
from collector.monitor.load.run_store import Run
from collector.monitor.own_spans import OwnSpan


def spans_of(run: Run, interval: Summary) -> Iterator[OwnSpan]:
    """One for each request, as its client would see it: from when it was due, since that is when somebody began to wait."""
    told = {each.trace_id: each for each in (*interval.slowest, *interval.failed, *interval.struck)}
    request: Mapping[str, Any] = run.test["request"]
    url = URL(request["url"])
    method = request.get("method", "POST")
    common: dict[str, str | int] = {
        "http.request.method": method,
        "url.full": request["url"],
        "server.address": url.host or "",
        "server.port": url.port or 0,
        "spanhouse.load_test.run": str(run.id),
        "spanhouse.load_test.name": run.name,
    }
    for each in told.values():
        yield OwnSpan(
            each.trace_id,
            span_id_of(each.trace_id),
            f"{method} {url.path}",
            each.ended_at - each.duration,
            each.ended_at,
            {**common, **_of(each)},
            each.cause,
        )


def _of(request: Named) -> dict[str, str | int]:
    status: dict[str, str | int] = {"http.response.status_code": request.status} if request.status else {}
    return {**status, **marks(request.rule, request.failure)} if request.rule else status
