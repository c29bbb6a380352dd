"""No view bars anybody, as far as axe can tell; in light and in dark."""

from __future__ import annotations

import json
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.page.axe import violations
from tests.support.daemon import Daemon

pytestmark = pytest.mark.soak

VIEWS: Final = {
    "search": "/search?from=now-24h",
    "search-fault": "/search?q=duration%20%3E%3E%205ms",
    "latencies": "/analyze?service=rest-service-3&apart=slow&beside=before",
    "operations": "/analyze?tab=operations",
    "over-time": "/analyze?tab=over-time&by=service,operation",
    "critical-path": "/analyze?tab=critical-path&rows=all",
    "new": "/analyze?tab=new",
    "trace": "/trace/{trace}",
    "span": "/trace/{trace}?span=1",
    "flame-graph": "/trace/{trace}?tab=flame&span=1",
    "statistics": "/trace/{trace}?tab=statistics",
    "compare": "/compare?left={trace}&right={trace}",
    "services": "/services?name=rest",
    "service": "/services/rest-service-3",
    "topology": "/topology?service=rest-service-3&depth=2&table=open&compare=before&part=service:rest-service-3",
    "dashboard": "/dashboard",
    "nothing": "/dashboard?from=now-2d&to=now-1d",
    "alerts": "/alerts",
    "alert-rule": "/alerts?tab=rules&edit=new",
    "channel": "/alerts?tab=channels&edit=new",
    "silence": "/alerts?tab=silences&edit=new",
    "deliveries": "/alerts?tab=deliveries",
    "load-tests": "/load-tests",
    "load-test": "/load-tests?edit=new",
    "request": "/requests?edit=new",
    "failure-rule": "/failures?edit=new",
    "apart": "/services/rest-service-3?apart=slow",
    "health": "/health",
    "configuration": "/health?tab=configuration",
    "changes": "/health?tab=changes",
}


@pytest.fixture(scope="module")
def failed_trace(shown: Daemon) -> str:
    found = json.loads(shown.get("/api/v1/traces?status=error&limit=1&start=1")[1])
    trace: str = found["traces"][0]["traceId"]
    return trace


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_bars_nobody(page: Page, failed_trace: str, view: str) -> None:
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto(VIEWS[view].format(trace=failed_trace))
    page.wait_for_load_state("networkidle")
    expect(page.get_by_text("Loading")).to_have_count(0)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert violations(page, "color-contrast") == []
