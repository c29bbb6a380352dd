"""What a peer's answers mean for spans that were sent to it, as OTLP defines them.

Source: the OpenTelemetry Protocol's specification, "OTLP/gRPC Response" and "OTLP/HTTP Response": which codes and statuses are
sent again, how a peer asks for time, and that what a partial success leaves out must not be sent again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from exporters.base import ExportError, Outlook, PartialSuccess

RETRIED_CODES: Final = frozenset(
    {
        code_pb2.CANCELLED,
        code_pb2.DEADLINE_EXCEEDED,
        code_pb2.ABORTED,
        code_pb2.OUT_OF_RANGE,
        code_pb2.UNAVAILABLE,
        code_pb2.DATA_LOSS,
    }
)
"""gRPC codes after which clients send again; RESOURCE_EXHAUSTED is one only with RetryInfo."""

RETRIED_STATUSES: Final = frozenset({429, 502, 503, 504})
"""HTTP statuses after which clients send again (receiver contract RETRY-02)."""

_TOO_LARGE: Final = re.compile(r"larger than|too large|exceeds (the )?max")
"""What servers say of a message that is too large: those of Go, C++, Python, Node and ours; of Rust; of Java and .NET."""

_OF_CONTENT_CODES: Final = frozenset({code_pb2.INVALID_ARGUMENT})
_OF_CONTENT_STATUSES: Final = frozenset({400, 413})
_LONGEST_DELAY_S: Final = 300.0
"""A peer that asks for more is asked again after this long."""
_MOST_CHARACTERS: Final = 500


def is_retried(grpc_code: int, *, has_retry_info: bool) -> bool:
    """Whether OTLP clients send again after this gRPC code (receiver contract RETRY-01)."""
    return grpc_code in RETRIED_CODES or (grpc_code == code_pb2.RESOURCE_EXHAUSTED and has_retry_info)


def grpc_error(code: int, message: str, trailers: Iterable[tuple[str, Any]]) -> ExportError:
    """The failure that a gRPC status tells of.

    Args:
        code: its number.
        message: its text.
        trailers: metadata that came with it, names in lower case.
    """
    delay_s = _asked_delay_s(trailers)
    again = is_retried(code, has_retry_info=delay_s is not None)
    too_large = code == code_pb2.RESOURCE_EXHAUSTED and not again and _TOO_LARGE.search(message) is not None
    name = code_pb2.Code.Name(code) if code in code_pb2.Code.values() else f"code {code}"
    return ExportError(
        f"{name}: {_shortened(message)}",
        "too_large" if too_large else name.lower().replace(" ", "_"),
        Outlook.LATER if again else Outlook.NEVER,
        of_content=too_large or code in _OF_CONTENT_CODES,
        delay_s=delay_s or 0.0,
    )


def http_error(status: int, headers: Mapping[str, str], body: bytes) -> ExportError:
    """The failure that an HTTP answer other than 200 tells of; `headers` are asked without regard to case."""
    again = status in RETRIED_STATUSES
    return ExportError(
        f"HTTP status {status}: {_shortened(_reason(headers, body))}",
        f"http_{status}",
        Outlook.LATER if again else Outlook.NEVER,
        of_content=status in _OF_CONTENT_STATUSES,
        delay_s=retry_after_s(headers.get("Retry-After", "")) if again else 0.0,
    )


def partial_success(body: bytes, *, as_json: bool = False) -> PartialSuccess | None:
    """What an ExportTraceServiceResponse says was left out; None where it says nothing, or nothing that can be read."""
    if as_json:
        partly = _json_object(_json_object(body).get("partialSuccess"))
        refused, message = _count(partly.get("rejectedSpans")), str(partly.get("errorMessage", ""))
    else:
        answer = _parsed(ExportTraceServiceResponse(), body).partial_success
        refused, message = max(0, answer.rejected_spans), answer.error_message
    return PartialSuccess(refused, _shortened(message)) if refused or message else None


def _asked_delay_s(trailers: Iterable[tuple[str, Any]]) -> float | None:
    """The delay of RetryInfo, which is in the details of the status; None where there is none."""
    for key, value in trailers:
        if key == "grpc-status-details-bin":
            for detail in _parsed(status_pb2.Status(), value).details:
                if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                    delay = _parsed(error_details_pb2.RetryInfo(), detail.value).retry_delay
                    return _bounded(delay.seconds + delay.nanos / 1e9)
    return None


def retry_after_s(text: str) -> float:
    """Seconds of a Retry-After header, which has a number or a date, five minutes at most; 0 for anything else."""
    if text.isascii() and text.isdigit():
        return _bounded(float(text[:9]))
    try:
        return _bounded(parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), _LONGEST_DELAY_S)


def _reason(headers: Mapping[str, str], body: bytes) -> str:
    """What the body of an answer says: the message of a Status in either encoding, or its text."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip()
    if kind == "application/json":
        message = str(_json_object(body).get("message", ""))
    elif kind == "application/x-protobuf":
        message = str(_parsed(status_pb2.Status(), body).message)
    else:
        message = body[:_MOST_CHARACTERS].decode(errors="replace")
    return message or "no reason given"


def _count(value: Any) -> int:
    """A whole number from 0, which JSON has as such or as text; 0 for anything else."""
    text = str(value)
    return int(text) if re.fullmatch(r"[0-9]{1,19}", text) else 0


def _parsed(message: Any, body: bytes) -> Any:
    """The message that bytes hold; an empty one where they hold none, since whatever stands in the way may answer anything."""
    try:
        message.ParseFromString(body)
    except DecodeError:
        message.Clear()
    return message


def _json_object(value: Any) -> Mapping[str, Any]:
    """A JSON object, of bytes or as it was read; an empty one where there is none."""
    if isinstance(value, bytes):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    return value if isinstance(value, dict) else {}


def _shortened(text: str) -> str:
    return " ".join(text[:_MOST_CHARACTERS].split())
