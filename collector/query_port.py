"""The query port: API, health and metrics on the address of a `query` extension."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from collector.access import Gates
from collector.api.app import build_application, build_runner
from collector.api.guard import Guard
from collector.api.routing import QuerySettings
from collector.clock import Clock
from collector.health import Health
from collector.ledger import Ledger
from collector.receivers.listen import listen_error
from collector.telemetry import Telemetry
from collector.tls import listening_options
from config.exporters import ClickHouseExporter
from config.extensions import QueryExtension
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


class QueryPort:
    """Serves one `query` extension.

    Args:
        name: id of the extension in the configuration.
        settings: where to listen.
        store: what to read; None where spans only pass through, so that there is nothing to ask for but health and accounts.
        health: answers for health and metrics.
        clock: for default time ranges.
        guard: who may ask.
        accounts: what became of every span.
    """

    def __init__(
        self,
        name: str,
        settings: QueryExtension,
        store: Store | None,
        health: Health,
        clock: Clock,
        guard: Guard,
        accounts: Ledger,
    ) -> None:
        self._name = name
        self._address = settings.address
        self._tls = settings.tls
        table = QuerySettings()
        if store is not None:
            table = QuerySettings(spans_table=f"{store.exporter.database}.{store.exporter.traces_table_name}")
        application = build_application(
            store.client if store else None, table, guard=guard, accounts=accounts, extra_routes=health.routes(), now=clock.now
        )
        self._runner = build_runner(application)
        self._listener: asyncio.Server | None = None
        self.url = ""
        """Where it answers, once started."""

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ListenError: the address cannot be listened on.
            TlsError: the files for TLS cannot be used.
        """
        encryption = listening_options(self._tls, f"extensions.{self._name}.tls")
        await self._runner.setup()
        assert self._runner.server is not None  # noqa: S101 - it was set up
        host, port = self._address.host, self._address.port
        try:
            self._listener = await asyncio.get_running_loop().create_server(self._runner.server, host, port, **encryption)
        except OSError as error:
            await self._runner.cleanup()
            raise listen_error(str(self._address), f"extensions.{self._name}.endpoint", error) from None
        scheme = "https" if encryption else "http"
        self.url = f"{scheme}://{TcpAddress(host, self._listener.sockets[0].getsockname()[1])}"

    async def stop(self) -> None:
        """Cancel what is being answered, and close."""
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()


def new_guard(name: str, settings: QueryExtension, gates: Gates, telemetry: Telemetry, clock: Clock) -> Guard:
    """The guard of a `query` extension."""
    return Guard(
        gates.gate("read", settings.auth, from_header=settings.workspaces.from_header),
        hosts=settings.allowed_hosts,
        checks_hosts=is_loopback(settings.address.host),
        metrics_without_auth=settings.metrics_without_auth,
        refused=partial(telemetry.query_refused, name),
        monotonic=clock.monotonic,
    )
