"""A ClickHouse as the daemon starts it, with spans of two workspaces and people who may each see one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exporters.clickhouse.schema import SchemaSettings, statements, workspace_tables
from exporters.embedded.accounts import Account, Reader, password_digest
from exporters.embedded.limits import ReaderLimits
from tests.support.clickhouse import OWNER, ClickHouse, embedded_server

SECRET = "zanzibar"
"""Stands in every span of the workspace that Ann may not see, and nowhere else."""
SECRET_NUMBER = "777000777"

_SPANS = """
INSERT INTO otel.otel_traces
    (Timestamp, TraceId, SpanId, SpanName, ServiceName, SpanAttributes, ResourceAttributes, Duration, StatusMessage, Workspace)
SELECT
    toDateTime64('2026-09-01 10:00:00', 9) + number, concat('{mark}', toString(number)), 'span', '{mark}', '{mark}',
    map('{mark}', '{mark}'), map('{mark}', '{mark}'), {duration} + number, '{mark}', '{workspace}'
FROM numbers({count})
"""


@dataclass(frozen=True, slots=True)
class House:
    """The server, asked by different people.

    Attributes:
        owner: may do everything, as the daemon.
        anyone: names nobody, and is `default`: may read every workspace.
        ann: may read `alpha`, which has three spans.
        ben: may read `beta`, which has five spans with SECRET.
        cut: may read `alpha`, in one second, with little memory, ten rows, and one query at a time.
    """

    owner: ClickHouse
    anyone: ClickHouse
    ann: ClickHouse
    ben: ClickHouse
    cut: ClickHouse


@contextmanager
def house_in(path: Path, *arguments: str) -> Iterator[House]:
    """The house, with its data in `path` and further arguments of the server."""
    password = password_digest("pw")
    little = ReaderLimits(max_execution_time_s=1, max_memory_bytes=32 << 20, max_result_rows=10, max_queries=1)
    accounts = [
        Account(OWNER, password_digest(OWNER), None),
        Account(),
        Account("ann", password, Reader(("alpha",))),
        Account("ben", password, Reader(("beta",))),
        Account("cut", password, Reader(("alpha",), little)),
    ]
    tables = json.dumps({"database": "otel", "names": workspace_tables("otel_traces")})
    with embedded_server(path, accounts, "--tables", tables, *arguments) as port:
        anyone = ClickHouse("reader", port)
        owner = anyone.as_owner
        for statement in statements(SchemaSettings()):
            owner.execute(statement)
        owner.execute(_SPANS.format(mark="common", workspace="alpha", duration=1000, count=3))
        owner.execute(_SPANS.format(mark=SECRET, workspace="beta", duration=SECRET_NUMBER, count=5))
        yield House(owner, anyone, anyone.as_user("ann", "pw"), anyone.as_user("ben", "pw"), anyone.as_user("cut", "pw"))
