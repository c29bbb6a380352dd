"""What axe, which looks for what bars people with disabilities, finds in a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_AXE = Axe()


def violations(page: Page, *rules: str) -> list[str]:
    """What is wrong with the page as it stands, by these rules of axe or by all; a line for each place, none when all is well."""
    options = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    found = _AXE.run(page, options=options).response["violations"]
    return [
        f"{violation['id']}: {violation['help']}: {node['target']}: {node['failureSummary']}"
        for violation in found
        for node in violation["nodes"]
    ]
