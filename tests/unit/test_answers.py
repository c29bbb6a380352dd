"""The table of answers: receiver contract sections ERR and RETRY as far as they need no network."""

from __future__ import annotations

import orjson
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.errors import Permanent, Refused, Rejection, Retryable
from collector.receivers.answers import ANSWERS, answer_to, grpc_code_of, http_status_of, success_body
from exporters.otlp.answers import is_retried
from proto.errors import MalformedRequest

RETRIED_STATUSES = {429, 502, 503, 504}
BUSY = Retryable("busy", 2.0)


@pytest.mark.parametrize("kind", ANSWERS)
def test_err_05_a_failure_is_in_the_same_retry_class_on_both_transports(kind: str) -> None:
    row = ANSWERS[kind]
    assert is_retried(row.grpc_code, has_retry_info=row.retryable) is row.retryable
    assert (row.http_status in RETRIED_STATUSES) is row.retryable


@pytest.mark.parametrize("has_retry_info", [False, True])
@pytest.mark.parametrize("code", range(1, 17))
def test_err_05_every_grpc_code_has_a_status_of_its_retry_class(code: int, has_retry_info: bool) -> None:
    status = http_status_of(code, has_retry_info=has_retry_info)
    assert (status in RETRIED_STATUSES) is is_retried(code, has_retry_info=has_retry_info)


@pytest.mark.parametrize(
    ("code", "status"), [(3, 400), (16, 401), (7, 403), (12, 404), (14, 503), (1, 503), (15, 503), (13, 500), (2, 500), (5, 500)]
)
def test_err_05_codes_have_the_statuses_of_the_contract(code: int, status: int) -> None:
    assert http_status_of(code) == status


@pytest.mark.parametrize(
    ("status", "code"), [(400, 3), (401, 16), (403, 7), (404, 12), (429, 8), (502, 14), (503, 14), (504, 14), (500, 2), (418, 2)]
)
def test_err_05_statuses_have_the_codes_of_the_contract(status: int, code: int) -> None:
    assert grpc_code_of(status) == code


def test_err_05_code_8_is_about_size_unless_retry_info_comes_with_it() -> None:
    assert http_status_of(8) == 413
    assert http_status_of(8, has_retry_info=True) == 429


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MalformedRequest("cut off", "resource_spans[0]"), "malformed"),
        (Permanent("bad value", "resource_spans[0]"), "invalid"),
        (Permanent("the table is missing"), "internal"),
        (Retryable("full"), "unavailable"),
        (Refused("too big", "too_large"), "too_large"),
        (Refused("a kind nobody knows", "odd"), "internal"),
        (KeyError("secret"), "internal"),
    ],
)
def test_err_06_whose_fault_it_was_decides_the_answer(error: Exception, kind: str) -> None:
    assert answer_to(error).kind == kind


def test_err_03_an_unexpected_error_shows_nothing_of_itself() -> None:
    assert "secret" not in answer_to(KeyError("secret")).message


def test_err_04_bad_data_is_a_bad_request_with_its_field() -> None:
    answer = answer_to(MalformedRequest("cut off", "resource_spans[0]"))
    violation = {"field": "resource_spans[0]", "description": "cut off"}
    assert orjson.loads(answer.body(as_json=True)) == {
        "code": 3,
        "message": "cut off",
        "details": [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}],
    }
    status = status_pb2.Status.FromString(answer.body(as_json=False))
    details = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(details)
    assert details.field_violations[0].field == "resource_spans[0]"


def test_err_03_a_status_without_details_has_code_and_message_only() -> None:
    answer = answer_to(Refused("bad", "unsupported_encoding"))
    assert answer.body(as_json=False) == bytes.fromhex("08031203626164")


def retry_delay_s(details: any_pb2.Any) -> float:
    retry_info = error_details_pb2.RetryInfo()
    assert details.Unpack(retry_info)
    return retry_info.retry_delay.ToMilliseconds() / 1000


def test_retry_04_both_trailers_carry_the_same_delay_and_the_code_is_repeated() -> None:
    trailers = dict(answer_to(BUSY).trailers())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    retry_info = error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
    assert status.code == 14
    assert retry_delay_s(status.details[0]) == retry_info.retry_delay.ToMilliseconds() / 1000
    assert 1.6 <= retry_delay_s(status.details[0]) <= 2.4


@pytest.mark.parametrize(("delay_s", "header"), [(0.0, "1"), (0.3, "1"), (0.9, "1"), (1.0, "1"), (1.5, "2"), (2.0, "2")])
def test_retry_05_retry_after_is_whole_seconds_and_never_zero(delay_s: float, header: str) -> None:
    assert {answer_to(Retryable("busy", delay_s)).retry_after for _ in range(50)} == {header}


def test_retry_06_nobody_is_told_to_wait_longer_than_their_patience() -> None:
    assert max(int(answer_to(Retryable("busy", 600.0)).retry_after or "0") for _ in range(100)) <= 6
    assert int(answer_to(Retryable("busy")).retry_after or "0") <= 5


@pytest.mark.parametrize("kind", ANSWERS)
def test_retry_07_only_429_and_503_say_when_to_come_back(kind: str) -> None:
    assert (answer_to(Refused("no", kind)).retry_after is not None) is (ANSWERS[kind].http_status in (429, 503))


def test_retry_09_announced_delays_differ() -> None:
    assert len({answer_to(Retryable("busy", 5.0)).retry_after for _ in range(200)}) >= 3


def test_retry_11_rate_limits_are_throttled_and_rights_are_final() -> None:
    assert answer_to(Refused("slow down", "throttled")).delay_s is not None
    assert answer_to(Refused("who are you", "unauthenticated")).delay_s is None


@pytest.mark.parametrize(("as_json", "body"), [(False, b""), (True, b"{}")])
def test_resp_01_and_05_full_success_has_no_partial_success(as_json: bool, body: bytes) -> None:
    assert success_body(None, (), as_json=as_json) == body


def test_resp_03_refused_spans_are_counted() -> None:
    rejection = Rejection({"trace_id_length": 2}, "bad id")
    assert success_body(rejection, (), as_json=False) == bytes.fromhex("0a0a08021206626164206964")
    partial_success = {"rejectedSpans": "2", "errorMessage": "bad id"}
    assert orjson.loads(success_body(rejection, (), as_json=True)) == {"partialSuccess": partial_success}


def test_resp_04_a_warning_has_a_message_and_no_count() -> None:
    assert success_body(None, ("warn",), as_json=False) == bytes.fromhex("0a0612047761726e")
    assert orjson.loads(success_body(None, ("warn",), as_json=True)) == {"partialSuccess": {"errorMessage": "warn"}}


def test_limit_06_messages_are_shortened_and_the_count_is_not() -> None:
    body = success_body(Rejection({"trace_id_zero": 100_000}, "x" * 100_000), ("y" * 100_000,), as_json=False)
    assert len(body) < 4096
    assert ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans == 100_000
    assert len(answer_to(MalformedRequest("x" * 100_000, "f" * 100_000)).body(as_json=True)) < 8192
    assert len(answer_to(MalformedRequest("x" * 100_000, "f" * 100_000)).trailers()[0][1]) < 4096
