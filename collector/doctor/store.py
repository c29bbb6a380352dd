"""What the daemon needs of ClickHouse: that it answers, is new enough, keeps the same time, and lets the user write."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Final

from collector.doctor.finding import Finding
from collector.pipeline.registry import clickhouse_client, schema_settings
from collector.tls import TlsError
from config.exporters import ClickHouseExporter
from exporters.clickhouse import migrations, schema
from exporters.clickhouse.client import ClickHouseClient, ClickHouseError, ClickHouseUnavailable

OLDEST_CLICKHOUSE: Final = (22, 6)
"""Older releases do not know the format JSONColumns, in which queries are answered."""

_TIMEOUT_S: Final = 5.0
_LARGEST_SKEW_S: Final = 2.0


async def store(name: str, exporter: ClickHouseExporter) -> AsyncIterator[Finding]:
    """Whether the exporter of this id could store spans now."""
    where = ", ".join(exporter.urls)
    try:
        opened = clickhouse_client(name, exporter)
    except TlsError as error:
        yield Finding("fail", "ClickHouse", str(error))
        return
    async with opened as client:
        try:
            # The exporter's own database may not exist yet.
            answer = await client.command(
                "SELECT version(), toUnixTimestamp64Nano(now64(9)), currentUser()", timeout_s=_TIMEOUT_S, database="default"
            )
        except ClickHouseUnavailable as error:
            yield _absent(exporter, where, error)
            return
        except ClickHouseError as error:
            if exporter.is_embedded:
                yield Finding("ok", "ClickHouse", f"{where} is the daemon's, which runs already")
                return
            remedy = "check exporters.clickhouse.username and password"
            yield Finding("fail", "ClickHouse", f"{where} refuses: {error}", remedy)
            return
        version, now_ns, user = answer.split("\t")
        yield _version(where, version)
        yield _skew(int(now_ns))
        if exporter.is_embedded:
            # Nobody but the daemon may write to it, and the daemon makes its tables.
            return
        async for finding in _tables(client, exporter, user):
            yield finding


def _absent(exporter: ClickHouseExporter, where: str, error: Exception) -> Finding:
    if exporter.is_embedded:
        return Finding("ok", "ClickHouse", "the daemon starts it, and does not run now")
    text = f"{where} does not answer: {error}"
    return Finding(
        "warn", "ClickHouse", text, "start it, or correct exporters.clickhouse.endpoint; until then spans wait in memory"
    )


def _version(where: str, version: str) -> Finding:
    release = tuple(int(part) for part in version.split(".")[:2])
    if release < OLDEST_CLICKHOUSE:
        oldest = ".".join(map(str, OLDEST_CLICKHOUSE))
        return Finding(
            "warn", "ClickHouse", f"{where} is release {version}", f"use {oldest} or later, or repeated inserts may double"
        )
    return Finding("ok", "ClickHouse", f"{where} is release {version}")


def _skew(theirs_ns: int) -> Finding:
    skew_s = abs(time.time_ns() - theirs_ns) / 1e9
    if skew_s > _LARGEST_SKEW_S:
        remedy = "synchronise both clocks; queries for the last minutes miss spans otherwise"
        return Finding("warn", "clocks", f"this machine and ClickHouse differ by {skew_s:.1f} s", remedy)
    return Finding("ok", "clocks", f"this machine and ClickHouse differ by less than {_LARGEST_SKEW_S:.0f} s")


async def _tables(client: ClickHouseClient, exporter: ClickHouseExporter, user: str) -> AsyncIterator[Finding]:
    settings = schema_settings(exporter)
    table = settings.qualified_table
    rights = ["INSERT", "SELECT"] + (["CREATE TABLE", "CREATE VIEW", "ALTER ADD COLUMN"] if exporter.create_schema else [])
    for right in rights:
        granted = await _may(client, right, settings.database)
        if granted is False:
            remedy = f"GRANT {right} ON {schema.quoted(settings.database)}.* TO {schema.quoted(user)}"
            yield Finding("fail", "rights", f"user {user} may not {right}", remedy)
    try:
        existing = await migrations.columns(client, table)
    except (ClickHouseError, ClickHouseUnavailable) as error:
        yield _no_table(exporter, table, error)
        return
    if existing is None:
        yield Finding("warn", "table", f"{table} may not be described", f"GRANT SHOW COLUMNS ON {table} TO {schema.quoted(user)}")
        return
    planned = await migrations.plan(client, settings)
    if not planned.changes or exporter.create_schema:
        yield Finding("ok", "table", f"{table} exists")
    for note in planned.notes:
        yield Finding("warn", "table", note, "it works as it is; `spanhouse schema` prints what new tables would be like")
    if not exporter.create_schema:
        for change in planned.changes:
            remedy = "run `spanhouse schema apply`; `spanhouse schema plan` shows the statements"
            yield Finding("warn", "table", change.why, remedy if "\n" in change.statement else change.statement)


def _no_table(exporter: ClickHouseExporter, table: str, error: Exception) -> Finding:
    if exporter.create_schema:
        return Finding("ok", "table", f"{table} does not exist; the daemon makes it")
    remedy = "make it with `spanhouse schema apply` or by hand, with what `spanhouse schema` prints, or set create_schema: true"
    return Finding("fail", "table", f"{table} cannot be described: {error}", remedy)


async def _may(client: ClickHouseClient, right: str, database: str) -> bool | None:
    """Whether the user has a right on a database; None when the server does not tell."""
    try:
        answer = await client.command(
            f"CHECK GRANT {right} ON {schema.quoted(database)}.*", timeout_s=_TIMEOUT_S, database="default"
        )
    except (ClickHouseError, ClickHouseUnavailable):
        return None
    return answer.strip() == "1"
