"""Sampling strategies for SDKs over gRPC: the service `jaeger.api_v2.SamplingManager`, as Jaeger's collector serves it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from google.protobuf.message import DecodeError
from google.rpc import code_pb2

from collector.access import Gate
from collector.control.strategies import Strategies, StrategiesUnknown
from collector.receivers.answers import answer_to
from collector.receivers.grpc_server.call import Call, CallFailed, Method, Serve
from collector.receivers.grpc_server.calls import Service
from collector.receivers.grpc_server.headers import Status
from collector.receivers.grpc_server.server import GrpcServer
from collector.receivers.sampling_messages import asked_service, strategy_message
from collector.receivers.settings import GrpcSettings
from collector.receivers.unserved import unserved
from config.remote_sampling import SamplingGrpc
from config.values import TcpAddress

METHOD: Final = "/jaeger.api_v2.SamplingManager/GetSamplingStrategy"

_log: Final = structlog.get_logger(__name__)
_MAX_BYTES: Final = 1 << 16
_MAX_CALLS: Final = 1000


class SamplingGrpcServer:
    """Serves one address.

    Args:
        key: where its settings stand in the configuration.
        settings: where to listen.
        strategies: what SDKs are told.
        gate: who may ask.
        refused: called with the reason for each call that is refused.
    """

    def __init__(
        self, key: str, settings: SamplingGrpc, strategies: Strategies, gate: Gate, refused: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._strategies = strategies
        self._gate = gate
        self._refused = refused
        listening = GrpcSettings(settings.address.host, settings.address.port, tls=settings.tls, key=key)
        methods = {METHOD: Method(self._admit, max_bytes=_MAX_BYTES, max_calls=_MAX_CALLS)}
        service = Service(methods, Method(_refuse, max_bytes=0), self._failed, listening.body_timeout_s)
        self._server = GrpcServer(listening, service)
        self.url = ""
        """Where it answers, once started."""

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ListenError: the address cannot be listened on.
            TlsError: the files for TLS cannot be used.
        """
        await self._server.start()
        self.url = str(TcpAddress(self._settings.address.host, self._server.port))

    async def stop(self) -> None:
        """Cancel what is being answered, and close."""
        await self._server.stop(0)

    def _admit(self, call: Call) -> Serve:
        return partial(self._answer, self._gate.admit(call.head.headers, call.names).workspace)

    async def _answer(self, workspace: str, message: bytes) -> bytes:
        """The strategy for the service that a request names."""
        try:
            service = asked_service(bytes(message))
        except DecodeError:
            raise CallFailed(Status(code_pb2.INVALID_ARGUMENT, "the request is no SamplingStrategyParameters")) from None
        try:
            return strategy_message(await self._strategies.strategy(workspace, service))
        except StrategiesUnknown as error:
            raise CallFailed(Status(code_pb2.UNAVAILABLE, str(error))) from None

    def _failed(self, error: Exception) -> Status:
        """Count and log why a call was not answered, and say how it ends."""
        if isinstance(error, CallFailed):
            return error.status
        answer = answer_to(error)
        self._refused(answer.kind)
        _log.warning("query_refused", reason=answer.kind, detail=answer.message)
        return Status(answer.grpc_code, answer.message)


def _refuse(call: Call) -> Serve:
    raise unserved(call.head.path, f"{METHOD} is")
