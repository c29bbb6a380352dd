"""Sampling strategies for SDKs over gRPC: the service `jaeger.api_v2.SamplingManager`, as Jaeger's collector serves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from collector.access import Gate
from collector.control.strategies import Strategies, StrategiesUnknown
from collector.errors import Refused
from collector.receivers.answers import ANSWERS
from collector.receivers.grpc_listen import listen
from collector.receivers.grpc_tls import grpc_credentials, names_in
from collector.receivers.sampling_messages import asked_service, strategy_message
from config.remote_sampling import SamplingGrpc
from config.values import TcpAddress

METHOD: Final = "/jaeger.api_v2.SamplingManager/GetSamplingStrategy"

_log: Final = structlog.get_logger(__name__)
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_OPTIONS: Final = (
    # Two servers that silently share a port would each be asked by half of the SDKs.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 1 << 16),
)


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
        self._key = key
        self._settings = settings
        self._answering = _Answering(strategies, gate, refused)
        self._server: Any = None
        self.url = ""
        """Where it answers, once started."""

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ListenError: the address cannot be listened on.
            TlsError: the files for TLS cannot be used.
        """
        settings = self._settings
        credentials = grpc_credentials(settings.tls, f"{self._key}.tls") if settings.tls else None
        server = grpc.aio.server(handlers=(self._answering,), options=_OPTIONS)
        port = await listen(server, str(settings.address), credentials, f"{self._key}.endpoint")
        await server.start()
        self._server = server
        self.url = str(TcpAddress(settings.address.host, port))

    async def stop(self) -> None:
        """Cancel what is being answered, and close."""
        if self._server is not None:
            await self._server.stop(None)


class _Answering(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc publishes no types
    def __init__(self, strategies: Strategies, gate: Gate, refused: Callable[[str], None]) -> None:
        self._strategies = strategies
        self._gate = gate
        self._refused = refused
        self._handler = grpc.unary_unary_rpc_method_handler(self._answer)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handler if handler_call_details.method == METHOD else None

    async def _answer(self, request: bytes, context: Any) -> bytes:
        """The strategy for the service that a request names."""
        code, message = grpc.StatusCode.UNAVAILABLE, ""
        try:
            caller = self._gate.admit(dict(context.invocation_metadata()), lambda: names_in(context.auth_context()))
            return strategy_message(await self._strategies.strategy(caller.workspace, asked_service(request)))
        except Refused as error:
            code, message = _CODES[ANSWERS[error.kind].grpc_code], str(error)
            self._refused(error.kind)
            _log.warning("query_refused", reason=error.kind, detail=message)
        except DecodeError:
            code, message = grpc.StatusCode.INVALID_ARGUMENT, "the request is no SamplingStrategyParameters"
        except StrategiesUnknown as error:
            message = str(error)
        await context.abort(code, message)
        raise AssertionError("`abort` has raised already, which the type checker cannot know")
