"""Receiver contract, NET-01 to NET-04: requests from web pages."""

from __future__ import annotations

import pytest

from collector.receivers.settings import Cors, HttpSettings
from tests.support.receivers import V1, RawReply, post, raw_http, receivers

ORIGIN = "https://app.test"
SETTINGS = HttpSettings(
    cors=Cors(
        allowed_origins=(ORIGIN, "https://*.x.test"), allowed_headers=("X-Token",), exposed_headers=("X-Id",), max_age_s=600
    )
)


def preflight(origin: str = ORIGIN, headers: str = "content-type", method: str = "POST") -> bytes:
    return (
        f"OPTIONS /v1/traces HTTP/1.1\r\nHost: collector.test\r\nOrigin: {origin}\r\n"
        f"Access-Control-Request-Method: {method}\r\nAccess-Control-Request-Headers: {headers}\r\n\r\n"
    ).encode()


async def answer(request: bytes, settings: HttpSettings = SETTINGS) -> RawReply:
    async with receivers(http=settings) as both:
        return await raw_http(both.http.port, request)


async def test_net_01_without_configuration_there_is_no_cors() -> None:
    reply = await answer(preflight(), HttpSettings())
    assert reply.status == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert not [name for name in (await answer(post(V1, Origin=ORIGIN), HttpSettings())).headers if name.startswith("access")]


async def test_net_02_a_preflight_is_204_and_echoes_what_is_allowed() -> None:
    reply = await answer(preflight(headers="content-type,x-token"))
    assert reply.status == 204
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert reply.headers["access-control-allow-methods"] == "POST"
    assert reply.headers["access-control-allow-headers"] == "content-type,x-token"
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert reply.headers["access-control-max-age"] == "600"
    assert reply.headers["vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


@pytest.mark.parametrize(
    "request_bytes",
    [
        preflight("https://evil.test"),
        preflight("https://app.test.evil.test"),
        preflight(headers="x-other"),
        preflight(method="DELETE"),
    ],
)
async def test_net_03_what_is_not_allowed_gets_204_without_allow_headers(request_bytes: bytes) -> None:
    reply = await answer(request_bytes)
    assert reply.status == 204
    assert not [name for name in reply.headers if name.startswith("access-control-allow")]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("https://a.x.test", True), ("HTTPS://A.X.TEST", True), ("https://x.test", False), ("https://a.x.test.evil.test", False)],
)
async def test_net_03_an_origin_may_have_one_wildcard_and_any_case(origin: str, allowed: bool) -> None:
    assert ("access-control-allow-origin" in (await answer(preflight(origin))).headers) is allowed


async def test_net_03_any_header_may_be_allowed() -> None:
    settings = HttpSettings(cors=Cors(allowed_origins=("*",), allowed_headers=("*",)))
    reply = await answer(preflight(headers="x-whatever"), settings)
    assert reply.headers["access-control-allow-headers"] == "x-whatever"
    assert "access-control-max-age" not in reply.headers


async def test_net_03_the_post_of_a_stranger_is_served() -> None:
    reply = await answer(post(V1, Origin="https://evil.test"))
    assert reply.status == 200
    assert "access-control-allow-origin" not in reply.headers
    assert reply.headers["vary"] == "Origin"


@pytest.mark.parametrize(("body", "status"), [(V1, 200), (b"0", 400)])
async def test_net_04_answers_to_posts_can_be_read_errors_too(body: bytes, status: int) -> None:
    reply = await answer(post(body, Origin=ORIGIN))
    assert reply.status == status
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert reply.headers["access-control-expose-headers"] == "Retry-After, X-Id"


async def test_http_08_an_options_request_that_is_no_preflight_is_405() -> None:
    assert (await answer(b"OPTIONS /v1/traces HTTP/1.1\r\nHost: collector.test\r\n\r\n")).status == 405
