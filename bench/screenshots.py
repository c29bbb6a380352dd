"""Pictures of every view of the page, in light and dark, on the real traces: `docs/img`.

    python bench/screenshots.py [VIEW...] [--width W] [--out DIRECTORY]

They are what a window of fixed size shows once all answers are there, without animations, reduced to 256 colours.
`pip install pillow` first.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.page.made import made
from tests.page.shown import showing_real_traces
from tests.support.daemon import Daemon, eventually

IMAGES: Final = Path(__file__).resolve().parents[1] / "docs" / "img"
WIDTH: Final = 1280
HEIGHT: Final = 800
VIEWS: Final = {
    "search": "/search?from=now-4m",
    "analyze": "/analyze?service={service}&apart=slow&from=now-8m",
    "trace": "/trace/{trace}?span={span}",
    "flame-graph": "/trace/{trace}?tab=flame",
    "compare": "/compare?left={left}&right={right}",
    "services": "/services?from=now-15m",
    "service": "/services/{service}?from=now-15m",
    "topology": "/topology?service={service}&depth=2",
    "dashboard": "/dashboard?from=now-30m",
    "alerts": "/alerts",
    "alert-rule": "/alerts?tab=rules&edit={rule}",
    "load-tests": "/load-tests?edit=new",
    "requests": "/requests?edit=new",
    "failures": "/failures",
    "tracing": "/tracing?edit=new",
    "health": "/health",
}
Scheme = Literal["light", "dark"]
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
_COLOURS: Final = 256
_SOUGHT: Final = quote("trace.spans > 100 and trace.spans < 1000 and status = error")


def known(daemon: Daemon) -> dict[str, Any]:
    """What stands in the paths of views: traces, a service and an alert rule that there are."""
    rule = {"name": "Anything is slow", "condition": {"measure": "latency", "above": "250ms"}, "by": ["service"], "window": "1h"}
    kept = made(daemon, "alert-rules", rule)
    found = json.loads(daemon.get(f"/api/v1/traces?q={_SOUGHT}&sort=spans&limit=3")[1])
    first, second, third = found["traces"]
    waterfall = json.loads(daemon.get(f"/api/v1/traces/{first['traceId']}/waterfall")[1])
    failed = next(bar for bar in waterfall["bars"] if bar["status"] == "error")
    eventually(lambda: json.loads(daemon.get("/api/v1/workspaces/default/alerts?status=active")[1])["alerts"], "an alert", 90.0)
    ids = {"trace": first["traceId"], "left": second["traceId"], "right": third["traceId"], "rule": kept["id"]}
    return {**ids, "span": failed["index"], "service": "frontend"}


def picture(browser: Browser, url: str, scheme: Scheme, width: int) -> bytes:
    """What a view looks like, as PNG."""
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": HEIGHT})
    page = context.new_page()
    page.goto(url)
    page.get_by_text("Loading").first.wait_for(state="detached")
    page.wait_for_load_state("networkidle")
    shot = page.screenshot(animations="disabled")
    context.close()
    packed = io.BytesIO()
    # Colours of few pixels get their own, and then those of large areas are put right.
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    image.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, 1, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("views", nargs="*", metavar="VIEW", help=", ".join(VIEWS))
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--out", type=Path, default=IMAGES)
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory, showing_real_traces(Path(directory)) as daemon, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        take(browser, daemon, arguments.views or list(VIEWS), arguments.out, arguments.width)
        browser.close()


def take(browser: Browser, daemon: Daemon, views: list[str], out: Path, width: int) -> None:
    """Write `VIEW-light.png` and `VIEW-dark.png` of each view."""
    out.mkdir(parents=True, exist_ok=True)
    there = known(daemon)
    for view in views:
        for scheme in SCHEMES:
            image = picture(browser, f"http://127.0.0.1:{daemon.ports.query}{VIEWS[view].format(**there)}", scheme, width)
            (out / f"{view}-{scheme}.png").write_bytes(image)


if __name__ == "__main__":
    main()
