"""What clients are told: one table from kinds of failure to gRPC codes and HTTP statuses, and the bodies that carry them.

Both transports answer the same failure in the same class, "send again" or "do not" (receiver contract ERR-05, RETRY-01,
RETRY-02). A client fault never gets a code that makes it send again, a fault of ours never one that makes it drop good data by
calling it bad (ERR-06).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse

from collector.errors import Permanent, Refused, Rejection, Retryable
from exporters.otlp.answers import RETRIED_CODES
from proto.errors import MalformedRequest


class Row(NamedTuple):
    """One kind of failure on both transports."""

    grpc_code: int
    http_status: int
    retryable: bool = False


INTERNAL: Final = "internal"
ANSWERS: Final[Mapping[str, Row]] = {
    # The sender's fault: the same bytes would fail again.
    "malformed": Row(code_pb2.INVALID_ARGUMENT, 400),
    "invalid": Row(code_pb2.INVALID_ARGUMENT, 400),
    "unsupported_encoding": Row(code_pb2.INVALID_ARGUMENT, 400),
    "unsupported_media_type": Row(code_pb2.INVALID_ARGUMENT, 415),
    "unauthenticated": Row(code_pb2.UNAUTHENTICATED, 401),
    "permission_denied": Row(code_pb2.PERMISSION_DENIED, 403),
    "not_found": Row(code_pb2.UNIMPLEMENTED, 404),
    "method_not_allowed": Row(code_pb2.UNIMPLEMENTED, 405),
    # Nothing can be answered: TLS has an alert of its own.
    "tls_handshake": Row(code_pb2.UNAUTHENTICATED, 400),
    "slow_head": Row(code_pb2.FAILED_PRECONDITION, 408),
    "slow_body": Row(code_pb2.FAILED_PRECONDITION, 408),
    "too_large": Row(code_pb2.RESOURCE_EXHAUSTED, 413),
    "header_too_large": Row(code_pb2.INVALID_ARGUMENT, 431),
    # Nobody's fault: later it may go through.
    "throttled": Row(code_pb2.RESOURCE_EXHAUSTED, 429, retryable=True),
    "unavailable": Row(code_pb2.UNAVAILABLE, 503, retryable=True),
    # Our fault, and it would happen again.
    INTERNAL: Row(code_pb2.INTERNAL, 500),
}
"""Failure kind → answer. `Refused.kind` is a key of this table."""

DEFAULT_DELAY_S: Final = 1.0
MAX_DELAY_S: Final = 5.0
"""Clients with a budget of 10 s give up at once when told to wait longer than what is left of it (RETRY-06)."""

_JITTER: Final = 0.2
_MAX_MESSAGE: Final = 1000
_MAX_FIELD: Final = 200
_REMEMBERED: Final = 1024
_STATUS_OF_CODE: Final = {
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.UNAUTHENTICATED: 401,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.UNIMPLEMENTED: 404,
    **dict.fromkeys(RETRIED_CODES, 503),
}
_CODE_OF_STATUS: Final = {
    400: code_pb2.INVALID_ARGUMENT,
    401: code_pb2.UNAUTHENTICATED,
    403: code_pb2.PERMISSION_DENIED,
    404: code_pb2.UNIMPLEMENTED,
    429: code_pb2.RESOURCE_EXHAUSTED,
    502: code_pb2.UNAVAILABLE,
    503: code_pb2.UNAVAILABLE,
    504: code_pb2.UNAVAILABLE,
}


def http_status_of(grpc_code: int, *, has_retry_info: bool = False) -> int:
    """HTTP status in the same retry class as a gRPC code (ERR-05).

    Code 8 is final unless RetryInfo comes with it, so only then it is 429; else it is about size.
    """
    if grpc_code == code_pb2.RESOURCE_EXHAUSTED:
        return 429 if has_retry_info else 413
    return _STATUS_OF_CODE.get(grpc_code, 500)


def grpc_code_of(http_status: int) -> int:
    """gRPC code in the same retry class as an HTTP status (ERR-05). Statuses without a twin are UNKNOWN, which is final."""
    code: int = _CODE_OF_STATUS.get(http_status, code_pb2.UNKNOWN)
    return code


@dataclass(frozen=True, slots=True)
class Answer:
    """What to tell the sender of a request that was not taken.

    Attributes:
        kind: row of ANSWERS.
        message: sentence for the sender's developer, short enough for every client to read it.
        field: what in the request is wrong; empty when nothing in it is.
        delay_s: when to send again, in seconds; None for "do not". Different for each answer, so that many clients do not
            return in step (RETRY-09).
    """

    kind: str
    message: str
    field: str = ""
    delay_s: float | None = None

    @property
    def grpc_code(self) -> int:
        return ANSWERS[self.kind].grpc_code

    @property
    def http_status(self) -> int:
        return ANSWERS[self.kind].http_status

    @property
    def retry_after(self) -> str | None:
        """Value of the Retry-After header: whole seconds, at least 1, because 0 makes clients hammer (RETRY-05)."""
        return None if self.delay_s is None else str(max(1, round(self.delay_s)))

    def status(self) -> status_pb2.Status:
        """The google.rpc.Status, with BadRequest (ERR-04) or RetryInfo (RETRY-04) in its details."""
        status = status_pb2.Status(code=self.grpc_code, message=self.message)
        if self.field:
            violation = error_details_pb2.BadRequest.FieldViolation(field=self.field, description=self.message)
            status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
        if self.delay_s is not None:
            status.details.add().Pack(_retry_info(self.delay_s))
        return status

    def body(self, *, as_json: bool) -> bytes:
        """The HTTP body: the Status in the request's own encoding (ERR-01)."""
        return _body(self, as_json=as_json)

    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """gRPC trailers. RetryInfo goes out twice: Python reads only the second, Go, Rust and .NET only the first (RETRY-04)."""
        return _trailers(self)


