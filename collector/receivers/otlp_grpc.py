"""The OTLP/gRPC receiver: bytes in, bytes out, no message objects."""

from __future__ import annotations

from functools import partial
from typing import Final

from collector.access import Caller
from collector.errors import Refused
from collector.receivers.answers import success_body
from collector.receivers.grpc_server.call import Call, CallFailed, Method, Serve
from collector.receivers.grpc_server.calls import Service
from collector.receivers.grpc_server.headers import Status
from collector.receivers.grpc_server.server import GrpcServer
from collector.receivers.health import Health
from collector.receivers.in_flight import InFlight
from collector.receivers.intake import TAKEN, Intake
from collector.receivers.settings import GrpcSettings, size_limit
from collector.receivers.unserved import unserved

SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
EXPORT: Final = f"/{SERVICE}/Export"


class OtlpGrpcServer:
    """Serves `TraceService/Export` and the standard health service (NET-14) on one address.

    Args:
        settings: where and how.
        intake: takes the requests.
        in_flight: the process's bound on bytes of unanswered requests.
    """

    def __init__(self, settings: GrpcSettings, intake: Intake, in_flight: InFlight) -> None:
        self._intake = intake
        self._health = Health(("", SERVICE))
        max_bytes = size_limit(settings.max_request_bytes)
        export = Method(self._admit, max_bytes=max_bytes, max_calls=settings.max_calls, in_flight=in_flight)
        methods = {EXPORT: export, **self._health.methods}
        elsewhere = Method(_refuse, max_bytes=0)
        self._server = GrpcServer(settings, Service(methods, elsewhere, self._failed, settings.body_timeout_s, intake.in_pool))

    @property
    def port(self) -> int:
        """The port in use once started; 0 for a unix socket."""
        return self._server.port

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ListenError: the address cannot be listened on.
            TlsError: the files for TLS cannot be used.
        """
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Report NOT_SERVING, take no more calls, let those in flight finish for at most `grace_s` seconds (NET-15)."""
        self._health.stop()
        await self._server.stop(grace_s)

    def _admit(self, call: Call) -> Serve:
        caller = self._intake.admit(call.head.headers, call.names)
        return partial(self._take, caller)

    async def _take(self, caller: Caller, message: bytes) -> bytes:
        outcome = await self._intake.take(message, "protobuf", caller)
        return b"" if outcome is TAKEN else success_body(outcome.rejection, outcome.warnings, as_json=False)

    def _failed(self, error: Exception) -> Status:
        """Count and log why a call was not taken, and say how it ends."""
        if not isinstance(error, CallFailed):
            answer = self._intake.failed(error)
            return Status(answer.grpc_code, answer.message, answer.trailers())
        if error.kind:
            self._intake.failed(Refused(str(error), error.kind))
        return error.status


def _refuse(call: Call) -> Serve:
    raise unserved(call.head.path, f"spans go to {EXPORT}")
