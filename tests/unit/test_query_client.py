"""The ClickHouse client against a scripted server: faults that a real one will not commit on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from exporters.clickhouse.client import ClickHouseClient, ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable
from exporters.clickhouse.wire import parse_blocks
from tests.support.waiting import until

Script = Callable[[web.Request], Awaitable[web.StreamResponse]]
TAG = "PU1FNUFH98pppppp"
EXCEPTION = (
    "Code: 395. DB::Exception: Value passed to 'throwIf' is non-zero. "
    "(FUNCTION_THROW_IF_VALUE_IS_NON_ZERO) (version 26.7.3.1 (official build))"
)


class Server:
    """An HTTP server whose answers the test writes; it remembers what it was asked."""

    def __init__(self) -> None:
        self.script: Script = answer_with(b'{"x":[1]}')
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return await self.script(request)

    @property
    def killed(self) -> list[str]:
        """Ids of the queries that it was told to stop."""
        return [
            request.query["param_query_id"]
            for request, body in zip(self.requests, self.bodies, strict=True)
            if body.startswith(b"KILL QUERY")
        ]


def answer_with(body: bytes, status: int = 200, **headers: str) -> Script:
    async def script(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return script


async def serve(server: Server, port: int = 0) -> web.AppRunner:
    application = web.Application(client_max_size=2**26)
    application.router.add_route("*", "/{tail:.*}", server.handle)
    # A script that hangs ends with its client.
    runner = web.AppRunner(application, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return runner


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    runner = await serve(server)
    yield server
    await runner.cleanup()


async def test_an_error_carries_code_name_message_and_status(server: Server) -> None:
    server.script = answer_with(
        b"Code: 60. DB::Exception: Table a.b does not exist. (UNKNOWN_TABLE) (version 26.7.3.1 (official build))\n", 404
    )
    async with ClickHouseClient([server.url]) as client:
        with pytest.raises(ClickHouseError) as caught:
            await client.query("SELECT 1")
    error = caught.value
    assert (error.code, error.name, error.message, error.status) == (60, "UNKNOWN_TABLE", "Table a.b does not exist.", 404)
    assert not error.retryable


@pytest.mark.parametrize(
    ("text", "code", "name", "message"),
    [
        (
            "Code: 76. DB::ErrnoException: No space. (CANNOT_OPEN_FILE)\nTotal space: 6 MiB\nFilesystem: x (version 26.7.2.1)",
            *(76, "CANNOT_OPEN_FILE", "No space."),
        ),
        ("Code: 210. DB::NetException: refused. (NETWORK_ERROR) (version 26.7.2.1)", 210, "NETWORK_ERROR", "refused."),
        ("Code: 999. Coordination::Exception: Session expired. (KEEPER_EXCEPTION)", 999, "KEEPER_EXCEPTION", "Session expired."),
        (
            "std::exception. Code: 1001, type: std::length_error, e.what() = vector",
            *(1001, ""),
            "type: std::length_error, e.what() = vector",
        ),
        ("Poco::Exception. Code: 1000, e.code() = 111, Connection refused", *(1000, ""), "e.code() = 111, Connection refused"),
    ],
)
@pytest.mark.parametrize("status", [200, 500])
async def test_exceptions_of_every_class_are_understood(
    server: Server, text: str, code: int, name: str, message: str, status: int
) -> None:
    server.script = answer_with(text.encode(), status)
    async with ClickHouseClient([server.url]) as client:
        with pytest.raises(ClickHouseError) as caught:
            await client.insert("INSERT INTO t FORMAT Native", b"data")
    assert (caught.value.code, caught.value.name, caught.value.message) == (code, name, message)


@pytest.mark.parametrize(("status", "code"), [(500, 252), (500, 202), (503, 0), (429, 0)])
async def test_errors_that_pass_are_retryable(server: Server, status: int, code: int) -> None:
    server.script = answer_with(f"Code: {code}. DB::Exception: later (LATER)".encode(), status)
    async with ClickHouseClient([server.url]) as client:
        with pytest.raises(ClickHouseError) as caught:
            await client.command("OPTIMIZE TABLE x")
    assert caught.value.retryable


def framed(text: str, before: str = "") -> bytes:
    return f"{before}\r\n__exception__\r\n{TAG}\r\n{text}\n{len(text)} {TAG}\r\n__exception__\r\n".encode()


@pytest.mark.parametrize("framing", ["bare", "framed"])
@pytest.mark.parametrize("call", ["query", "command", "insert"])
async def test_an_exception_after_the_first_byte_of_a_200_is_found(server: Server, call: str, framing: str) -> None:
    if framing == "bare":
        server.script = answer_with(f'{{"x":[1,2\n{EXCEPTION}\n'.encode())
    else:
        server.script = answer_with(framed(EXCEPTION, '{"x":[1,2'), X_ClickHouse_Exception_Tag=TAG)
    arguments = ("INSERT INTO t FORMAT Native", b"data") if call == "insert" else ("SELECT 1",)
    async with ClickHouseClient([server.url]) as client:
        with pytest.raises(ClickHouseError) as caught:
            await getattr(client, call)(*arguments)
    assert (caught.value.code, caught.value.status) == (395, 200)
    assert caught.value.name == "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"
    assert caught.value.message == "Value passed to 'throwIf' is non-zero."


@pytest.mark.parametrize("framing", ["bare", "framed"])
async def test_an_exception_behind_native_blocks_is_found(server: Server, framing: str) -> None:
    block = b"\x01\x01\x01x\x05UInt8\x07"
    tail = f"\n{EXCEPTION}\n".encode() if framing == "bare" else framed(EXCEPTION)
    server.script = answer_with(block + tail, **({"X_ClickHouse_Exception_Tag": TAG} if framing == "framed" else {}))
    async with ClickHouseClient([server.url]) as client:
        answer = await client.query_native("SELECT 1")
    with pytest.raises(ClickHouseError) as caught:
        parse_blocks(answer)
    assert (caught.value.code, caught.value.message) == (395, "Value passed to 'throwIf' is non-zero.")
    server.script = answer_with(block[:-1])
    async with ClickHouseClient([server.url]) as client:
        with pytest.raises(ClickHouseError, match="Native"):
            parse_blocks(await client.query_native("SELECT 1"))


async def test_an_exception_before_a_cut_connection_is_found(server: Server) -> None:
    async def script(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"X-ClickHouse-Exception-Tag": TAG})
        await response.prepare(request)
        await response.write(framed(EXCEPTION, '{"x":[1'))
        assert request.transport is not None
        request.transport.close()
        return response

    server.script = script
    async with ClickHouseClient([server.url]) as client:
        with pytest.raises(ClickHouseError, match="throwIf"):
            await client.query("SELECT 1")


async def test_stored_text_that_looks_like_an_exception_is_no_exception(server: Server) -> None:
    server.script = answer_with(b'{"x":["\\nCode: 1. DB::Exception: no (NO)"]}')
    async with ClickHouseClient([server.url]) as client:
        assert (await client.query("SELECT x")).columns == {"x": ["\nCode: 1. DB::Exception: no (NO)"]}


async def test_strings_keep_bytes_that_are_not_utf8(server: Server) -> None:
    server.script = answer_with(b'{"x":["a\xffb", "c"], "n":[18446744073709551615, 1]}')
    async with ClickHouseClient([server.url]) as client:
        result = await client.query("SELECT x, n")
    assert result.columns == {"x": ["a\udcffb", "c"], "n": [2**64 - 1, 1]}
    assert list(result.rows()) == [{"x": "a\udcffb", "n": 2**64 - 1}, {"x": "c", "n": 1}]


async def test_a_query_moves_on_from_an_endpoint_that_is_down(server: Server, unused_tcp_port: int) -> None:
    async with ClickHouseClient([f"http://127.0.0.1:{unused_tcp_port}", server.url]) as client:
        for _ in range(4):
            assert (await client.query("SELECT 1")).columns == {"x": [1]}
    assert len(server.requests) == 4


async def test_requests_begin_at_each_endpoint_in_turn(server: Server) -> None:
    second = Server()
    runner = await serve(second)
    async with ClickHouseClient([server.url, second.url]) as client:
        for _ in range(6):
            await client.query("SELECT 1")
    await runner.cleanup()
    assert (len(server.requests), len(second.requests)) == (3, 3)


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def test_an_insert_that_may_have_arrived_is_not_sent_again(server: Server) -> None:
    second = Server()
    runner = await serve(second)
    server.script = second.script = cut
    async with ClickHouseClient([server.url, second.url]) as client:
        with pytest.raises(ClickHouseUnavailable) as caught:
            await client.insert("INSERT INTO t FORMAT Native", b"data")
    await runner.cleanup()
    assert caught.value.sent
    assert len(server.requests) + len(second.requests) == 1


async def test_an_insert_that_cannot_have_arrived_goes_to_the_next_endpoint(server: Server, unused_tcp_port: int) -> None:
    server.script = answer_with(b"", X_ClickHouse_Summary='{"written_rows":"3"}')
    async with ClickHouseClient([f"http://127.0.0.1:{unused_tcp_port}", server.url]) as client:
        summary = await client.insert(
            "INSERT INTO t FORMAT Native", b"data", content_encoding="lz4", settings={"insert_deduplication_token": "a/1"}
        )
    assert summary == {"written_rows": 3}
    (request,) = server.requests
    assert server.bodies == [b"data"]
    assert request.headers["Content-Encoding"] == "lz4"
    assert request.query["insert_deduplication_token"] == "a/1"


async def test_an_insert_that_anything_but_clickhouse_answers_is_not_taken_for_stored(server: Server) -> None:
    server.script = answer_with(b"<html>Back soon</html>")
    async with ClickHouseClient([server.url]) as client:
        with pytest.raises(ClickHouseUnavailable, match="no ClickHouse: <html>Back soon") as caught:
            await client.insert("INSERT INTO t FORMAT Native", b"data")
    assert caught.value.sent


async def test_nobody_is_followed_to_where_else_the_server_is_said_to_be(server: Server) -> None:
    second = Server()
    runner = await serve(second)
    second.script = answer_with(b"", X_ClickHouse_Summary="{}")
    server.script = answer_with(b"", 302, Location=second.url)
    async with ClickHouseClient([server.url], password="secret") as client:
        insert = client.insert("INSERT INTO t FORMAT Native", b"data")
        for request in (insert, client.command("SELECT 1"), client.query("SELECT 1")):
            with pytest.raises(ClickHouseError) as caught:
                await request
            assert caught.value.status == 302
    await runner.cleanup()
    assert second.requests == []


async def test_without_any_endpoint_nothing_was_sent(unused_tcp_port: int) -> None:
    async with ClickHouseClient([f"http://127.0.0.1:{unused_tcp_port}"]) as client:
        with pytest.raises(ClickHouseUnavailable) as caught:
            await client.insert("INSERT INTO t FORMAT Native", b"data")
    assert not caught.value.sent


async def hang_unless_killing(request: web.Request) -> web.StreamResponse:
    if b"KILL" in await request.read():
        return web.Response()
    await asyncio.sleep(3600)
    return web.Response()


async def test_a_query_that_times_out_is_killed(server: Server) -> None:
    server.script = hang_unless_killing
    async with ClickHouseClient([server.url]) as client:
        with pytest.raises(ClickHouseTimeout):
            await client.query("SELECT 1", timeout_s=0.1, query_id="late")
    assert server.killed == ["late"]


async def test_a_query_whose_task_is_cancelled_is_killed(server: Server) -> None:
    server.script = hang_unless_killing
    async with ClickHouseClient([server.url]) as client:
        task = asyncio.create_task(client.query("SELECT 1", query_id="unwanted"))
        await until(lambda: bool(server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert server.killed == ["unwanted"]


async def test_credentials_travel_in_headers_and_not_in_the_url(server: Server) -> None:
    async with ClickHouseClient([server.url], user="reader", password="secret", database="otel") as client:
        await client.query("SELECT 1")
    (request,) = server.requests
    assert (request.headers["X-ClickHouse-User"], request.headers["X-ClickHouse-Key"]) == ("reader", "secret")
    assert "secret" not in str(request.url)
    assert request.query["database"] == "otel"


@pytest.mark.parametrize("endpoints", [[], ["localhost:8123"], ["tcp://h:9000"], ["http://user:pw@h:8123"], ["http://[::1"]])
async def test_endpoints_that_are_no_plain_http_urls_are_refused(endpoints: list[str]) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        ClickHouseClient(endpoints)


@pytest.mark.parametrize("value", [object(), {"a": 1}, b"bytes"])
async def test_parameters_of_other_types_are_refused(server: Server, value: Any) -> None:
    async with ClickHouseClient([server.url]) as client:
        with pytest.raises(TypeError, match="query parameter"):
            await client.query("SELECT {x:String}", {"x": value})
