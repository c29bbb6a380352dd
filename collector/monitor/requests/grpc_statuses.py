"""Names of gRPC's statuses, and which of them statuses of HTTP mean."""

from __future__ import annotations

from typing import Final

import grpc

NAMES: Final[dict[int, str]] = {code.value[0]: code.name for code in grpc.StatusCode}
"""By their numbers."""
_OF_HTTP: Final = {
    400: grpc.StatusCode.INTERNAL,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    429: grpc.StatusCode.UNAVAILABLE,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.UNAVAILABLE,
}
"""Mapping of gRPC's doc/http-grpc-status-mapping.md; others are UNKNOWN."""


def of_http(status: int) -> int:
    """The number of gRPC's status that a status of HTTP means."""
    number: int = _OF_HTTP.get(status, grpc.StatusCode.UNKNOWN).value[0]
    return number
