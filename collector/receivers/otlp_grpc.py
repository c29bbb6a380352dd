"""The OTLP/gRPC receiver: bytes in, bytes out, no message objects."""

from __future__ import annotations

from typing import Any, Final, Never

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc

from collector.errors import Refused, Retryable
from collector.receivers.answers import success_body
from collector.receivers.grpc_listen import listen
from collector.receivers.grpc_tls import grpc_credentials, names_in
from collector.receivers.health import Health
from collector.receivers.in_flight import InFlight
from collector.receivers.intake import TAKEN, Intake, Outcome
from collector.receivers.listen import claim_unix_path
from collector.receivers.settings import GrpcSettings, size_limit
from collector.receivers.unserved import unserved
from collector.time_limit import TimeLimit
from collector.tls import HANDSHAKE_TIMEOUT_S
from proto.errors import MalformedRequest

SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
EXPORT: Final = f"/{SERVICE}/Export"

_STATUS_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class OtlpGrpcServer:
    """Serves `TraceService/Export` and the standard health service (NET-14) on one address.

    Args:
        settings: where and how.
        intake: takes the requests.
        in_flight: the process's bound on bytes of unanswered requests.
    """

    def __init__(self, settings: GrpcSettings, intake: Intake, in_flight: InFlight) -> None:
        self._settings = settings
        self._health = Health(("", SERVICE))
        self._export = _Export(intake, in_flight, settings)
        self._unserved = _Unserved(intake)
        self._server: Any = None
        self.port = 0
        """The port in use once started; 0 for a unix socket."""

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ListenError: the address cannot be listened on.
            TlsError: the files for TLS cannot be used.
        """
        settings = self._settings
        credentials = grpc_credentials(settings.tls, f"{settings.key}.tls") if settings.tls else None
        server = grpc.aio.server(handlers=(self._export,), options=_channel_options(settings))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        server.add_generic_rpc_handlers((self._unserved,))  # the last one that is asked
        if settings.unix_path is not None:
            claim_unix_path(settings.unix_path)
            address = f"unix:{settings.unix_path}"
        else:
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            address = f"{host}:{settings.port}"
        port = await listen(server, address, credentials, f"{settings.key}.endpoint")
        await server.start()
        self.port = port if settings.unix_path is None else 0
        self._server = server

    async def stop(self, grace_s: float) -> None:
        """Report NOT_SERVING, take no more calls, let those in flight finish for at most `grace_s` seconds (NET-15)."""
        if self._server is None:
            return
        self._health.stop()
        await self._server.stop(grace_s)
        self._server = None


class _Export(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc publishes no types
    """Hands `Export` calls to the intake.

    The method is served as one with a stream of requests, although clients send exactly one: for a unary method the library
    never answers a call whose message is missing or cut off (GRPC-10). The bytes on the wire are the same.
    """

    def __init__(self, intake: Intake, in_flight: InFlight, settings: GrpcSettings) -> None:
        self._intake = intake
        self._in_flight = in_flight
        self._max_calls = settings.max_calls
        self._time_limit = TimeLimit(settings.body_timeout_s)
        self._calls = 0
        self._handler = grpc.stream_unary_rpc_method_handler(self._serve)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handler if handler_call_details.method == EXPORT else None

    async def _serve(self, _: Any, context: Any) -> bytes:
        self._calls += 1
        try:
            outcome = await self._take(context)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            await _refuse(self._intake, context, error)
        finally:
            self._calls -= 1
        return b"" if outcome is TAKEN else success_body(outcome.rejection, outcome.warnings, as_json=False)

    async def _take(self, context: Any) -> Outcome:
        """Check a call's head, read its message, and take that in."""
        if self._calls > self._max_calls:
            raise Retryable(f"{self._max_calls} calls are in flight, which is as many as may be; try again shortly")
        caller = self._intake.admit(dict(context.invocation_metadata()), lambda: names_in(context.auth_context()))
        try:
            request = await self._time_limit.within(context.read())
        except TimeoutError:
            raise Refused(f"the message did not arrive within {self._time_limit.seconds:g} seconds", "slow_body") from None
        if request is grpc.aio.EOF:
            # Missing, cut off, over the size limit or not to be decompressed. Of the last two the library has told the peer
            # already, and ignores this answer.
            raise MalformedRequest("no complete message could be read from the call")
        size = len(request)
        self._in_flight.reserve(size)
        try:
            return await self._intake.take(request, "protobuf", caller)
        finally:
            self._in_flight.release(size)


class _Unserved(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc publishes no types
    """Answers calls of methods that nobody else serves. The library would say as little, and tell nobody of them (GRPC-07)."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        async def refuse(_: Any, context: Any) -> Never:
            await _refuse(self._intake, context, unserved(method, f"spans go to {EXPORT}"))

        return grpc.stream_unary_rpc_method_handler(refuse)


async def _refuse(intake: Intake, context: Any, error: Exception) -> Never:
    """Fail a call. No metadata has been sent before, so the status travels alone (GRPC-05)."""
    answer = intake.failed(error)
    await context.abort(_STATUS_CODES[answer.grpc_code], answer.message, answer.trailers())
    raise error  # `abort` has raised already, which the type checker cannot know


def _channel_options(settings: GrpcSettings) -> list[tuple[str, int]]:
    keepalive = settings.keepalive
    options = {
        # Two servers that silently share a port would each get half of the spans.
        "grpc.so_reuseport": 0,
        "grpc.max_receive_message_length": size_limit(settings.max_request_bytes),
        # Whole requests in few frames and reads: a tenth of the cost of requests of 200 KB.
        "grpc.http2.max_frame_size": (1 << 24) - 1,
        "grpc.experimental.tcp_read_chunk_size": 1 << 20,
        "grpc.experimental.tcp_min_read_chunk_size": 1 << 18,
        "grpc.experimental.tcp_max_read_chunk_size": 4 << 20,
        "grpc.max_concurrent_streams": settings.max_concurrent_streams,
        "grpc.server_handshake_timeout_ms": _milliseconds(HANDSHAKE_TIMEOUT_S),
        "grpc.keepalive_time_ms": _milliseconds(keepalive.time_s),
        "grpc.keepalive_timeout_ms": _milliseconds(keepalive.timeout_s),
        "grpc.keepalive_permit_without_calls": int(keepalive.permit_without_stream),
        "grpc.http2.min_ping_interval_without_data_ms": _milliseconds(keepalive.min_time_s),
        "grpc.max_connection_idle_ms": _milliseconds(keepalive.max_connection_idle_s),
        "grpc.max_connection_age_ms": _milliseconds(keepalive.max_connection_age_s),
        "grpc.max_connection_age_grace_ms": _milliseconds(keepalive.max_connection_age_grace_s),
    }
    return [(name, value) for name, value in options.items() if value is not None]


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
