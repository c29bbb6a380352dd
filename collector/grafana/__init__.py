"""The dashboards for Grafana. `python -m collector.grafana` writes them to `config/grafana/dashboards`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from collector.grafana.health import HEALTH
from collector.grafana.model import Json, rendered
from collector.grafana.overview import OVERVIEW
from collector.grafana.service import SERVICE
from collector.grafana.topology import TOPOLOGY

DIRECTORY: Final = Path(__file__).resolve().parents[2] / "config" / "grafana" / "dashboards"
DASHBOARDS: Final[Mapping[str, Json]] = {
    "overview.json": OVERVIEW,
    "service.json": SERVICE,
    "topology.json": TOPOLOGY,
    "collector-health.json": HEALTH,
}
"""By the names of their files."""


def write() -> None:
    """Write all files. Raises OSError."""
    for name, dashboard in DASHBOARDS.items():
        (DIRECTORY / name).write_text(rendered(dashboard), encoding="utf-8")
