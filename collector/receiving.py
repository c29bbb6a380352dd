"""The receivers that a configuration names, from its keys to listening servers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Literal

from collector.access import DEFAULT_WORKSPACE, Gates
from collector.clock import Clock
from collector.consumer import Consumer
from collector.receivers.http_server import HttpServer
from collector.receivers.in_flight import InFlight
from collector.receivers.intake import Intake, ReceiverTelemetry
from collector.receivers.limits import PRESSURE, Rates, WorkspaceLimits
from collector.receivers.listen import check_free
from collector.receivers.otlp_grpc import OtlpGrpcServer
from collector.receivers.otlp_http import OtlpHttpServer
from collector.receivers.settings import Cors, GrpcSettings, HttpSettings, Keepalive
from collector.receivers.zipkin_http import PATH as ZIPKIN_PATH
from collector.receivers.zipkin_http import ZipkinHttpServer
from config.access import WorkspaceLimits as ConfiguredLimits
from config.model import Config
from config.receivers import OtlpGrpc, OtlpHttp, Receiver, ZipkinReceiver
from config.values import Duration, TcpAddress, UnixAddress
from proto.otlp_decode import Decoder

_WITHOUT_LIMIT_S: Final = 30 * 86400.0
"""What a time of 0, "no limit", becomes where a timer needs a number."""
_AT_ONCE_S: Final = 0.0


class Receivers:
    """Every server of a configuration that takes spans.

    Args:
        config: says which, and how.
        consumer: takes the spans.
        telemetry: where to count.
        pool: threads that decode large requests.
        clock: spaces log lines, and fills what workspaces may send.
        gates: know who may send.
        fill: how full the queue is that takes the spans, from 0 to 1.
    """

    def __init__(
        self,
        config: Config,
        consumer: Consumer,
        telemetry: ReceiverTelemetry,
        pool: ThreadPoolExecutor,
        clock: Clock,
        gates: Gates,
        fill: Callable[[], float],
    ) -> None:
        self.in_flight = InFlight(config.service.max_in_flight_bytes)
        decoder = Decoder(lambda: fill() >= PRESSURE)
        self._servers: list[tuple[str, OtlpGrpc | OtlpHttp | ZipkinReceiver, OtlpGrpcServer | HttpServer]] = []
        for name in config.service.pipelines.traces.receivers:
            receiver = config.receivers[name]
            workspaces = receiver.workspaces
            intake_of = partial(
                Intake,
                consumer,
                telemetry,
                pool,
                receiver=name,
                monotonic=clock.monotonic,
                limits=_limits(receiver, partial(telemetry.throttled, name), fill, clock),
                workspace_attribute=workspaces.from_resource_attribute,
                decoder=decoder,
            )
            gate_of = partial(gates.gate, "ingest", from_header=workspaces.from_header)
            for keys, configured in receiver.listeners.items():
                gate = gate_of(configured.auth)
                key = ".".join(("receivers", name, *keys))
                self._servers.append((key, configured, self._server(configured, key, partial(intake_of, gate=gate))))

    def _server(
        self, configured: OtlpGrpc | OtlpHttp | ZipkinReceiver, key: str, intake_of: Callable[[Literal["grpc", "http"]], Intake]
    ) -> OtlpGrpcServer | HttpServer:
        if isinstance(configured, OtlpGrpc):
            return OtlpGrpcServer(grpc_settings(configured, key), intake_of("grpc"), self.in_flight)
        if isinstance(configured, OtlpHttp):
            settings = http_settings(configured, key, configured.traces_url_path)
            return OtlpHttpServer(settings, intake_of("http"), self.in_flight)
        return ZipkinHttpServer(http_settings(configured, key, ZIPKIN_PATH), intake_of("http"), self.in_flight)

    def check_free(self) -> None:
        """Find taken ports before anything slow is done.

        Raises:
            ListenError: another program listens on one of them.
        """
        for key, settings, _ in self._servers:
            if isinstance(settings.address, TcpAddress):
                check_free(settings.address.host, settings.address.port, f"{key}.endpoint")

    async def start(self) -> None:
        """Listen on every address, or on none.

        Raises:
            ListenError: one of them cannot be listened on.
        """
        try:
            for _, _, server in self._servers:
                await server.start()
        except OSError:
            await self.stop(_AT_ONCE_S)
            raise

    async def stop(self, grace_s: float) -> None:
        """Take no more requests, and let those in flight finish for at most `grace_s` seconds."""
        await asyncio.gather(*(server.stop(grace_s) for _, _, server in self._servers))

    def addresses(self) -> dict[str, str]:
        """Where each receiver listens, by `receiver/protocol` or `receiver`; with the port in use where 0 was asked for."""
        return {
            key.removeprefix("receivers.").replace(".protocols.", "/"): _shown(settings.address, server.port)
            for key, settings, server in self._servers
        }


def _limits(receiver: Receiver, refused: Callable[[str, str], None], fill: Callable[[], float], clock: Clock) -> WorkspaceLimits:
    """What workspaces may send to a receiver, over all its protocols together."""
    workspaces = receiver.workspaces
    single = {name: _rates(limits) for name, limits in workspaces.limits_of.items()}
    has_auth = all(server.auth is not None for server in receiver.listeners.values())
    names = None if has_auth else {DEFAULT_WORKSPACE, *single}
    return WorkspaceLimits(_rates(workspaces.limits), single, fill, refused, clock.monotonic, names)


def _rates(configured: ConfiguredLimits) -> Rates:
    return Rates(
        bytes_per_s=configured.bytes_per_second or math.inf,
        spans_per_s=configured.spans_per_second or math.inf,
        burst_s=configured.burst.seconds,
    )


def grpc_settings(configured: OtlpGrpc, key: str) -> GrpcSettings:
    """The configured keys, which stand at `key`, as what the gRPC server takes."""
    keepalive = configured.keepalive
    server, policy = keepalive.server_parameters, keepalive.enforcement_policy
    host, port, unix_path = _taken_apart(configured.address)
    return GrpcSettings(
        host=host,
        port=port,
        unix_path=unix_path,
        max_request_bytes=configured.max_request_bytes,
        max_concurrent_streams=configured.max_concurrent_streams or None,
        keepalive=Keepalive(
            time_s=server.time.seconds,
            timeout_s=server.timeout.seconds,
            min_time_s=policy.min_time.seconds,
            permit_without_stream=policy.permit_without_stream,
            max_connection_idle_s=server.max_connection_idle.seconds or None,
            max_connection_age_s=server.max_connection_age.seconds or None,
            max_connection_age_grace_s=server.max_connection_age_grace.seconds or None,
        ),
        tls=configured.tls,
        key=key,
    )


def http_settings(configured: OtlpHttp | ZipkinReceiver, key: str, path: str) -> HttpSettings:
    """The configured keys, which stand at `key`, as what an HTTP server takes that serves `path`."""
    host, port, unix_path = _taken_apart(configured.address)
    # A connection that is old from the start serves one request, which is what `keep_alives_enabled: false` asks for.
    max_age_s = (configured.max_connection_age.seconds or None) if configured.keep_alives_enabled else _AT_ONCE_S
    return HttpSettings(
        host=host,
        port=port,
        unix_path=unix_path,
        traces_url_path=path,
        max_request_bytes=configured.max_request_body_size,
        compression_algorithms=tuple(coding for coding in configured.compression_algorithms if coding),
        header_timeout_s=_limit_s(configured.read_header_timeout),
        body_timeout_s=_limit_s(configured.read_timeout),
        idle_timeout_s=_limit_s(configured.idle_timeout),
        max_connections=configured.max_connections,
        max_connection_age_s=max_age_s,
        cors=Cors(
            allowed_origins=configured.cors.allowed_origins,
            allowed_headers=configured.cors.allowed_headers,
            exposed_headers=configured.cors.exposed_headers,
            max_age_s=configured.cors.max_age,
        ),
        response_headers=tuple(configured.response_headers.items()),
        tls=configured.tls,
        key=key,
    )


def _taken_apart(address: TcpAddress | UnixAddress) -> tuple[str, int, str | None]:
    if isinstance(address, UnixAddress):
        return "", 0, address.path
    return address.host, address.port, None


def _limit_s(configured: Duration) -> float:
    return configured.seconds or _WITHOUT_LIMIT_S


def _shown(address: TcpAddress | UnixAddress, port: int) -> str:
    return str(address) if isinstance(address, UnixAddress) else str(TcpAddress(address.host, port))
