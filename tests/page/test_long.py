"""Traces that are long or short, and names that go on and on."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import Final

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from playwright.sync_api import Page, expect

from tests.page.shown import await_stored
from tests.support.daemon import Daemon
from tests.support.requests import key_values

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND
TRACES: Final = {
    "a year": ("10" * 16, 366 * DAY, "366 d 0 h"),
    "hours": ("11" * 16, 33_180 * SECOND, "9 h 13 min"),
    "a moment": ("12" * 16, 1000, "1.00 µs"),
}
"""The id of each, how long it is in nanoseconds, and in words."""
KEY: Final = "k" * 5000
LABELS: Final = """(ticks) => {
    const axis = ticks[0].closest(".axis").getBoundingClientRect();
    return ticks.flatMap((tick) => [...tick.children]).map((label) => [label.textContent, label.getBoundingClientRect()])
        .filter(([, at]) => at.width && at.top < axis.bottom && at.bottom > axis.top)
        .map(([text, at]) => [text, at.left, at.right]);
}"""
"""What is to be seen at the axis, from where to where."""


@pytest.fixture(scope="module", params=TRACES)
def long_trace(request: pytest.FixtureRequest, shown: Daemon) -> tuple[str, str]:
    """The id of a trace, and how long it is in words."""
    trace, length, words = TRACES[request.param]
    shown.export(_trace(trace, length, {}))
    await_stored(shown)
    return trace, words


@pytest.mark.parametrize("width", [1280, 700, 320])
def test_times_at_the_axis_are_told_apart(page: Page, long_trace: tuple[str, str], width: int) -> None:
    trace, words = long_trace
    page.set_viewport_size({"width": width, "height": 800})
    for address in (f"/trace/{trace}", f"/trace/{trace}?span=0", f"/trace/{trace}?zoom=990-999"):
        page.goto(address)
        expect(page.get_by_role("treeitem").first).to_be_visible()
        labels = page.locator(".tick").evaluate_all(LABELS)
        assert all(one[2] < other[1] for one, other in pairwise(labels)), labels
        texts = [text for text, *_ in labels]
        assert len({*texts}) == len(texts) >= 2
        if "zoom" not in address:
            assert (texts[0], texts[-1]) == ("0", words)


def test_a_name_that_goes_on_leaves_room_for_others_until_somebody_wants_to_read_it(page: Page, shown: Daemon) -> None:
    trace = "1f" * 16
    shown.export(_trace(trace, SECOND, {KEY: "v", "next": "w"}))
    await_stored(shown)
    page.goto(f"/trace/{trace}?span=0")
    panel = page.get_by_role("complementary")
    expect(panel.get_by_role("rowheader", name="next")).to_be_in_viewport()
    panel.get_by_role("row").first.get_by_role("button", name="show all 5000 characters").click()
    expect(panel.get_by_role("rowheader", name="next")).not_to_be_in_viewport()
    panel.get_by_role("button", name="show less").click()
    page.context.grant_permissions(["clipboard-write"])
    panel.get_by_role("button", name=f"Copy {KEY[:60]}…", exact=True).click()
    expect(page.get_by_text(f"Copied {KEY[:60]}…", exact=True)).to_be_visible()


def test_what_a_trace_and_its_operations_took_is_seen_behind_names_of_any_length(page: Page, shown: Daemon) -> None:
    trace = "2f" * 16
    shown.export(_trace(trace, 2 * SECOND, {}, name="n" * 10_000))
    shown.export(_trace(trace, SECOND, {}, name="o" * 10_000, span_id=2))
    await_stored(shown)
    page.goto(f"/trace/{trace}?tab=statistics")
    title = page.get_by_role("heading", level=1)
    expect(title.get_by_text(re.compile(r"^2\.\d\d s$"))).to_be_in_viewport(ratio=1)
    figures = page.get_by_role("table", name="Statistics by").get_by_role("cell", name="1.00 s", exact=True)
    expect(figures.last).to_be_in_viewport(ratio=1)


def test_names_that_are_read_from_the_right_stay_apart_and_in_their_order(page: Page, shown: Daemon) -> None:
    trace = "3f" * 16
    request = _trace(trace, SECOND, {}, name="طلب الدفع")
    request.resource_spans[0].resource.attributes.extend(key_values({"service.name": "תשלומים"}))
    shown.export(request)
    await_stored(shown)
    page.goto(f"/trace/{trace}")
    row = page.get_by_role("treeitem")
    service, operation = row.get_by_text("תשלומים").bounding_box(), row.get_by_text("طلب الدفع").last.bounding_box()
    assert service is not None
    assert operation is not None
    assert service["x"] + service["width"] <= operation["x"]


def test_a_span_that_is_short_beside_its_trace_is_drawn_and_can_be_pointed_at(page: Page, shown: Daemon) -> None:
    trace = "4f" * 16
    shown.export(_trace(trace, DAY // 2, {}))
    shown.export(_trace(trace, 0, {}, name="short", span_id=2, parent_id=1))
    await_stored(shown)
    page.goto(f"/trace/{trace}")
    row = page.get_by_role("treeitem", name="short")
    drawn, room = row.locator(".bar").bounding_box(), row.bounding_box()
    assert drawn is not None
    assert room is not None
    assert drawn["width"] >= 2
    assert drawn["x"] + drawn["width"] <= room["x"] + room["width"]
    page.get_by_role("tab", name="Flame graph").click()
    graph = page.get_by_role("tree", name=re.compile("Flame graph")).bounding_box()
    assert graph is not None
    page.mouse.move(graph["x"] + graph["width"] - 2, graph["y"] + 30)
    expect(page.get_by_role("status").filter(has_text="short, 0 ns")).to_be_visible()


def _trace(
    trace_id: str, length: int, attributes: dict[str, str], *, name: str = "long", span_id: int = 1, parent_id: int = 0
) -> ExportTraceServiceRequest:
    """One span that has just ended."""
    request = ExportTraceServiceRequest()
    end = time.time_ns()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=bytes.fromhex(trace_id),
        span_id=span_id.to_bytes(8),
        parent_span_id=parent_id.to_bytes(8) if parent_id else b"",
        name=name,
        start_time_unix_nano=end - length,
        end_time_unix_nano=end,
        attributes=key_values(attributes),
    )
    return request
