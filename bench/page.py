"""How long the page takes to open, and how smoothly it moves, in Debian's Chromium without a window.

    python bench/page.py [--spans N] [--repetitions N]

A daemon as the page's tests have it holds the real traces and one of many spans. Each opening is in a new context of the browser,
whose cache is empty, from the request to the first frame with rows, and for the large trace also to the one with all spans. The
waterfall is then scrolled from its beginning to its end, and zoomed to a span or moved to the next one by key, a step a frame;
stated are the times between frames, whose number a second the browser bounds by 60. Chromium draws without a graphics card here,
on the cores that the daemon and ClickHouse use too. The scripts of the first view are those that are loaded with it, as they are
sent, compressed.
"""

from __future__ import annotations

import argparse
import shutil
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import Browser, Page, Response, sync_playwright

from tests.page.odd_traces import LARGE, large_trace
from tests.page.shown import await_stored, showing_real_traces

SPANS: Final = 100_000
REPETITIONS: Final = 5
MOST_SCRIPT_BYTES: Final = 250_000
MOST_OPENING_MS: Final = 2_000.0
LEAST_FRAMES_A_SECOND: Final = 60
_STEPS: Final = 300
_TREE: Final = "[role=tree]"
_TIMEOUT_MS: Final = 60_000
_ROWS_ARE_THERE: Final = "document.querySelector('[role=treeitem]')"
_HITS_ARE_THERE: Final = "document.querySelector('table.data tbody tr')"
_SEEN: Final = """() => new Promise((resolve) => {
    const look = () => WANTED ? requestAnimationFrame(() => resolve(performance.now())) : requestAnimationFrame(look);
    look();
})"""
"""When the frame after the first one is drawn on which WANTED holds, in milliseconds since the page was asked for."""
_SCROLL: Final = """([selector, steps]) => new Promise((resolve) => {
    const list = document.querySelector(selector);
    const end = list.scrollHeight - list.clientHeight, stamps = [];
    const step = (stamp) => {
        stamps.push(stamp);
        if (stamps.length > steps) return resolve(stamps);
        list.scrollTop = (end * stamps.length) / steps;
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
})"""
_ZOOM: Final = """(steps) => new Promise((resolve) => {
    const stamps = [];
    const step = (stamp) => {
        stamps.push(stamp);
        if (stamps.length > steps) return resolve(stamps);
        const key = stamps.length % 2 ? "z" : "j";
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
})"""


def opened(browser: Browser, url: str, wanted: str) -> tuple[Page, float]:
    """A new page on which an expression of JavaScript holds, and the milliseconds that it took."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(url, wait_until="commit")
    return page, page.evaluate(_SEEN.replace("WANTED", wanted))


def opening(browser: Browser, url: str, wanted: str, repetitions: int) -> str:
    """Median, least and most milliseconds until an expression holds."""
    times = []
    for _ in range(repetitions):
        page, milliseconds = opened(browser, url, wanted)
        page.context.close()
        times.append(milliseconds)
    met = _verdict(median(times) < MOST_OPENING_MS)
    return f"{median(times):>8.0f} ms, {min(times):.0f} to {max(times):.0f}; under {MOST_OPENING_MS:.0f}: {met}"


def frames(stamps: list[float]) -> str:
    """Frames a second, the 95th percentile of times between frames, the longest, and how many were late by a frame and more."""
    gaps = sorted(after - before for before, after in pairwise(stamps))
    a_second = 1000 * len(gaps) / sum(gaps)
    late = sum(gap > 1.5 * 1000 / LEAST_FRAMES_A_SECOND for gap in gaps)
    met = _verdict(round(a_second) >= LEAST_FRAMES_A_SECOND)
    return (
        f"{a_second:>8.1f} frames/s  p95 {gaps[int(0.95 * len(gaps))]:.1f} ms, longest {gaps[-1]:.1f} ms,"
        f" {late} of {len(gaps)} late   {LEAST_FRAMES_A_SECOND}: {met}"
    )


def script_bytes(browser: Browser, url: str) -> int:
    """Bytes of all scripts that are loaded until nothing more is, as they are sent."""
    page = browser.new_context().new_page()
    scripts: list[Response] = []
    page.on("response", lambda response: scripts.append(response) if response.request.resource_type == "script" else None)
    page.goto(url, wait_until="networkidle")
    size = sum(script.request.sizes()["responseBodySize"] for script in scripts)
    page.context.close()
    return size


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=SPANS)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory, showing_real_traces(Path(directory)) as daemon, sync_playwright() as playwright:
        for request in large_trace(arguments.spans):
            daemon.export(request)
        await_stored(daemon)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        measure(browser, f"http://127.0.0.1:{daemon.ports.query}", arguments.spans, arguments.repetitions)
        browser.close()


def measure(browser: Browser, base: str, spans: int, repetitions: int) -> None:
    """Print a line for each figure."""
    size = script_bytes(browser, f"{base}/")
    met = _verdict(size <= MOST_SCRIPT_BYTES)
    print(f"scripts of the first view  {size / 1000:>8.1f} kB; at most {MOST_SCRIPT_BYTES // 1000}: {met}")
    large, whole = f"{base}/trace/{LARGE}", f"document.querySelector('{_TREE}')?.scrollHeight > {spans} * 20"
    print(f"search, rows               {opening(browser, f'{base}/search', _HITS_ARE_THERE, repetitions)}")
    print(f"large trace, first rows    {opening(browser, large, _ROWS_ARE_THERE, repetitions)}")
    print(f"large trace, all spans     {opening(browser, large, whole, repetitions)}")
    page, _ = opened(browser, large, whole)
    page.wait_for_load_state("networkidle", timeout=_TIMEOUT_MS)
    print(f"scrolling from end to end  {frames(page.evaluate(_SCROLL, [_TREE, _STEPS]))}")
    page.keyboard.press("Home")
    print(f"zooming from span to span  {frames(page.evaluate(_ZOOM, _STEPS))}")
    page.context.close()


if __name__ == "__main__":
    main()
