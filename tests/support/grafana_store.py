"""A ClickHouse that Grafana asks, through an account that may read one workspace, with real traces in two."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.pipeline.settling import Settling
from collector.processors.red_metrics import RedMetrics
from collector.processors.topology.processor import Topology
from config.red_metrics import RedMetricsProcessor
from config.topology import TopologyProcessor
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings, workspace_tables
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from exporters.embedded.accounts import Account, Reader, password_digest
from proto.join import concatenate
from proto.native_columns import NativeColumn
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support import genuine_clickhouse as genuine
from tests.support.clickhouse import OWNER, ClickHouse, embedded_server
from tests.support.grafana import View
from tests.support.scenes import scene
from tests.support.topology import PlainSpan, plain_spans
from tests.support.traces import TraceFile, all_traces

WORKSPACE, OTHER = "shop", "other"
_READER = "grafana"
_SCENE = """
    web SERVER a 20ms
    web CLIENT b <a 10ms
    cart SERVER c <b 8ms!
    cart CLIENT d <c 2ms! db.system=postgresql db.name=carts
    cart CLIENT e <c 3ms
    stock SERVER f <e 2ms
    cart PRODUCER g <c
    mail CONSUMER h ~g 4ms
"""
_TABLES = workspace_tables("otel_traces")


@dataclass(frozen=True, slots=True)
class Store:
    """A server with its spans in the database `otel`.

    Attributes:
        owner: sees both workspaces.
        reader: sees WORKSPACE.
        view: of all spans in it.
    """

    owner: ClickHouse
    reader: ClickHouse
    view: View

    def ask(self, statement: str) -> dict[str, Any]:
        """What the reader is answered, in the format JSON."""
        # As the plugin asks: with the time-out of the data source, and more.
        answer = self.reader.post(statement, database="otel", default_format="JSON", max_execution_time="65")
        assert answer.status == 200, f"{answer.body.decode()}\n{statement}"
        return dict(json.loads(answer.body))


@cache
def requests_of(workspace: str) -> list[bytes]:
    """What was sent of WORKSPACE: a scene, and all traces that are not large and whose spans have ids of their own; of OTHER, the
    smallest of them."""
    most = {WORKSPACE: 3_000, OTHER: 100}[workspace]
    traces = [trace.body for trace in all_traces() if trace.spans <= most and not _shares_ids(trace)]
    return [scene(_SCENE).SerializeToString(), *traces]


def _shares_ids(trace: TraceFile) -> bool:
    spans = [(each.span.trace_id, each.span.span_id) for each in plain_spans(trace.message)]
    return len(set(spans)) < len(spans)


@cache
def spans_of(workspace: str) -> SpanBatch:
    """The spans of a workspace."""
    return concatenate([decode(request, workspace).batch for request in requests_of(workspace)])


def plain_spans_of(workspace: str) -> list[PlainSpan]:
    """The same, one by one."""
    messages = (ExportTraceServiceRequest.FromString(request) for request in requests_of(workspace))
    return [span for message in messages for span in plain_spans(message)]


@contextmanager
def embedded_store(path: Path) -> Iterator[Store]:
    """The embedded server, with the account as the configuration makes it."""
    digest = password_digest(_READER)
    accounts = [Account(OWNER, password_digest(OWNER), None), Account(_READER, digest, Reader((WORKSPACE,)))]
    tables = json.dumps({"database": "otel", "names": _TABLES})
    with embedded_server(path, accounts, "--tables", tables) as port:
        server = ClickHouse("embedded", port)
        yield _filled(server.as_user(OWNER, OWNER), server.as_user(_READER, _READER))


@contextmanager
def genuine_store(path: Path) -> Iterator[Store]:
    """A genuine server, with the account that the documentation describes. Raises Unavailable."""
    path.mkdir(exist_ok=True)
    users, config = path / "users.xml", path / "config.xml"
    users.write_text(f"<clickhouse>{_users()}</clickhouse>", encoding="utf-8")
    config.write_text(f"<clickhouse><users_config>{users}</users_config></clickhouse>", encoding="utf-8")
    with genuine.running(genuine.obtain(), path / "data", "--config-file", str(config)) as server:
        owner = ClickHouse("genuine", server.http_port, server.tcp_port)
        yield _filled(owner, owner.as_user(_READER, _READER))


def _users() -> str:
    own = escape(f"Workspace = '{WORKSPACE}'")
    policies = "".join(f"<{table}><filter>{own}</filter></{table}>" for table in _TABLES)
    changeable = "".join(
        f"<{setting}><changeable_in_readonly/></{setting}>" for setting in ("max_execution_time", "additional_table_filters")
    )
    anywhere = "<networks><ip>::/0</ip></networks><quota>default</quota>"
    return (
        f"<profiles><default/><reader><readonly>1</readonly><constraints>{changeable}</constraints></reader></profiles>"
        f"<quotas><default/></quotas><users><default><password/>{anywhere}<profile>default</profile></default>"
        f"<{_READER}><password_sha256_hex>{password_digest(_READER)}</password_sha256_hex>{anywhere}<profile>reader</profile>"
        f"<grants><query>GRANT SELECT ON otel.*</query></grants>"
        f"<databases><otel>{policies}</otel></databases></{_READER}></users>"
    )


def _filled(owner: ClickHouse, reader: ClickHouse) -> Store:
    asyncio.run(_fill(owner, [spans_of(WORKSPACE), spans_of(OTHER)]))
    starts = spans_of(WORKSPACE).spans["start_time_unix_nano"]
    # From the minute in which the first span starts.
    start, end = int(starts.min()) // 60_000_000_000 * 60, int(starts.max()) // 1_000_000_000 + 1
    return Store(owner, reader, View(start, end, interval_s=max(60, (end - start) // 1000)))


async def _fill(owner: ClickHouse, batches: Sequence[SpanBatch]) -> None:
    credentials = {"user": owner.credentials["X-ClickHouse-User"], "password": OWNER} if owner.credentials else {}
    settings = SchemaSettings()
    with ThreadPoolExecutor(1) as executor:
        async with ClickHouseClient([owner.url], database="otel", **credentials) as client:
            writer = ClickHouseWriter(client, WriterSettings(settings), executor)
            await writer.open()
            answer = await client.query("SELECT toUnixTimestamp(now()) AS now")
            came_s = int(answer.columns["now"][0]) - 12 * 60
            for number, batch in enumerate(batches):
                # Half of the spans come apart from the others, so that calls are settled as well.
                for part in range(2):
                    await _store(writer, batch.select(np.arange(part, len(batch), 2)), f"{number}-{part}", came_s)
            await Settling(writer.open, client, settings).settle()


async def _store(writer: ClickHouseWriter, batch: SpanBatch, name: str, came_s: int) -> None:
    inserts: list[Any] = [*await writer.prepare(batch, name)]
    for processor in (RedMetrics(RedMetricsProcessor()), Topology(TopologyProcessor())):
        for rows in processor.process(batch).derived:
            came = [NativeColumn("Arrived", "DateTime", np.full(len(rows), came_s))]
            is_half = rows.table == "otel_topology_halves"
            inserts += await writer.prepare_rows(replace(rows, columns=[*rows.columns, *came]) if is_half else rows, name)
    for insert in inserts:
        await insert.send(60.0)
