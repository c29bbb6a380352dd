"""Builds the exporters that send spans on to other collectors."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import grpc
from pydantic import SecretStr

from collector.pipeline.connections import Connection, Surroundings, dead_letters, new_sender, retry_policy
from collector.tls import client_context, current_client_context, read_file, reloading
from config.load_balancing import DnsResolver as DnsSettings
from config.load_balancing import LoadBalancingExporter
from config.otlp_exporters import GrpcClient, GrpcEndpoint, OtlpExporter, OtlpHttpExporter
from config.tls import GrpcClientTls
from exporters.base import Exporter
from exporters.connecting import TlsKeys
from exporters.loadbalancing.balancer import BalancerSettings, LoadBalancer
from exporters.loadbalancing.resolver import DnsResolver, Resolver, StaticResolver
from exporters.otlp.exporter import OtlpExporter as Otlp
from exporters.otlp.grpc_transport import GrpcSettings, GrpcTransport
from exporters.otlp.http_transport import HttpSettings, HttpTransport
from exporters.send import Sender


def otlp(name: str, settings: OtlpExporter, surroundings: Surroundings) -> Connection:
    """An `otlp` exporter. Raises TlsError."""
    transport = GrpcTransport(grpc_settings(settings, settings.grpc_endpoint, f"exporters.{name}"), surroundings.executor)
    exporter = Otlp(transport, settings.workspace_header.lower(), surroundings.executor)
    return Connection(new_sender(name, settings, exporter, surroundings), transport.close)


def otlphttp(name: str, settings: OtlpHttpExporter, surroundings: Surroundings) -> Connection:
    """An `otlphttp` exporter. Raises TlsError."""
    transport = HttpTransport(http_settings(settings, f"exporters.{name}"))
    exporter = Otlp(transport, settings.workspace_header.lower(), surroundings.executor)
    return Connection(new_sender(name, settings, exporter, surroundings), transport.close)


def loadbalancing(name: str, settings: LoadBalancingExporter, surroundings: Surroundings) -> Connection:
    """A `loadbalancing` exporter. Raises TlsError."""
    header = settings.protocol.otlp.workspace_header.lower()
    # Made once, so that the files of TLS are looked at once for all backends.
    shared = backend_settings(settings, f"exporters.{name}")

    def connect(address: str) -> tuple[Exporter, Callable[[], Awaitable[None]]]:
        transport = GrpcTransport(replace(shared, target=address), surroundings.executor)
        return Otlp(transport, header, surroundings.executor), transport.close

    telemetry, clock, letters = (
        surroundings.telemetry.exporter(name),
        surroundings.clock,
        dead_letters(name, settings, surroundings.clock),
    )

    def sender(backend: str, exporter: Exporter) -> Sender:
        retry, timeout_s = retry_policy(settings.retry_on_failure), settings.timeout.seconds
        divisions = surroundings.divisions.get(name)
        return Sender(exporter, backend, telemetry, retry, timeout_s, clock.monotonic, letters, divisions)

    resolver = backend_resolver(settings)
    balancer = LoadBalancer(
        BalancerSettings(name, settings.routing_key, settings.reroute_after.seconds),
        resolver,
        connect,
        sender,
        surroundings.telemetry.load_balancer(name, resolver.kind),
        surroundings.executor,
        clock.monotonic,
    )
    return Connection(balancer, balancer.close)


def grpc_settings(settings: GrpcClient, endpoint: GrpcEndpoint, setting: str) -> GrpcSettings:
    """How to speak to a gRPC server; `setting` is the key of the settings in the configuration, for messages. Raises TlsError."""
    encrypted = not settings.tls.insecure if endpoint.encrypted is None else endpoint.encrypted
    keepalive = settings.keepalive
    return GrpcSettings(
        endpoint.target,
        credentials=grpc_credentials(settings.tls, f"{setting}.tls") if encrypted else None,
        headers={key.lower(): value for key, value in _headers(settings.headers).items()},
        gzip=settings.compression == "gzip",
        balancer=settings.balancer_name,
        keepalive_s=None
        if keepalive is None
        else (keepalive.time.seconds, keepalive.timeout.seconds, keepalive.permit_without_stream),
        wait_for_ready=settings.wait_for_ready,
        authority=settings.authority,
        server_name=settings.tls.server_name_override,
    )


def http_settings(settings: OtlpHttpExporter, setting: str) -> HttpSettings:
    """How to speak to an HTTP server; as `grpc_settings`."""
    return HttpSettings(
        settings.url,
        tls=client_context(settings.tls, f"{setting}.tls") if settings.url.startswith("https:") else None,
        tls_keys=TlsKeys(f"{setting}.tls", settings.tls.ca_file),
        headers=_headers(settings.headers),
        compression=settings.compression,
        as_json=settings.encoding == "json",
    )


def grpc_credentials(settings: GrpcClientTls, setting: str) -> Callable[[], Any]:
    """What gives the credentials of connections to a gRPC server, from the files as they are now. Raises TlsError."""

    def make() -> Any:
        # Tried out first: the library says nothing but that the files are unusable. And it knows authorities of its own, while
        # those of the system are to count.
        context = current_client_context(settings, setting)
        authorities = "".join(map(ssl.DER_cert_to_PEM_cert, context.get_ca_certs(binary_form=True)))
        pair: tuple[bytes | None, bytes | None] = (None, None)
        if settings.cert_file:
            pair = (read_file(settings.key_file, f"{setting}.key_file"), read_file(settings.cert_file, f"{setting}.cert_file"))
        return grpc.ssl_channel_credentials(authorities.encode() or None, *pair)

    return reloading(settings, make).current


def backend_settings(settings: LoadBalancingExporter, setting: str) -> GrpcSettings:
    """How to speak to a backend, but for where it is; as `grpc_settings`."""
    return grpc_settings(settings.protocol.otlp, GrpcEndpoint("", None, None), f"{setting}.protocol.otlp")


def backend_resolver(settings: LoadBalancingExporter) -> Resolver:
    """What finds the backends of a load balancer."""
    match settings.resolver.dns:
        case DnsSettings() as dns:
            return DnsResolver(dns.hostname, dns.port, dns.interval.seconds, dns.timeout.seconds)
        case None:
            assert settings.resolver.static is not None  # noqa: S101 - the configuration has one of both
            return StaticResolver(settings.resolver.static.hostnames)


def _headers(headers: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}
