"""The embedded ClickHouse of a configuration: first to start, last to stop."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from pydantic import SecretStr

from collector.embedded.process import EmbeddedConfig, EmbeddedServer
from config.embedded import OWNER, EmbeddedUser
from config.exporters import ClickHouseExporter
from config.model import Config
from exporters.clickhouse.schema import workspace_tables
from exporters.embedded.accounts import Account, Reader, password_digest
from exporters.embedded.engine_config import EngineLimits
from exporters.embedded.limits import ReaderLimits, ServerLimits
from exporters.embedded.rights import SpanTables

_log = structlog.get_logger(__name__)


class EmbeddedDatabase:
    """A ClickHouse server process, started when the context is entered and stopped when it is left.

    Entering does not wait until the server is ready, so that the rest of the daemon is loaded meanwhile: `ready` waits.
    """

    def __init__(self, name: str, settings: ClickHouseExporter) -> None:
        self._server = EmbeddedServer(server_config(name, settings))
        self._path = settings.embedded.path
        self._task: asyncio.Task[None] | None = None
        self._started = asyncio.Event()

    @property
    def restarts(self) -> int:
        """How often it had to be started again."""
        return self._server.restarts

    @property
    def refused(self) -> Iterable[tuple[tuple[str], float]]:
        """How many requests and connections it turned away, by reason: rows of a metric."""
        return (((reason,), count) for reason, count in self._server.refused.items())

    @property
    def url(self) -> str:
        """Where it answers, once ready."""
        return self._server.url

    async def __aenter__(self) -> Self:
        _log.info("starting_clickhouse", path=self._path)
        self._task = asyncio.create_task(self._run(), name="embedded ClickHouse")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._task is None:
            return
        if self._started.is_set():
            _log.info("stopping_clickhouse")
            await self._server.stop()
        else:
            self._task.cancel()
        await asyncio.wait([self._task])

    async def ready(self) -> asyncio.Task[None]:
        """Wait until the server answers; the task that watches it, which ends only when it is stopped.

        Raises:
            EmbeddedStartError: it does not start.
        """
        assert self._task is not None  # noqa: S101 - the context was entered
        started = asyncio.create_task(self._started.wait())
        await asyncio.wait([started, self._task], return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if self._task.done():
            await self._task
        return self._task

    async def _run(self) -> None:
        await self._server.start()
        self._started.set()
        await self._server.supervise()


def embedded_exporter(config: Config) -> tuple[str, ClickHouseExporter] | None:
    """The id and the settings of the exporter that writes to a ClickHouse of our own, if there is one."""
    return next(((name, exporter) for name, exporter in config.stores.items() if exporter.is_embedded), None)


def new_password() -> str:
    """A password for the database's owner, which nobody but this process knows: another one at each start."""
    return secrets.token_hex(32)


def with_owner(config: Config, password: str) -> Config:
    """The same configuration, in which an embedded exporter has the account of the database's owner."""
    account = {"username": OWNER, "password": SecretStr(password)}
    embedded = {name: exporter.model_copy(update=account) for name, exporter in config.stores.items() if exporter.is_embedded}
    return config.model_copy(update={"exporters": {**config.exporters, **embedded}})


def server_config(name: str, settings: ClickHouseExporter) -> EmbeddedConfig:
    """The configured keys of the exporter of this id as what the server process takes."""
    embedded = settings.embedded
    profile = {"max_memory_usage": str(embedded.max_memory_usage)}
    if embedded.max_server_memory_usage:
        limits = EngineLimits(embedded.max_server_memory_usage, profile=profile)
    else:
        limits = EngineLimits(server_settings={"max_server_memory_usage": "0"}, profile=profile)
    owner = Account(settings.username, password_digest(settings.password.get_secret_value()), None)
    memory = embedded.max_server_memory_usage or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return EmbeddedConfig(
        path=Path(embedded.path),
        listen=str(embedded.address),
        key=f"exporters.{name}.embedded",
        accounts=(owner, *map(_account, embedded.readers)),
        tables=SpanTables(settings.database, workspace_tables(settings.traces_table_name)),
        allowed_hosts=embedded.allowed_hosts,
        tls=embedded.tls,
        engine=limits,
        # The rest is for what the daemon stores and asks.
        server=ServerLimits(max_reader_memory_bytes=memory // 2),
    )


def _account(user: EmbeddedUser) -> Account:
    limits = ReaderLimits(
        max_execution_time_s=int(user.max_execution_time.seconds),
        max_memory_bytes=user.max_memory_usage,
        max_result_rows=user.max_result_rows,
        max_result_bytes=user.max_result_bytes,
        max_queries=user.max_concurrent_queries,
    )
    digest = user.password_sha256 or password_digest(user.password.get_secret_value())
    return Account(user.name, digest, Reader(None if user.sees_every_workspace else user.workspaces, limits))
