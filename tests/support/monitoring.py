"""A store with spans and all that is derived of them, and what NumPy finds in the same spans."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # publishes no types
from numpy.typing import NDArray

from collector.api.app import build_application
from collector.api.openapi import COMPONENTS
from collector.api.schemas import reference
from collector.processors.red_metrics import RedMetrics
from collector.processors.topology.processor import Topology
from config.red_metrics import RedMetricsProcessor
from config.topology import TopologyProcessor
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from proto.spans import SpanBatch
from tests.support.clickhouse import ClickHouse

COLUMNS = ("ServiceName", "SpanName", "SpanKind", "StatusCode", "Duration", "AdjustedCount")


@dataclass(frozen=True)
class Api:
    """The API over a database, and the database itself."""

    session: TestClient[Any, Any]
    client: ClickHouseClient

    async def ask(self, path: str, *, method: str = "GET", **query: str) -> tuple[int, Any]:
        """Status and JSON, or text, of an answer; a POST has its parameters in a form."""
        options: dict[str, Any] = {"data": query} if method == "POST" else {"params": query}
        async with self.session.request(method, path, **options) as response:
            return response.status, await (response.json() if "json" in response.content_type else response.text())

    async def document(self, path: str, schema: str, **query: str) -> Any:
        """An answer that is none of an error, as its schema says."""
        status, document = await self.ask(path, **query)
        assert status == 200, document
        Draft202012Validator({**reference(schema), "components": {"schemas": COMPONENTS}}).validate(document)
        return document

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a statement finds."""
        return [dict(row) for row in (await self.client.query(sql)).rows()]

    async def spans(self, workspace: str = "default") -> Spans:
        """All spans of a workspace."""
        found = await self.client.query(
            f"SELECT toUnixTimestamp64Nano(Timestamp) AS Start, {', '.join(COLUMNS)} FROM otel_traces"
            " WHERE Workspace = {workspace:String}",
            {"workspace": workspace},
        )
        return Spans({name: np.array(values) for name, values in found.columns.items()})


@dataclass(frozen=True, slots=True)
class Database:
    """Spans of several workspaces in a database of their own.

    Attributes:
        now: nanoseconds since 1970, for those who ask.
    """

    url: str
    name: str
    now: int

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Api]:
        """The API over it."""
        async with (
            ClickHouseClient([self.url], database=self.name) as client,
            TestClient(TestServer(build_application(client, now=lambda: self.now))) as session,
        ):
            yield Api(session, client)


@dataclass(frozen=True)
class Spans:
    """Columns of spans; all of the same length."""

    columns: dict[str, NDArray[Any]]

    def where(self, mask: NDArray[np.bool_]) -> Spans:
        return Spans({name: values[mask] for name, values in self.columns.items()})

    def of(self, **values: str) -> Spans:
        """Those whose columns have these values."""
        return self.where(np.logical_and.reduce([self.columns[name] == value for name, value in values.items()]))

    def between(self, start: int, end: int) -> Spans:
        return self.where((self.columns["Start"] >= start) & (self.columns["Start"] < end))

    @property
    def entries(self) -> Spans:
        return self.where(np.isin(self.columns["SpanKind"], ("Server", "Consumer")))

    def __len__(self) -> int:
        return len(self.columns["Start"])

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        return self.columns["AdjustedCount"].astype(np.float64)

    @property
    def count(self) -> float:
        return float(self.weights.sum())

    @property
    def failed(self) -> float:
        return float(self.weights[self.columns["StatusCode"] == "Error"].sum())

    @property
    def duration(self) -> float:
        return float((self.weights * self.columns["Duration"]).sum())

    def percentile(self, percent: float) -> float:
        """The duration at or below which so many of a hundred lie."""
        order = np.argsort(self.columns["Duration"], kind="stable")
        cumulated = np.cumsum(self.weights[order])
        return float(self.columns["Duration"][order][np.searchsorted(cumulated, percent / 100 * cumulated[-1])])

    def within(self, limit: float) -> float:
        """How many that have not failed took no longer than so many nanoseconds."""
        return float(self.weights[(self.columns["Duration"] <= limit) & (self.columns["StatusCode"] != "Error")].sum())


@contextmanager
def database_of(clickhouse: ClickHouse, batches: list[SpanBatch], now: int) -> Iterator[Database]:
    """A database with these batches, each stored once with what `red_metrics` and `topology` make of it."""
    name = f"monitoring_{uuid.uuid4().hex}"

    async def fill() -> None:
        processors = RedMetrics(RedMetricsProcessor(max_series=100_000)), Topology(TopologyProcessor())
        with ThreadPoolExecutor(1) as executor:
            async with ClickHouseClient([clickhouse.url], database=name) as client:
                writer = ClickHouseWriter(client, WriterSettings(SchemaSettings(database=name)), executor)
                await writer.open()
                for number, batch in enumerate(batches):
                    inserts: list[Any] = [*await writer.prepare(batch, f"{number}")]
                    for processor in processors:
                        for rows in processor.process(batch).derived:
                            inserts += await writer.prepare_rows(rows, f"{number}-{rows.table}")
                    for insert in inserts:
                        await insert.send(60.0)

    asyncio.run(fill())
    try:
        yield Database(clickhouse.url, name, now)
    finally:
        clickhouse.execute(f"DROP DATABASE {name} SYNC")


def spread(batch: SpanBatch, start: int, end: int) -> SpanBatch:
    """The batch with starts that are spread over [start, end); durations stay."""
    spans = batch.spans.copy()
    durations = spans["end_time_unix_nano"] - spans["start_time_unix_nano"]
    places = np.arange(len(batch), dtype=np.float64) / max(len(batch), 1)
    spans["start_time_unix_nano"] = np.uint64(start) + (places * (end - start)).astype(np.uint64)
    spans["end_time_unix_nano"] = spans["start_time_unix_nano"] + durations
    return replace(batch, spans=spans)
