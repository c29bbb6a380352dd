"""OTLP over gRPC: one call a request.

Calls are begun in a thread and not with `grpc.aio`: the library compresses a request where its call is begun, which would keep
the event loop from all else for tens of milliseconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal

import grpc

from exporters.base import ExportError, Outlook, PartialSuccess
from exporters.otlp.answers import grpc_error, partial_success
from proto.texts import Bytes

EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
USER_AGENT: Final = "spanhouse"

_LARGEST_ANSWER: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """How a peer is spoken to.

    Attributes:
        target: where it is, in the library's own form.
        credentials: of the connections that are made from now on; asked before each call, so that new files count; None for
            clear text.
        headers: of every request, names in lower case.
        gzip: whether requests are compressed.
        balancer: `round_robin` or `pick_first`: how calls are spread over the addresses of a name.
        keepalive_s: seconds without traffic after which to ping, seconds to wait for the answer, and whether to ping when
            there is no call; None for no pings.
        wait_for_ready: whether a call waits for a connection.
        authority: the value of `:authority`; empty for the target's.
        server_name: the name that the peer's certificate must have; empty for the target's.
    """

    target: str
    credentials: Callable[[], Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    gzip: bool = True
    balancer: Literal["round_robin", "pick_first"] = "round_robin"
    keepalive_s: tuple[float, float, bool] | None = None
    wait_for_ready: bool = False
    authority: str = ""
    server_name: str = ""

    @property
    def options(self) -> Sequence[tuple[str, Any]]:
        """Options of the channel."""
        options: list[tuple[str, Any]] = [
            ("grpc.primary_user_agent", USER_AGENT),
            ("grpc.lb_policy_name", self.balancer),
            # Retries are the sender's, which counts them.
            ("grpc.enable_retries", 0),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", _LARGEST_ANSWER),
            # Channels to the same peer must not share what one of them has been told of it.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_reconnect_backoff_ms", 10_000),
        ]
        if self.keepalive_s is not None:
            time_s, timeout_s, without_calls = self.keepalive_s
            options += [
                ("grpc.keepalive_time_ms", round(time_s * 1000)),
                ("grpc.keepalive_timeout_ms", round(timeout_s * 1000)),
                ("grpc.keepalive_permit_without_calls", int(without_calls)),
                ("grpc.http2.max_pings_without_data", 0),
            ]
        if self.authority:
            options.append(("grpc.default_authority", self.authority))
        if self.server_name:
            options.append(("grpc.ssl_target_name_override", self.server_name))
        return options


class GrpcTransport:
    """Sends requests to one peer over gRPC.

    Args:
        settings: how.
        executor: threads in which calls are begun.
    """

    def __init__(self, settings: GrpcSettings, executor: Executor) -> None:
        self._settings = settings
        self._executor = executor
        self._metadata = tuple(settings.headers.items())
        self._compression = grpc.Compression.Gzip if settings.gzip else grpc.Compression.NoCompression
        self._credentials: Any = None
        self._channel: Any = None
        self._calls: Counter[Any] = Counter()

    def pack(self, request: Bytes) -> bytes:
        # Compressed by the library.
        return request.tobytes()

    async def send(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> PartialSuccess | None:
        channel = self._current_channel()
        self._calls[channel] += 1
        try:
            return await self._call(channel, body, headers, timeout_s)
        finally:
            self._calls[channel] -= 1
            if channel is not self._channel and not self._calls[channel]:
                del self._calls[channel]
                channel.close()

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None and not self._calls[channel]:
            channel.close()

    async def _call(self, channel: Any, body: bytes, headers: Mapping[str, str], timeout_s: float) -> PartialSuccess | None:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[None] = loop.create_future()
        begin = partial(
            channel.unary_unary(EXPORT).future,
            body,
            timeout=timeout_s,
            metadata=(*self._metadata, *headers.items()),
            wait_for_ready=self._settings.wait_for_ready,
            compression=self._compression,
        )
        call = await loop.run_in_executor(self._executor, begin)
        try:
            call.add_done_callback(lambda _: loop.call_soon_threadsafe(_settle, answered))
            await answered
        finally:
            call.cancel()
        code, number = call.code(), call.code().value[0]
        if code is grpc.StatusCode.OK:
            return partial_success(call.result())
        details = call.details() or ""
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise ExportError(f"no answer within {timeout_s:g} s: {details}", "timeout", Outlook.LATER)
        raise grpc_error(number, details, call.trailing_metadata() or ())

    def _current_channel(self) -> Any:
        """The channel, which is made anew when there are other credentials: connections keep what they began with.

        A channel that is closed ends its calls, which would then be made again. So one that is replaced is closed after its last.
        """
        settings = self._settings
        credentials = settings.credentials() if settings.credentials is not None else None
        if self._channel is None or credentials is not self._credentials:
            replaced, self._credentials = self._channel, credentials
            if credentials is None:
                self._channel = grpc.insecure_channel(settings.target, settings.options)
            else:
                self._channel = grpc.secure_channel(settings.target, credentials, settings.options)
            if replaced is not None and not self._calls[replaced]:
                del self._calls[replaced]
                replaced.close()
        return self._channel


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
