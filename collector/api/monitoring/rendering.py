"""Requests and calls as JSON."""

from __future__ import annotations

from typing import Any

from collector.api.rendering import count, number
from collector.query.dashboard import Compared
from collector.query.percentiles import PERCENTILES
from collector.query.requests import Requests


def requests(found: Requests | None, seconds: float) -> dict[str, Any] | None:
    """Requests over so many seconds; None where there were none."""
    if found is None:
        return None
    return {
        "count": count(found.count),
        "succeeded": count(found.count - found.failed),
        "failed": count(found.failed),
        "errorRate": number(found.error_rate),
        "perSecond": number(found.count / seconds),
        "totalNanos": count(found.duration),
        "minNanos": str(found.minimum),
        "maxNanos": str(found.maximum),
        "meanNanos": number(found.mean),
        **{f"p{percent}Nanos": number(value) for percent, value in zip(PERCENTILES, found.percentiles, strict=True)},
        "apdex": number(found.apdex),
    }


def compared(found: Compared, seconds: float) -> dict[str, Any]:
    """Requests of a range and of the one before, so many seconds each."""
    return {"current": requests(found.current, seconds), "previous": requests(found.previous, seconds)}
