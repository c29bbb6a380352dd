"""GET and POST /api/v1/analysis/...: what is made of many spans and traces at once."""

from __future__ import annotations

from typing import Final

from collector.api.many import critical_paths, differences, failures, latencies, new_names, over_time

ROUTES: Final = (
    *latencies.ROUTES,
    *over_time.ROUTES,
    *failures.ROUTES,
    *differences.ROUTES,
    *critical_paths.ROUTES,
    *new_names.ROUTES,
)
