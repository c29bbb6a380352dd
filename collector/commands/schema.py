"""`spanhouse schema [plan | apply] -c FILE`: the SQL that makes the tables; what a server lacks of them; and adding it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from collector.cli import OK, UserError
from collector.commands.configuration import configuration
from collector.directories import unusable
from collector.embedded.database import EmbeddedDatabase, new_password, with_owner
from collector.embedded.process import EmbeddedStartError
from collector.logging import configure_logging
from collector.pipeline.registry import clickhouse_client, schema_settings
from collector.tls import TlsError
from config.exporters import ClickHouseExporter
from config.model import Config
from exporters.clickhouse import migrations
from exporters.clickhouse.client import ClickHouseClient, ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.migrations import Plan
from exporters.clickhouse.schema import SchemaSettings, statements

PENDING: Final = 2
"""Exit status of `plan` where something is to be done."""

_Migrate = Callable[[ClickHouseClient, SchemaSettings], Awaitable[Plan]]


def execute(arguments: argparse.Namespace) -> int:
    """Print the statements of every exporter of the pipeline; those that are missing on its server; or run these."""
    config = configuration(arguments.config)
    if not config.stores:
        raise UserError(f"there are no tables, as no exporter in the pipeline of {arguments.config} stores in ClickHouse")
    if arguments.action is None:
        for exporter in config.stores.values():
            for statement in statements(schema_settings(exporter)):
                sys.stdout.write(f"{statement};\n\n")
        return OK
    configure_logging("warn")
    migrate, is_plan = (migrations.plan, True) if arguments.action == "plan" else (migrations.apply, False)
    planned = asyncio.run(_migrate(with_owner(config, new_password()), migrate))
    for name, each in planned.items():
        sys.stdout.write(_told(name, each, is_plan=is_plan))
    return PENDING if is_plan and any(each.changes for each in planned.values()) else OK


async def _migrate(config: Config, migrate: _Migrate) -> dict[str, Plan]:
    """What `migrate` says of each exporter, by its id. Raises UserError."""
    planned = {}
    for name, exporter in config.stores.items():
        if exporter.is_embedded:
            _check_there_is_one(name, exporter)
        async with AsyncExitStack() as stack:
            try:
                client = await _connected(name, exporter, stack)
                planned[name] = await migrate(client, schema_settings(exporter))
            except EmbeddedStartError as error:
                note = "a daemon that runs has brought its tables up to date at its start"
                raise UserError(f"{error}; {note}") from error
            except (ClickHouseError, ClickHouseUnavailable, TlsError) as error:
                raise UserError(f"exporters.{name}: {error}") from error
    return planned


def _check_there_is_one(name: str, exporter: ClickHouseExporter) -> None:
    path = Path(exporter.embedded.path)
    try:
        if path.is_dir():
            return
    except OSError as error:
        raise UserError(unusable(f"exporters.{name}.embedded.path", path, error)) from error
    raise UserError(f"there is no database in {path} yet; the daemon makes one, with all its tables")


async def _connected(name: str, exporter: ClickHouseExporter, stack: AsyncExitStack) -> ClickHouseClient:
    if exporter.is_embedded:
        database = await stack.enter_async_context(EmbeddedDatabase(name, exporter))
        await database.ready()
    return await stack.enter_async_context(clickhouse_client(name, exporter))


def _told(name: str, planned: Plan, *, is_plan: bool) -> str:
    """A plan as SQL with comments, or what was done."""
    lines = [f"-- exporters.{name}: " + (f"tables of version {planned.version}" if planned.version else "no version recorded")]
    for change in planned.changes:
        lines += [f"-- {change.why}", f"{change.statement};", ""] if is_plan else [f"-- done: {change.why}"]
    if not planned.changes:
        lines.append("-- nothing is missing")
    lines += [f"-- stays as it is: {note}" for note in planned.notes]
    return "\n".join(lines) + "\n"
