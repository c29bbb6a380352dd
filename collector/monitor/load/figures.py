"""What people are told of a load test, or of a part of it, reckoned from its sums; and how two tests differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from collector.monitor.load.interval import Buckets, Named, Summary
from collector.monitor.load.stopping import quantile

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
TIMES: Final = ("mean", *QUANTILES, "max")
"""Members of `responseTime` and `serviceTime`."""


def times(buckets: Buckets, total: int, longest: int, count: int) -> dict[str, int | None]:
    """TIMES in nanoseconds, None where nothing was measured. Quantiles are off by the sketch's error at most, the rest is exact.

    Args:
        buckets: the sketch.
        total, longest: sum and maximum of what it holds.
        count: how much that is.
    """
    if not count:
        return dict.fromkeys(TIMES)
    quantiles = {name: min(round(quantile(buckets, q) or 0.0), longest) for name, q in QUANTILES.items()}
    return {"mean": total // count, **quantiles, "max": longest}


def response_times(summary: Summary) -> dict[str, int | None]:
    """TIMES from when requests were due."""
    return times(summary.response, summary.response_sum, summary.response_max, summary.measured)


def service_times(summary: Summary) -> dict[str, int | None]:
    """TIMES from when requests were sent."""
    return times(summary.service, summary.service_sum, summary.service_max, summary.measured)


def figures(summary: Summary) -> dict[str, Any]:
    """Figures as the API shows them."""
    failed = summary.failed_count
    ended = summary.succeeded + failed
    return {
        "sent": summary.sent,
        "succeeded": summary.succeeded,
        "failed": failed,
        "errorShare": failed / ended if ended else 0.0,
        "atSeconds": summary.at,
        "seconds": summary.seconds,
        "requestsPerSecond": _rate(summary),
        "receivedBytes": summary.received_bytes,
        "inFlight": summary.in_flight,
        "failures": [
            {"cause": cause, "count": count, "example": summary.examples.get(cause, "")}
            for cause, count in sorted(summary.failures.items(), key=lambda each: (-each[1], each[0]))
        ],
        "injected": [{"type": kind, "count": count} for kind, count in sorted(summary.injected.items())],
        "statuses": [{"status": status, "count": count} for status, count in sorted(summary.statuses.items())],
        "responseTime": _shown(response_times(summary)),
        "serviceTime": _shown(service_times(summary)),
    }


def result(summary: Summary) -> dict[str, Any]:
    """Figures of a whole test, with traces to look at."""
    return {
        **figures(summary),
        "slowest": [_named(each) for each in summary.slowest],
        "failedTraces": [_named(each) for each in summary.failed],
    }


def compared(base: Summary, other: Summary) -> list[dict[str, Any]]:
    """Each figure of two tests: its unit, both values (None where there is none), and by what share of the first they differ
    (None where it cannot be said)."""
    return [
        {
            "figure": name,
            "unit": unit,
            "base": before,
            "other": after,
            "change": (after - before) / before if before and after is not None else None,
        }
        for (name, unit, before), (_, _, after) in zip(_comparable(base), _comparable(other), strict=True)
    ]


def _comparable(summary: Summary) -> Iterator[tuple[str, str, float | None]]:
    ended = summary.succeeded + summary.failed_count
    yield "requestsPerSecond", "1/s", _rate(summary)
    yield "errorShare", "1", summary.failed_count / ended if ended else None
    for group, values in (("responseTime", response_times(summary)), ("serviceTime", service_times(summary))):
        for name, value in values.items():
            yield f"{group}.{name}", "ns", value


def _rate(summary: Summary) -> float:
    ended = summary.succeeded + summary.failed_count
    return ended / summary.seconds if summary.seconds else 0.0


def _shown(values: dict[str, int | None]) -> dict[str, str | None]:
    return {name: None if value is None else str(value) for name, value in values.items()}


def _named(request: Named) -> dict[str, str]:
    return {"traceId": request.trace_id, "durationNanos": str(request.duration), "cause": request.cause}
