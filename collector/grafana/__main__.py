"""`python -m collector.grafana` writes the dashboards anew."""

from __future__ import annotations

from collector.grafana import write

write()
