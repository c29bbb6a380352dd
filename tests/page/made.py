"""Objects that are there before the page is looked at."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.support.daemon import Daemon

WORKSPACE = "/api/v1/workspaces/default"


def made(daemon: Daemon, path: str, document: dict[str, Any]) -> dict[str, Any]:
    """What the API answers to a POST below the workspace."""
    url = f"http://127.0.0.1:{daemon.ports.query}{WORKSPACE}/{path}"
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def removed(daemon: Daemon, path: str, kept: dict[str, Any]) -> None:
    """Deletes an object as it was made."""
    url = f"http://127.0.0.1:{daemon.ports.query}{WORKSPACE}/{path}/{kept['id']}"
    request = urllib.request.Request(url, method="DELETE", headers={"If-Match": f'"{kept["version"]}"'})
    with urllib.request.urlopen(request, timeout=30):
        pass
