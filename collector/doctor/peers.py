"""What the daemon needs of the collectors that it sends spans to: that they can be reached, and take what it sends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import numpy as np

from collector.doctor.finding import Finding
from collector.pipeline.otlp import backend_resolver, backend_settings, grpc_settings, http_settings
from collector.tls import TlsError
from config.exporters import Exporter
from config.load_balancing import LoadBalancingExporter
from config.model import Config
from config.otlp_exporters import OtlpExporter, OtlpHttpExporter
from exporters.base import ExportError, Outlook
from exporters.loadbalancing.resolver import ResolveError
from exporters.otlp.grpc_transport import GrpcTransport
from exporters.otlp.http_transport import HttpTransport
from exporters.otlp.transport import Transport

_TIMEOUT_S: Final = 5.0
_NO_SPANS: Final = np.empty(0, np.uint8)
"""A request without spans, which changes nothing over there, and is refused as one with spans would be."""


async def peers(config: Config) -> AsyncIterator[Finding]:
    """Whether each collector that spans are sent to would take them now."""
    with ThreadPoolExecutor(1) as executor:
        for name in config.service.pipelines.traces.exporters:
            async for finding in _peers_of(f"exporters.{name}", config.exporters[name], executor):
                yield finding


async def _peers_of(key: str, settings: Exporter, executor: Executor) -> AsyncIterator[Finding]:
    match settings:
        case OtlpExporter():
            endpoint = settings.grpc_endpoint
            yield await _peer(
                f"{key}.endpoint", settings.endpoint, lambda: GrpcTransport(grpc_settings(settings, endpoint, key), executor)
            )
        case OtlpHttpExporter():
            yield await _peer(f"{key}.endpoint", settings.url, lambda: HttpTransport(http_settings(settings, key)))
        case LoadBalancingExporter():
            async for finding in _backends(key, settings, executor):
                yield finding


async def _backends(key: str, settings: LoadBalancingExporter, executor: Executor) -> AsyncIterator[Finding]:
    try:
        addresses = await backend_resolver(settings).resolve()
    except ResolveError as error:
        yield Finding("warn", f"{key}.resolver", str(error), f"correct {key}.resolver; until then spans wait")
        return
    for address in addresses:

        def connect(address: str = address) -> Transport:
            return GrpcTransport(replace(backend_settings(settings, key), target=address), executor)

        yield await _peer(f"{key}.resolver", address, connect)


async def _peer(key: str, where: str, connect: Callable[[], Transport]) -> Finding:
    try:
        transport = connect()
    except TlsError as error:
        return Finding("fail", key, str(error))
    try:
        await transport.send(transport.pack(_NO_SPANS), {}, _TIMEOUT_S)
    except ExportError as error:
        if error.outlook is Outlook.NEVER:
            return Finding("fail", key, f"{where} refuses: {error}", "correct the endpoint, or what is in headers")
        return Finding("warn", key, f"{where} does not take spans: {error}", "start it, or correct the endpoint and tls")
    finally:
        await transport.close()
    return Finding("ok", key, f"{where} takes spans")
