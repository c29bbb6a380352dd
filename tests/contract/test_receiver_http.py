"""Receiver contract, section HTTP: paths, methods, media types and the life of a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from collector.receivers.settings import HttpSettings
from tests.support.receivers import V1, V1_JSON, Receivers, post, raw_http, read_reply, receivers
from tests.support.waiting import until

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@pytest.fixture
async def both() -> AsyncIterator[Receivers]:
    async with receivers() as both:
        yield both


def test_http_01_the_default_is_port_4318_on_the_loopback() -> None:
    assert (HttpSettings().host, HttpSettings().port) == ("localhost", 4318)


async def test_http_02_and_12_a_protobuf_post_is_answered_200_with_no_body(both: Receivers) -> None:
    reply = await raw_http(both.http.port, post(V1))
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, PROTOBUF, b"")
    assert both.consumer.names == ["n"]


async def test_http_03_json_is_served_on_the_same_path(both: Receivers) -> None:
    reply = await raw_http(both.http.port, post(V1_JSON, media_type=JSON))
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, JSON, b"{}")
    assert both.consumer.names == ["n"]


async def test_http_04_accept_does_not_steer_the_answer(both: Receivers) -> None:
    reply = await raw_http(both.http.port, post(V1, Accept=JSON))
    assert reply.headers["content-type"] == PROTOBUF


async def test_http_05_the_content_type_of_the_answer_has_no_parameters(both: Receivers) -> None:
    reply = await raw_http(both.http.port, post(V1_JSON, media_type="application/json; charset=utf-8"))
    assert reply.headers["content-type"] == JSON


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("APPLICATION/JSON", V1_JSON),
        ("application/json;charset=UTF-8", V1_JSON),
        ('application/x-protobuf; messageType="x"', V1),
    ],
)
async def test_http_06_case_and_parameters_of_the_media_type_do_not_matter(both: Receivers, media_type: str, body: bytes) -> None:
    assert (await raw_http(both.http.port, post(body, media_type=media_type))).status == 200


@pytest.mark.parametrize(
    "media_type",
    [None, "", "invalid", "text/plain", "application/protobuf", "application/x-ndjson", "application/grpc", "application/json,"],
)
async def test_http_07_other_media_types_are_415(both: Receivers, media_type: str | None) -> None:
    reply = await raw_http(both.http.port, post(V1, media_type=media_type))
    assert (reply.status, reply.headers["content-type"]) == (415, JSON)
    assert not both.consumer.batches


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_http_08_other_methods_are_405_and_post_is_named(both: Receivers, method: str) -> None:
    request = post(V1).replace(b"POST", method.encode(), 1)
    if method == "HEAD":
        request = b"HEAD /v1/traces HTTP/1.1\r\nHost: collector.test\r\nConnection: close\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
        writer.write(request)
        head = (await reader.read()).decode()
        writer.close()
        assert head.startswith("HTTP/1.1 405")
        assert "\r\nAllow: POST\r\n" in head
        return
    reply = await raw_http(both.http.port, request)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/", "/v1/trace", "/v1/traces/x", "/v1/profiles", "/%2e%2e/v1/traces/x"])
async def test_http_09_an_unknown_path_is_404_and_the_right_one_is_named(both: Receivers, path: str) -> None:
    reply = await raw_http(both.http.port, post(V1, path, media_type=JSON))
    assert reply.status == 404
    assert b"/v1/traces" in reply.body


@pytest.mark.parametrize("signal", ["metrics", "logs"])
async def test_http_09_what_is_no_span_is_404_that_says_how_services_stop_sending_it(both: Receivers, signal: str) -> None:
    reply = await raw_http(both.http.port, post(b"", f"/v1/{signal}"))
    assert reply.status == 404
    assert f"OTEL_{signal.upper()}_EXPORTER=none".encode() in reply.body
    assert both.counts.failed_requests == {"not_found": 1}


@pytest.mark.parametrize(("path", "status"), [("//v1/traces", 404), ("/v1/traces/", 200), ("/v1//traces", 404)])
async def test_http_10_nothing_is_ever_redirected(both: Receivers, path: str, status: int) -> None:
    assert (await raw_http(both.http.port, post(V1, path))).status == status


async def test_http_11_a_query_string_is_ignored(both: Receivers) -> None:
    assert (await raw_http(both.http.port, post(V1, "/v1/traces?x=1"))).status == 200


async def test_http_13_a_chunked_body_is_accepted_one_byte_at_a_time(both: Receivers) -> None:
    head = post(b"", Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in V1) + b"0\r\n\r\n"
    assert (await raw_http(both.http.port, head + chunks)).status == 200
    assert both.consumer.names == ["n"]


async def test_http_13_a_broken_chunk_is_a_final_error(both: Receivers) -> None:
    head = post(b"", Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
    assert (await raw_http(both.http.port, head + b"zz\r\nxx\r\n")).status == 400
    assert not both.consumer.batches


async def test_http_13_a_chunk_that_breaks_later_is_a_body_that_never_ends() -> None:
    head = post(b"", Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
    async with receivers(http=HttpSettings(body_timeout_s=0.1, linger_s=0.1)) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
        writer.write(head + b"2\r\nxx\r\n")
        await until(lambda: both.in_flight.held_bytes > 0)
        writer.write(b"zz\r\nxx\r\n")
        assert (await read_reply(reader)).status == 408
        writer.close()


async def test_http_14_expect_100_continue_is_answered_before_the_body(both: Receivers) -> None:
    request = post(V1, Expect="100-continue")
    reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
    writer.write(request[: -len(V1)])
    assert (await read_reply(reader)).status == 100
    writer.write(V1)
    assert (await read_reply(reader)).status == 200
    writer.close()


async def test_http_14_expect_100_continue_gets_the_final_status_when_the_head_is_refused(both: Receivers) -> None:
    request = post(V1, "/nowhere", Expect="100-continue")
    assert (await raw_http(both.http.port, request[: -len(V1)])).status == 404


async def test_http_15_an_offer_of_h2c_is_ignored(both: Receivers) -> None:
    request = post(
        V1, Connection="Upgrade, HTTP2-Settings", Upgrade="h2c", HTTP2_Settings="AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
    for _ in range(2):
        writer.write(request)
        assert (await read_reply(reader)).status == 200
    writer.close()
    assert both.consumer.names == ["n", "n"]


async def test_http_16_one_connection_serves_many_requests(both: Receivers) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
    for _ in range(300):
        writer.write(post(V1))
        assert (await read_reply(reader)).status == 200
    writer.close()
    assert both.consumer.spans == 300


async def test_http_16_pipelined_requests_are_all_answered(both: Receivers) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
    writer.write(post(V1) * 100)
    for _ in range(100):
        assert (await read_reply(reader)).status == 200
    writer.close()
    assert both.consumer.spans == 100


@pytest.mark.parametrize(
    ("media_type", "body", "status"),
    [(PROTOBUF, b"", 200), (JSON, b"", 400), (JSON, b"{}", 200), (JSON, b'{"resourceSpans":[]}', 200)],
)
async def test_http_17_empty_requests(both: Receivers, media_type: str, body: bytes, status: int) -> None:
    assert (await raw_http(both.http.port, post(body, media_type=media_type))).status == status
    assert not both.consumer.batches


async def test_http_18_a_body_that_ends_too_early_is_not_taken(both: Receivers) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
    writer.write(post(V1)[:-17])
    await writer.drain()
    await until(lambda: both.in_flight.held_bytes > 0)
    writer.close()
    await until(lambda: both.in_flight.held_bytes == 0)
    assert not both.consumer.batches
    assert not both.counts.failed_requests


async def test_http_19_a_bad_content_encoding_is_found_before_a_missing_media_type(both: Receivers) -> None:
    assert (await raw_http(both.http.port, post(V1, media_type=None, Content_Encoding="nosuch"))).status == 400


async def test_conf_02_the_path_can_be_chosen_and_needs_no_leading_slash() -> None:
    async with receivers(http=HttpSettings(traces_url_path="traces")) as both:
        assert (await raw_http(both.http.port, post(V1, "/traces"))).status == 200
        assert (await raw_http(both.http.port, post(V1, "/v1/traces"))).status == 404


async def test_conf_02_the_path_may_be_the_root() -> None:
    async with receivers(http=HttpSettings(traces_url_path="/")) as both:
        assert (await raw_http(both.http.port, post(V1, "/"))).status == 200


async def test_conf_02_connections_may_serve_one_request_each() -> None:
    async with receivers(http=HttpSettings(keep_alives=False)) as both:
        reply = await raw_http(both.http.port, post(V1))
        assert (reply.status, reply.headers["connection"]) == (200, "close")


async def test_conf_02_response_headers_are_added_to_every_answer() -> None:
    async with receivers(http=HttpSettings(response_headers=(("X-Collector", "one"),))) as both:
        assert (await raw_http(both.http.port, post(V1))).headers["x-collector"] == "one"
        assert (await raw_http(both.http.port, post(b"0"))).headers["x-collector"] == "one"


async def test_net_17_an_http_1_0_request_without_host_or_user_agent_is_served(both: Receivers) -> None:
    request = post(V1).replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Host: collector.test\r\n", b"")
    assert (await raw_http(both.http.port, request)).status == 200
