"""What answers of OTLP peers mean for the spans: the specification's tables, and that no answer is too odd to be understood."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse

from collector.receivers.answers import ANSWERS, Answer
from exporters.base import Outlook, PartialSuccess
from exporters.otlp.answers import grpc_error, http_error, is_retried, partial_success

CODES = [code for code in code_pb2.Code.values() if code]
RETRIED = {1, 4, 10, 11, 14, 15}


def retry_info(seconds: float) -> tuple[tuple[str, bytes], ...]:
    status = status_pb2.Status(code=8)
    whole = int(seconds)
    delay = Duration(seconds=whole, nanos=round((seconds - whole) * 1e9))
    status.details.add().Pack(error_details_pb2.BadRequest())
    status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return (("content-type", "application/grpc"), ("grpc-status-details-bin", status.SerializeToString()))


@pytest.mark.parametrize("code", CODES)
def test_retry_01_each_code_is_sent_again_or_not_as_the_specification_says(code: int) -> None:
    assert grpc_error(code, "no", ()).outlook is (Outlook.LATER if code in RETRIED else Outlook.NEVER)
    asked = grpc_error(code, "no", retry_info(2.5))
    assert asked.outlook is (Outlook.LATER if code in RETRIED | {8} else Outlook.NEVER)
    assert asked.delay_s == 2.5


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 432), *range(500, 512)])
def test_retry_02_each_status_is_sent_again_or_not_as_the_specification_says(status: int) -> None:
    error = http_error(status, {"Retry-After": "3"}, b"")
    assert error.outlook is (Outlook.LATER if status in (429, 502, 503, 504) else Outlook.NEVER)
    assert error.delay_s == (3 if error.outlook is Outlook.LATER else 0)
    assert error.reason == f"http_{status}"


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_our_own_receivers_say_is_understood_alike_over_both_transports(kind: str) -> None:
    answer = Answer(kind, "the reason", delay_s=2.0 if ANSWERS[kind].retryable else None)
    over_grpc = grpc_error(answer.grpc_code, answer.message, answer.trailers())
    headers = {"Content-Type": "application/x-protobuf", "Retry-After": answer.retry_after or ""}
    over_http = http_error(answer.http_status, headers, answer.body(as_json=False))
    as_json = http_error(
        answer.http_status, headers | {"Content-Type": "application/json; charset=utf-8"}, answer.body(as_json=True)
    )
    retried = is_retried(answer.grpc_code, has_retry_info=answer.delay_s is not None)
    for error in (over_grpc, over_http, as_json):
        assert error.outlook is (Outlook.LATER if retried else Outlook.NEVER)
        assert error.delay_s == (answer.delay_s or 0)
        assert "the reason" in str(error)


def test_spans_are_at_fault_where_the_request_is_called_invalid_or_too_large() -> None:
    assert grpc_error(code_pb2.INVALID_ARGUMENT, "bad id", ()).of_content
    assert http_error(400, {}, b"").of_content
    assert http_error(413, {}, b"").of_content
    for said in (
        "grpc: received message larger than max (5000000 vs. 4194304)",
        "the request is larger than 4194304 bytes; send smaller batches",
        "Error, message length too large: found 5000000 bytes, the limit is: 4194304 bytes",
        "gRPC message exceeds maximum size 4194304: 5000000",
        "Received message exceeds the maximum configured message size.",
    ):
        too_large = grpc_error(8, said, ())
        assert (too_large.of_content, too_large.reason) == (True, "too_large")
    for error in (
        grpc_error(8, "quota exceeded", ()),
        grpc_error(16, "who?", ()),
        http_error(401, {}, b""),
        http_error(503, {}, b""),
    ):
        assert not error.of_content


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("7", 7), ("100000", 300), ("9" * 400, 300), ("", 0), ("soon", 0), ("-1", 0), ("1.5", 0), ("\u0661", 0)],
)
def test_retry_05_a_peer_that_asks_for_seconds_gets_them_within_reason(text: str, seconds: float) -> None:
    assert http_error(503, {"Retry-After": text}, b"").delay_s == seconds


def test_retry_05_a_peer_may_name_a_date() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
    assert 50 < http_error(429, {"Retry-After": in_a_minute}, b"").delay_s <= 60
    assert http_error(429, {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, b"").delay_s == 0


@pytest.mark.parametrize("body", [b"", b"\n\x00"])
def test_resp_01_an_empty_answer_means_that_all_was_taken(body: bytes) -> None:
    assert partial_success(body) is None


def test_resp_03_and_04_what_was_left_out_and_what_is_warned_of_is_read_in_both_encodings() -> None:
    for refused, message in ((3, "no room"), (0, "use seconds"), (2, "")):
        partly = ExportTracePartialSuccess(rejected_spans=refused, error_message=message)
        protobuf = ExportTraceServiceResponse(partial_success=partly).SerializeToString()
        text = b'{"partialSuccess":{"rejectedSpans":"%d","errorMessage":"%s"}}' % (refused, message.encode())
        assert partial_success(protobuf) == partial_success(text, as_json=True) == PartialSuccess(refused, message)


@given(st.binary(max_size=40), st.booleans())
def test_whatever_is_in_the_way_may_answer_anything(body: bytes, as_json: bool) -> None:
    for kind in ("application/json", "application/x-protobuf", "text/html", ""):
        error = http_error(502, {"Content-Type": kind}, body)
        assert error.outlook is Outlook.LATER
    grpc_error(14, body.decode(errors="replace"), (("grpc-status-details-bin", body),))
    partly = partial_success(body, as_json=as_json)
    assert partly is None or partly.refused >= 0


KEYS = st.sampled_from(["partialSuccess", "rejectedSpans", "errorMessage", "message"])
DOCUMENTS = st.recursive(
    st.none() | st.integers() | st.sampled_from(["9" * 5000, "\u00b2", "-1"]) | st.text(max_size=5),
    lambda inner: st.dictionaries(KEYS, inner),
)


@given(DOCUMENTS)
def test_json_of_any_shape_is_read(document: object) -> None:
    body = json.dumps(document).encode()
    partly = partial_success(body, as_json=True)
    assert partly is None or partly.refused >= 0
    http_error(400, {"Content-Type": "application/json"}, body)
