"""What is said to requests for a path or a method that is not there."""

from __future__ import annotations

from typing import Final

from collector.errors import Refused

_SIGNALS: Final = {
    "/v1/metrics": "metrics",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
    "/v1/logs": "logs",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
}
"""Where SDKs send, unless they are told not to, what is no span."""


def unserved(path: str, instead: str) -> Refused:
    """The refusal of a request for `path`: it tells the sender what to do `instead`."""
    signal = _SIGNALS.get(path.rstrip("/"))
    if signal is None:
        return Refused(f"{path} is not served; {instead}", "not_found")
    return Refused(
        f"{path} is not served: spans alone are taken here, no {signal}. Set OTEL_{signal.upper()}_EXPORTER=none in the service",
        "not_found",
    )
