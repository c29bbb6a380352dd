"""Receiver contract, NET-08 and HTTP-19: who may send spans, into which workspace, and how much; on both transports."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
from google.protobuf.json_format import Parse
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from collector.access import Gate
from collector.receivers.limits import Rates, WorkspaceLimits
from collector.receivers.settings import Cors, GrpcSettings, HttpSettings
from collector.tokens import Tokens
from config.access import TokensExtension
from config.tls import ServerTls
from tests.support.certificates import Authority, Identity
from tests.support.http2 import EXPORT
from tests.support.receivers import V1, V1_JSON, Receivers, post, raw_http, receivers
from tests.support.requests import key_values
from tests.support.waiting import until

GRPC, HTTP = "grpc", "http"
TRANSPORTS = pytest.mark.parametrize("transport", [GRPC, HTTP])

SHOP = "shop-token-0123456789"
BOTH = "both-token-0123456789"
EVERY = "every-token-0123456789"
READER = "reader-token-0123456789"
ADMIN = "admin-token-0123456789"

UNAUTHENTICATED = {GRPC: 16, HTTP: 401}
PERMISSION_DENIED = {GRPC: 7, HTTP: 403}
INVALID = {GRPC: 3, HTTP: 400}
THROTTLED = {GRPC: 8, HTTP: 429}
TAKEN = {GRPC: 0, HTTP: 200}


def hashed(token: str) -> str:
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def bearer(token: str, **headers: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}


def tokens(**keys: Any) -> Tokens:
    settings = {
        "tokens": [
            {"name": "shop", "token": hashed(SHOP), "role": "ingest", "workspaces": ["shop"]},
            {"name": "both", "token": hashed(BOTH), "role": "ingest", "workspaces": ["shop", "cart"]},
            {"name": "every", "token": EVERY, "role": "ingest", "workspaces": "*", "certificate": "every.internal"},
            {"name": "reader", "token": hashed(READER), "role": "read", "workspaces": ["shop"]},
            {"name": "admin", "token": hashed(ADMIN), "role": "admin"},
        ]
    }
    return Tokens(TokensExtension.model_validate({**settings, **keys}), "extensions.tokens")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got: the code or status, the google.rpc.Status in it, and headers or trailers."""

    code: int
    status: status_pb2.Status
    headers: Mapping[str, Any]


async def send(
    both: Receivers, transport: str, headers: Mapping[str, str] | None = None, body: bytes = V1, tls: Any = None
) -> Answer:
    """Send one request and return the answer, whatever it is."""
    if transport == GRPC:
        address, options = f"127.0.0.1:{both.grpc.port}", (("grpc.use_local_subchannel_pool", 1),)
        channel = grpc.aio.secure_channel(address, tls, options) if tls else grpc.aio.insecure_channel(address, options)
        async with channel:
            call = channel.unary_unary(EXPORT)(body, timeout=10, metadata=tuple((headers or {}).items()))
            code = (await call.code()).value[0]
            trailers = dict(await call.trailing_metadata())
            details = trailers.get("grpc-status-details-bin", b"")
            return Answer(code, status_pb2.Status.FromString(details), trailers)
    scheme = "https" if tls else "http"
    url = f"{scheme}://127.0.0.1:{both.http.port}/v1/traces"
    media_type = {"Content-Type": "application/x-protobuf"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers={**media_type, **(headers or {})}, ssl=tls or True) as response,
    ):
        details = await response.read() if response.status != 200 else b""
        return Answer(response.status, status_pb2.Status.FromString(details), response.headers)


@pytest.fixture
async def guarded() -> AsyncIterator[Receivers]:
    async with receivers(gate=Gate("ingest", tokens())) as both:
        yield both


@TRANSPORTS
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, UNAUTHENTICATED),
        ({"authorization": ""}, UNAUTHENTICATED),
        ({"authorization": "Bearer"}, UNAUTHENTICATED),
        (bearer("no-such-token-0123456789"), UNAUTHENTICATED),
        (bearer(hashed(SHOP)), UNAUTHENTICATED),
        ({"authorization": f"Token {SHOP}"}, UNAUTHENTICATED),
        ({"authorization": "Bearer " + "x" * 5000}, UNAUTHENTICATED),
        ({"authorization": "Basic !"}, UNAUTHENTICATED),
        (bearer(READER), PERMISSION_DENIED),
        (bearer(SHOP), TAKEN),
        (bearer(ADMIN), TAKEN),
        ({"authorization": f"bearer  {SHOP} "}, TAKEN),
    ],
)
async def test_net_08_only_known_callers_may_send(
    guarded: Receivers, transport: str, headers: dict[str, str], code: dict[str, int]
) -> None:
    answer = await send(guarded, transport, headers)
    assert answer.code == code[transport]
    assert guarded.consumer.spans == (code is TAKEN)
    if code is not TAKEN:
        kind = "unauthenticated" if code is UNAUTHENTICATED else "permission_denied"
        assert guarded.counts.failed_requests == {kind: 1}
        assert answer.status.code == code[GRPC]
        assert answer.status.message
        assert SHOP not in answer.status.message