# Whoever is overloaded says the same again and again, and has little time for it.


@lru_cache(_REMEMBERED)
def _body(answer: Answer, *, as_json: bool) -> bytes:
    return _rendered(answer.status(), as_json=as_json)


@lru_cache(_REMEMBERED)
def _trailers(answer: Answer) -> tuple[tuple[str, bytes], ...]:
    details = ("grpc-status-details-bin", answer.status().SerializeToString())
    if answer.delay_s is None:
        return (details,)
    return details, ("google.rpc.retryinfo-bin", _retry_info(answer.delay_s).SerializeToString())


def answer_to(error: Exception) -> Answer:
    """The answer to whatever kept a request from being taken. What is not meant for clients is "internal error" to them."""
    match error:
        case MalformedRequest():
            return _answer("malformed", error.message, error.field or "request")
        case Permanent():
            return _answer("invalid" if error.field else INTERNAL, str(error), error.field)
        case Retryable():
            return _answer("unavailable", str(error), delay_s=error.delay_s)
        case Refused():
            return _answer(error.kind if error.kind in ANSWERS else INTERNAL, str(error), delay_s=error.delay_s)
        case _:
            return _answer(INTERNAL, "internal error; the collector's log has the details")


def _answer(kind: str, message: str, field: str = "", delay_s: float = DEFAULT_DELAY_S) -> Answer:
    return Answer(
        kind,
        _shortened(message, _MAX_MESSAGE),
        _shortened(field, _MAX_FIELD),
        _spread(delay_s) if ANSWERS[kind].retryable else None,
    )


def _spread(delay_s: float) -> float:
    """The delay in whole seconds, 1 to 5, rounded up, then moved by up to a fifth either way (RETRY-05, RETRY-06, RETRY-09)."""
    whole_s = min(max(1, math.ceil(delay_s)), MAX_DELAY_S)
    # In hundredths, so that there are few different answers.
    return round(whole_s * random.uniform(1 - _JITTER, 1 + _JITTER), 2)  # noqa: S311 - no secret


def success_body(rejection: Rejection | None, warnings: tuple[str, ...], *, as_json: bool) -> bytes:
    """The answer to a request that was taken: empty, or the partial success that says what was not (RESP-01 to RESP-05).

    Args:
        rejection: spans refused, if any.
        warnings: sentences about what was taken but looks wrong; with nothing refused they make a warning (RESP-04).
    """
    if rejection is None and not warnings:
        return b"{}" if as_json else b""
    message = "; ".join((*((rejection.message,) if rejection else ()), *warnings))
    partial_success = ExportTracePartialSuccess(
        rejected_spans=rejection.spans if rejection else 0, error_message=_shortened(message, _MAX_MESSAGE)
    )
    return _rendered(ExportTraceServiceResponse(partial_success=partial_success), as_json=as_json)


def too_large(limit: int) -> Refused:
    """The refusal of a request over the size limit, in bytes; final on both transports (LIMIT-01 to LIMIT-03)."""
    return Refused(f"the request is larger than {limit} bytes; send smaller batches", "too_large")


def _retry_info(delay_s: float) -> Any:
    delay = Duration()
    delay.FromMilliseconds(round(delay_s * 1000))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def _rendered(message: Message, *, as_json: bool) -> bytes:
    return MessageToJson(message, indent=None).encode() if as_json else message.SerializeToString()


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
