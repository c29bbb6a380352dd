"""Receiver contract, sections RESP, ERR and RETRY (and what PB and DATA mean for answers), on both transports."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import orjson
import pytest
import structlog
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.errors import Permanent, Refused, Retryable
from collector.receivers.answers import ANSWERS
from tests.support.http2 import Http2Client, Reply, framed
from tests.support.receivers import OLD_JSON, V1, V1_JSON, V2, V2_GROUP, V3, V4, V5, Receivers, post, raw_http, receivers

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
V3_JSON = V1_JSON.replace(b"}]}]}]}", b'},{"traceId":"5b5b","spanId":"eee19b7ec3c1b175","name":"b"}]}]}]}')


@pytest.fixture
async def both() -> AsyncIterator[Receivers]:
    async with receivers() as both:
        yield both


async def grpc_call(both: Receivers, request: bytes) -> Reply:
    async with await Http2Client.connect(both.grpc.port) as client:
        return await client.call(framed(request))


async def test_resp_01_full_success_leaves_partial_success_unset(both: Receivers) -> None:
    assert (await raw_http(both.http.port, post(V1))).body == b""
    assert (await raw_http(both.http.port, post(V1_JSON, media_type=JSON))).body == b"{}"
    assert (await grpc_call(both, V1)).data == framed(b"")


async def test_resp_03_refused_spans_are_counted_and_the_others_stored(both: Receivers) -> None:
    for body in ((await raw_http(both.http.port, post(V3))).body, (await grpc_call(both, V3)).data[5:]):
        partial_success = ExportTraceServiceResponse.FromString(body).partial_success
        assert partial_success.rejected_spans == 1
        assert "trace_id_length" in partial_success.error_message
        assert "resource_spans[0].scope_spans[0].spans[1]" in partial_success.error_message
    assert both.consumer.names == ["n", "n"]


async def test_resp_03_the_json_twin_counts_as_a_string(both: Receivers) -> None:
    reply = await raw_http(both.http.port, post(V3_JSON, media_type=JSON))
    partial_success = orjson.loads(reply.body)["partialSuccess"]
    assert partial_success["rejectedSpans"] == "1"
    assert partial_success["errorMessage"]
    assert both.consumer.names == ["n"]


async def test_resp_04_a_warning_comes_with_a_full_success(both: Receivers) -> None:
    reply = await raw_http(both.http.port, post(OLD_JSON, media_type=JSON))
    assert reply.status == 200
    partial_success = orjson.loads(reply.body)["partialSuccess"]
    assert list(partial_success) == ["errorMessage"]
    assert "instrumentationLibrarySpans" in partial_success["errorMessage"]


async def test_resp_06_a_consumer_that_fails_is_never_a_partial_success(both: Receivers) -> None:
    both.consumer.fail_with(Retryable("the queue is full"))
    assert (await raw_http(both.http.port, post(V3))).status == 503
    assert (await grpc_call(both, V3)).grpc_status == 14


async def test_resp_07_a_request_whose_spans_are_all_refused_is_a_partial_success(both: Receivers) -> None:
    reply = await raw_http(both.http.port, post(V4))
    assert reply.status == 200
    assert ExportTraceServiceResponse.FromString(reply.body).partial_success.rejected_spans == 1
    assert (await grpc_call(both, V4)).grpc_status == 0
    assert not both.consumer.batches


async def test_resp_08_refused_spans_are_counted_and_logged_by_reason(both: Receivers) -> None:
    with structlog.testing.capture_logs() as logs:
        await raw_http(both.http.port, post(V3))
        await raw_http(both.http.port, post(V3))
    assert both.counts.refused_spans == {"trace_id_length": 2}
    assert [line["reason"] for line in logs if line["event"] == "spans_refused"] == ["trace_id_length"]


async def test_resp_09_envelopes_without_spans_are_not_passed_on(both: Receivers) -> None:
    body = b'{"resourceSpans":[{"resource":{},"scopeSpans":[{}]}]}'
    assert (await raw_http(both.http.port, post(body, media_type=JSON))).body == b"{}"
    assert not both.consumer.batches


async def test_resp_10_success_is_answered_only_after_the_consumer_took_the_spans(both: Receivers) -> None:
    gate = asyncio.Event()
    both.consumer.before = lambda _: gate.wait()
    answers = [asyncio.create_task(raw_http(both.http.port, post(V1))), asyncio.create_task(grpc_call(both, V1))]
    done, _ = await asyncio.wait(answers, timeout=0.1)
    assert not done
    gate.set()
    await asyncio.gather(*answers)
    assert both.consumer.spans == 2


@pytest.mark.parametrize("request_body", [V2, V2_GROUP, V5])
async def test_pb_01_and_05_unknown_fields_and_invalid_utf_8_are_no_reason_to_refuse(
    both: Receivers, request_body: bytes
) -> None:
    assert (await raw_http(both.http.port, post(request_body))).body == b""
    assert (await grpc_call(both, request_body)).data == framed(b"")
    assert both.consumer.spans == 2


@pytest.mark.parametrize("request_body", [V1[:-3], b"\x0a\x05", b"\x0a" + b"\xff" * 9 + b"\x01", b"\x80" * 11])
async def test_pb_03_corrupt_protobuf_is_400_and_3(both: Receivers, request_body: bytes) -> None:
    assert (await raw_http(both.http.port, post(request_body))).status == 400
    assert (await grpc_call(both, request_body)).grpc_status == 3
    assert not both.consumer.batches


async def test_data_24_a_request_sent_twice_is_accepted_twice(both: Receivers) -> None:
    for _ in range(2):
        assert (await raw_http(both.http.port, post(V1))).status == 200


async def test_err_01_and_04_the_error_is_a_status_in_the_encoding_of_the_request(both: Receivers) -> None:
    as_json = await raw_http(both.http.port, post(b'{"x"', media_type=JSON))
    assert (as_json.status, as_json.headers["content-type"]) == (400, JSON)
    assert orjson.loads(as_json.body)["message"]
    assert orjson.loads(as_json.body)["details"][0]["@type"].endswith("google.rpc.BadRequest")
    as_protobuf = await raw_http(both.http.port, post(b"\x0a\x05"))
    assert (as_protobuf.status, as_protobuf.headers["content-type"]) == (400, PROTOBUF)
    assert status_pb2.Status.FromString(as_protobuf.body).message


async def test_err_02_without_a_usable_type_the_status_is_json(both: Receivers) -> None:
    for request in (post(V1, media_type="text/plain"), post(V1, "/x", media_type=None), b"GET /v1/traces HTTP/1.1\r\n\r\n"):
        assert orjson.loads((await raw_http(both.http.port, request)).body)["message"]


async def test_err_02_with_a_usable_type_404_is_in_that_type(both: Receivers) -> None:
    assert status_pb2.Status.FromString((await raw_http(both.http.port, post(V1, "/x"))).body).message


@pytest.mark.parametrize("kind", ANSWERS)
async def test_err_05_both_transports_answer_one_failure_alike(both: Receivers, kind: str) -> None:
    both.consumer.fail_with(Refused("no", kind))
    row = ANSWERS[kind]
    http = await raw_http(both.http.port, post(V1))
    grpc = await grpc_call(both, V1)
    assert (http.status, grpc.grpc_status) == (row.http_status, row.grpc_code)
    assert ("retry-after" in http.headers) is row.retryable
    assert ("google.rpc.retryinfo-bin" in grpc.headers) is row.retryable
    assert status_pb2.Status.FromString(http.body).code == row.grpc_code


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("disk on fire at /var/lib"), 500, 13),
        (Permanent("the table is missing"), 500, 13),
        (Permanent("resource_spans[0] is odd", "resource_spans[0]"), 400, 3),
        (TimeoutError(), 500, 13),
        (ConnectionResetError("the database went away"), 500, 13),
    ],
)
async def test_err_06_a_fault_of_ours_is_never_called_bad_data(both: Receivers, error: Exception, status: int, code: int) -> None:
    both.consumer.fail_with(error)
    http = await raw_http(both.http.port, post(V1))
    assert http.status == status
    assert b"/var/lib" not in http.body
    assert (await grpc_call(both, V1)).grpc_status == code
    assert both.in_flight.held_bytes == 0


async def test_err_06_an_unexpected_error_is_logged_with_its_traceback_once(both: Receivers) -> None:
    both.consumer.fail_with(RuntimeError("disk on fire"))
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await raw_http(both.http.port, post(V1))
    failures = [line for line in logs if line["event"] == "request_failed"]
    assert len(failures) == 1
    assert isinstance(failures[0]["exc_info"], RuntimeError)
    assert both.counts.failed_requests == {"internal": 3}


async def test_grpc_05_failures_are_trailers_only(both: Receivers) -> None:
    both.consumer.fail_with(Retryable("busy"))
    reply = await grpc_call(both, V1)
    assert reply.trailers_only
    assert reply.headers["grpc-status"] == "14"


async def test_retry_03_and_04_overload_carries_the_delay_in_every_form(both: Receivers) -> None:
    both.consumer.fail_with(Retryable("busy", 2.0))
    http = await raw_http(both.http.port, post(V1))
    assert (http.status, http.headers["retry-after"]) == (503, "2")
    reply = await grpc_call(both, V1)
    retry_info = error_details_pb2.RetryInfo.FromString(decoded(reply.headers["google.rpc.retryinfo-bin"]))
    status = status_pb2.Status.FromString(decoded(reply.headers["grpc-status-details-bin"]))
    assert 1.6 <= retry_info.retry_delay.ToMilliseconds() / 1000 <= 2.4
    assert (status.code, reply.grpc_status) == (14, 14)


def decoded(value: str) -> bytes:
    """A binary header: base64, usually without its padding."""
    return base64.b64decode(value + "=" * (-len(value) % 4))