@TRANSPORTS
@pytest.mark.parametrize(
    ("name", "token", "code"), [("shop", SHOP, TAKEN), ("cart", SHOP, UNAUTHENTICATED), ("shop", "x", UNAUTHENTICATED)]
)
async def test_net_08_basic_authentication_takes_the_token_as_password(
    guarded: Receivers, transport: str, name: str, token: str, code: dict[str, int]
) -> None:
    pair = base64.b64encode(f"{name}:{token}".encode()).decode()
    assert (await send(guarded, transport, {"authorization": f"Basic {pair}"})).code == code[transport]


async def test_net_08_http_says_how_to_authenticate(guarded: Receivers) -> None:
    answer = await send(guarded, HTTP)
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="spanhouse", Basic')
    assert "WWW-Authenticate" not in (await send(guarded, HTTP, bearer(READER))).headers


async def test_net_08_the_answer_is_in_the_encoding_of_the_request(guarded: Receivers) -> None:
    reply = await raw_http(guarded.http.port, post(V1_JSON, media_type="application/json"))
    assert reply.status == 401
    assert Parse(reply.body, status_pb2.Status()).code == 16


async def test_net_08_preflights_and_health_need_no_token() -> None:
    cors = HttpSettings(cors=Cors(allowed_origins=("https://app.test",), allowed_headers=("authorization",)), linger_s=0.1)
    async with receivers(http=cors, gate=Gate("ingest", tokens())) as both:
        preflight = (
            b"OPTIONS /v1/traces HTTP/1.1\r\nHost: x\r\nOrigin: https://app.test\r\nAccess-Control-Request-Method: POST\r\n"
            b"Access-Control-Request-Headers: authorization\r\n\r\n"
        )
        reply = await raw_http(both.http.port, preflight)
        assert (reply.status, reply.headers["access-control-allow-headers"]) == (204, "authorization")
        refused = await raw_http(both.http.port, post(V1, Origin="https://app.test"))
        assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "https://app.test")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{both.grpc.port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            assert (await stub.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING


async def test_http_19_the_token_is_looked_at_before_anything_else(guarded: Receivers) -> None:
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Encoding: nosuch\r\n"
    unread = await raw_http(guarded.http.port, head + b"Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n")
    assert unread.status == 401
    assert (await raw_http(guarded.http.port, post(b"garbage", Authorization="Bearer wrong"))).status == 401
    assert (await raw_http(guarded.http.port, post(V1, path="/nowhere"))).status == 401


@TRANSPORTS
async def test_net_08_the_sdk_sends_with_its_headers(guarded: Receivers, transport: str) -> None:
    headers = bearer(BOTH, x_workspace_id="cart")
    exporter: SpanExporter
    if transport == GRPC:
        exporter = GrpcExporter(f"127.0.0.1:{guarded.grpc.port}", insecure=True, headers=headers)
    else:
        exporter = HttpExporter(guarded.traces_url, headers=headers)

    def export() -> None:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("test").start_as_current_span("with a token"):
            pass
        provider.shutdown()

    await asyncio.to_thread(export)
    assert guarded.consumer.workspaces == {"cart": 1}


@asynccontextmanager
async def with_certificates(tmp_path: Path) -> AsyncIterator[tuple[Receivers, Callable[[str, Identity], Any], Authority]]:
    """Receivers that ask for certificates and know callers; and what makes a client's side of TLS for a transport."""
    authority = Authority(tmp_path)
    tls = ServerTls(**authority.issue("127.0.0.1", file="server").settings, client_ca_file=str(authority.file))

    def client(transport: str, identity: Identity) -> Any:
        if transport == GRPC:
            return grpc.ssl_channel_credentials(authority.cert, identity.key, identity.cert)
        return authority.client_context(identity)

    settings = {"grpc": GrpcSettings(tls=tls), "http": HttpSettings(tls=tls, linger_s=0.1)}
    async with receivers(**settings, gate=Gate("ingest", tokens())) as both:  # type: ignore[arg-type]  # each under its own name
        yield both, client, authority


@TRANSPORTS
async def test_net_07_a_certificate_names_the_caller(tmp_path: Path, transport: str) -> None:
    async with with_certificates(tmp_path) as (both, client, authority):
        by_alternative_name = client(transport, authority.issue("every.internal", file="one"))
        by_common_name = client(transport, authority.issue("x.internal", common_name="every.internal", file="two"))
        stranger = client(transport, authority.issue("stranger.internal"))
        header = {"x-workspace-id": "anywhere"}
        assert (await send(both, transport, header, tls=by_alternative_name)).code == TAKEN[transport]
        assert (await send(both, transport, header, tls=by_common_name)).code == TAKEN[transport]
        assert both.consumer.workspaces == {"anywhere": 2}
        assert (await send(both, transport, header, tls=stranger)).code == UNAUTHENTICATED[transport]
        assert (await send(both, transport, bearer(SHOP), tls=stranger)).code == TAKEN[transport]
        assert (await send(both, transport, bearer("wrong-token-0123456"), tls=by_common_name)).code == UNAUTHENTICATED[transport]


@TRANSPORTS
async def test_a_changed_token_file_counts_and_a_lost_one_lets_nobody_in(tmp_path: Path, transport: str) -> None:
    file = tmp_path / "token"
    file.write_text(f"{SHOP}\n")
    known = tokens(
        tokens=[{"name": "shop", "token_file": str(file), "role": "ingest", "workspaces": ["shop"]}], reload_interval="1us"
    )
    async with receivers(gate=Gate("ingest", known)) as both:

        async def taken(token: str) -> bool:
            return (await send(both, transport, bearer(token))).code == TAKEN[transport]

        assert await taken(SHOP)
        file.write_text(hashed(BOTH))
        await until(lambda: taken(BOTH))
        assert not await taken(SHOP)
        file.write_text("short")
        await until(lambda: _not(taken(BOTH)))
        file.write_text(SHOP)
        await until(lambda: taken(SHOP))
        file.unlink()
        await until(lambda: _not(taken(SHOP)))


async def _not(answer: Any) -> bool:
    return not await answer


@TRANSPORTS
@pytest.mark.parametrize(
    ("headers", "workspace"),
    [
        (bearer(SHOP), "shop"),
        (bearer(SHOP, x_workspace_id="shop"), "shop"),
        (bearer(BOTH, x_workspace_id="cart"), "cart"),
        (bearer(BOTH, x_scope_orgid="cart"), "cart"),
        (bearer(BOTH, x_scope_orgid="cart", x_workspace_id="cart"), "cart"),
        (bearer(EVERY), "default"),
        (bearer(EVERY, x_workspace_id="A.b-c_1"), "A.b-c_1"),
        (bearer(ADMIN), "default"),
    ],
)
async def test_spans_go_to_the_workspace_of_the_token_or_the_header(
    guarded: Receivers, transport: str, headers: dict[str, str], workspace: str
) -> None:
    assert (await send(guarded, transport, headers)).code == TAKEN[transport]
    assert guarded.consumer.workspaces == {workspace: 1}


@TRANSPORTS
@pytest.mark.parametrize(
    ("headers", "code", "words"),
    [
        (bearer(SHOP, x_workspace_id="cart"), PERMISSION_DENIED, "X-Workspace-Id: 'cart' is not a workspace that shop may use"),
        (bearer(ADMIN, x_scope_orgid="shop"), PERMISSION_DENIED, "X-Scope-OrgID: 'shop' is not a workspace that admin may use"),
        (bearer(EVERY, x_workspace_id="a b"), INVALID, "X-Workspace-Id: 'a b' must be 1 to 64 letters"),
        (bearer(EVERY, x_scope_orgid="a|b"), INVALID, "X-Scope-OrgID: 'a|b' must be"),
        (bearer(EVERY, x_workspace_id="x" * 65), INVALID, f"X-Workspace-Id: '{'x' * 65}' must be"),
        (
            bearer(EVERY, x_workspace_id="a", x_scope_orgid="b"),
            INVALID,
            "X-Scope-OrgID: 'b' is not 'a', which X-Workspace-Id names",
        ),
        (bearer(BOTH), INVALID, "both has several workspaces; name one of them in the header X-Workspace-Id"),
    ],
)
async def test_a_wrong_workspace_is_told_with_header_and_value(
    guarded: Receivers, transport: str, headers: dict[str, str], code: dict[str, int], words: str
) -> None:
    answer = await send(guarded, transport, headers)
    assert answer.code == code[transport]
    assert answer.status.message.startswith(words)
    assert guarded.consumer.spans == 0


@TRANSPORTS
async def test_without_authentication_a_header_names_any_workspace(transport: str) -> None:
    async with receivers() as both:
        await send(both, transport)
        await send(both, transport, {"x-scope-orgid": "team"})
        assert both.consumer.workspaces == {"default": 1, "team": 1}
    async with receivers(gate=Gate("ingest", from_header=False)) as both:
        assert (await send(both, transport, {"x-workspace-id": "default"})).code == TAKEN[transport]
        answer = await send(both, transport, {"x-workspace-id": "team"})
        assert answer.code == PERMISSION_DENIED[transport]
        assert answer.status.message == "X-Workspace-Id: 'team' is not a workspace that anybody may use"


def request_of(*workspaces: Any) -> bytes:
    """A request with a resource for each workspace, each with a span."""
    request = ExportTraceServiceRequest()
    for workspace in workspaces:
        one = ExportTraceServiceRequest.FromString(V1).resource_spans[0]
        one.resource.attributes.extend(key_values({"service.name": "x", "tenant": workspace} if workspace is not None else {}))
        request.resource_spans.append(one)
    return request.SerializeToString()


@TRANSPORTS
async def test_a_resource_attribute_names_the_workspace_where_the_caller_may_use_it(transport: str) -> None:
    async with receivers(gate=Gate("ingest", tokens()), workspace_attribute="tenant") as both:
        headers = bearer(BOTH, x_workspace_id="shop")
        await send(both, transport, headers, request_of("cart"))
        assert both.consumer.batches[0].workspaces == ("cart",)
        both.consumer.batches.clear()
        body = request_of("cart", "shop", None, "cart", "other", "a b", 7)
        assert (await send(both, transport, headers, body)).code == TAKEN[transport]
        assert both.consumer.workspaces == {"cart": 2, "shop": 5}


async def test_a_resource_attribute_that_cannot_be_followed_is_told() -> None:
    async with (
        receivers(gate=Gate("ingest", tokens()), workspace_attribute="tenant") as both,
        grpc.aio.insecure_channel(f"127.0.0.1:{both.grpc.port}") as channel,
    ):
        body = await channel.unary_unary(EXPORT)(request_of("other", "a b"), metadata=tuple(bearer(SHOP).items()), timeout=10)
        told = ExportTraceServiceResponse.FromString(body).partial_success
        assert told.rejected_spans == 0
        assert "tenant='other': not a workspace that shop may use; its spans are in shop" in told.error_message
        assert "tenant='a b': not the name of a workspace" in told.error_message


async def test_spans_that_an_attribute_puts_into_a_workspace_over_its_limit_are_accounted_for() -> None:
    limits = WorkspaceLimits(Rates(spans_per_s=0.5, burst_s=1), {}, lambda: 0.0, lambda *_: None, lambda: 0.0)
    async with receivers(limits=limits, workspace_attribute="tenant") as both:
        assert (await send(both, HTTP, body=request_of("cart"))).code == TAKEN[HTTP]
        invalid = ExportTraceServiceRequest.FromString(request_of("cart", "shop", "shop"))
        invalid.resource_spans[2].scope_spans[0].spans[0].trace_id = b"short"
        assert (await send(both, HTTP, body=invalid.SerializeToString())).code == THROTTLED[HTTP]
        assert both.consumer.workspaces == {"cart": 1}
        assert both.consumer.not_taken == {
            ("cart/x", "throttled"): 1,
            ("shop/x", "throttled"): 1,
            ("default", "trace_id_length"): 1,
        }


@TRANSPORTS
async def test_a_workspace_over_its_limit_is_told_when_to_come_again(transport: str) -> None:
    refused: list[tuple[str, str]] = []
    limits = WorkspaceLimits(
        Rates(spans_per_s=0.5, burst_s=1), {}, lambda: 0.0, lambda *reason: refused.append(reason), lambda: 0.0
    )
    async with receivers(limits=limits) as both:
        assert (await send(both, transport)).code == TAKEN[transport]
        answer = await send(both, transport)
        assert answer.code == THROTTLED[transport]
        if transport == HTTP:
            assert answer.headers["Retry-After"] == "1"
        else:
            assert "google.rpc.retryinfo-bin" in answer.headers
        assert (await send(both, transport, {"x-workspace-id": "other"})).code == TAKEN[transport]
        assert both.consumer.workspaces == {"default": 1, "other": 1}
        assert refused == [("default", "spans")]
        assert both.counts.failed_requests == {"throttled": 1}
