"""The ports of extensions: the API, health and metrics of `query`, and what SDKs ask of `jaeger_remote_sampling`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from aiohttp import web

from collector.access import Gates
from collector.api.app import build_application, build_runner, build_sampling_application
from collector.api.guard import Guard
from collector.api.routing import BASE_PATH, QuerySettings
from collector.clock import Clock
from collector.fair_turns import TurnLimits, Turns
from collector.health import Health
from collector.ledger import Ledger
from collector.monitor.channels.deliveries import Deliveries
from collector.monitor.outgoing import Outgoing
from collector.processors.tail_sampling.recent import Explainer
from collector.query.store import Limits
from collector.receivers.listen import listen_error
from collector.receivers.sampling_grpc import SamplingGrpcServer
from collector.running import RunningConfig
from collector.telemetry import Telemetry
from collector.tls import listening_options
from collector.tracing_control import TracingControl
from config.exporters import ClickHouseExporter
from config.extensions import Extension, QueryExtension
from config.remote_sampling import RemoteSamplingExtension, SamplingGrpc, SamplingHttp
from config.values import TcpAddress, is_loopback
from exporters.clickhouse.client import ClickHouseClient


@dataclass(frozen=True, slots=True)
class Store:
    """Where spans are stored that queries ask for.

    Attributes:
        exporter: which table that is.
        client: how to reach it; whoever made it closes it.
    """

    exporter: ClickHouseExporter
    client: ClickHouseClient


class Port:
    """Serves one application.

    Args:
        key: where the address and `tls` stand in the configuration.
        settings: where to listen.
        application: what is served.
    """

    def __init__(self, key: str, settings: QueryExtension | SamplingHttp, application: web.Application) -> None:
        self._key = key
        self._address = settings.address
        self._tls = settings.tls
        self._runner = build_runner(application)
        self._base_path = application.get(BASE_PATH, "")
        self._listener: asyncio.Server | None = None
        self.url = ""
        """Where it answers, once started."""

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ListenError: the address cannot be listened on.
            TlsError: the files for TLS cannot be used.
        """
        encryption = listening_options(self._tls, f"{self._key}.tls")
        await self._runner.setup()
        assert self._runner.server is not None  # noqa: S101 - it was set up
        host, port = self._address.host, self._address.port
        try:
            self._listener = await asyncio.get_running_loop().create_server(self._runner.server, host, port, **encryption)
        except OSError as error:
            await self._runner.cleanup()
            raise listen_error(str(self._address), f"{self._key}.endpoint", error) from None
        scheme = "https" if encryption else "http"
        address = TcpAddress(host, self._listener.sockets[0].getsockname()[1])
        self.url = f"{scheme}://{address}{self._base_path}"

    async def stop(self) -> None:
        """Cancel what is being answered, and close."""
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()


@dataclass(frozen=True, slots=True)
class Ports:
    """Makes the ports of extensions.

    Attributes:
        store: what is read; None where spans only pass through, so that there is nothing to ask for but health and accounts.
        health: answers for health and metrics.
        accounts: what became of every span.
        explainers: who decides about traces, by the id of the exporter.
        running: the configuration that runs.
        control: what SDKs are told, and what holds where no tracing config speaks.
        gates: who may ask.
        outgoing: sends load tests and requests; None where nothing can be sent.
        deliveries: sends notifications; None where there is no alerting.
        telemetry: where refusals are counted.
        clock: for default time ranges.
    """

    store: Store | None
    health: Health
    accounts: Ledger
    explainers: Mapping[str, Explainer]
    running: RunningConfig
    control: TracingControl
    gates: Gates
    outgoing: Outgoing | None
    deliveries: Deliveries | None
    telemetry: Telemetry
    clock: Clock

    def of(self, name: str, extension: Extension) -> Mapping[str, Port | SamplingGrpcServer]:
        """What an extension serves, by names for people, which has yet to be started; nothing for one that serves nobody."""
        match extension:
            case QueryExtension():
                return {name: self._query(name, extension)}
            case RemoteSamplingExtension():
                over_grpc = {} if extension.grpc is None else {f"{name}.grpc": self._sampling_grpc(name, extension.grpc)}
                return {name: self._sampling(name, extension.http), **over_grpc}
        return {}

    def _query(self, name: str, settings: QueryExtension) -> Port:
        limits = settings.queries
        queries = QuerySettings(
            timeout_s=limits.timeout.seconds,
            limits=Limits(limits.max_rows_to_read, limits.max_bytes_to_read, limits.max_memory_usage),
            max_spans=limits.max_spans_per_trace,
            default_policy=lambda: self.control.strategies.default,
            max_objects=settings.max_objects,
        )
        if self.store is not None:
            exporter = self.store.exporter
            spans_table = f"{exporter.database}.{exporter.traces_table_name}"
            queries = replace(queries, spans_table=spans_table, spans_ttl_s=int(exporter.ttl.seconds))
        application = build_application(
            self.store.client if self.store else None,
            queries,
            base_path=settings.base_path,
            guard=Guard(
                self.gates.gate("read", settings.auth, from_header=settings.workspaces.from_header),
                hosts=settings.allowed_hosts,
                checks_hosts=is_loopback(settings.address.host),
                metrics_without_auth=settings.metrics_without_auth,
                serves_page=True,
                refused=partial(self.telemetry.query_refused, name),
                monotonic=self.clock.monotonic,
            ),
            turns=Turns(
                TurnLimits(
                    limits.max_concurrent,
                    limits.max_concurrent_per_workspace,
                    limits.max_waiting_per_workspace,
                    limits.max_wait.seconds,
                )
            ),
            accounts=self.accounts,
            explainers=self.explainers,
            strategies=self.control.strategies,
            running=self.running,
            outgoing=self.outgoing,
            deliveries=self.deliveries,
            extra_routes=self.health.routes(),
            now=self.clock.now,
        )
        return Port(f"extensions.{name}", settings, application)

    def _sampling(self, name: str, settings: SamplingHttp) -> Port:
        guard = Guard(
            # Those who send spans ask how to sample them.
            self.gates.gate("ingest", settings.auth, from_header=settings.workspaces.from_header),
            checks_hosts=is_loopback(settings.address.host),
            refused=partial(self.telemetry.query_refused, name),
            monotonic=self.clock.monotonic,
        )
        return Port(f"extensions.{name}.http", settings, build_sampling_application(self.control.strategies, guard))

    def _sampling_grpc(self, name: str, settings: SamplingGrpc) -> SamplingGrpcServer:
        gate = self.gates.gate("ingest", settings.auth, from_header=settings.workspaces.from_header)
        refused = partial(self.telemetry.query_refused, name)
        return SamplingGrpcServer(f"extensions.{name}.grpc", settings, self.control.strategies, gate, refused)
