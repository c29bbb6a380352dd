"""A piece that is processed again by other tracing configs, as after a crash, is stored once, as it was the first time."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from collector.control.policies import Policies
from collector.processors.service_policy import ServicePolicy
from config.service_policy import ServicePolicyProcessor
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from proto.join import concatenate
from tests.support.batches import numbered, numbers
from tests.support.tracing_configs import config

FIRST, SECOND = (numbered(0, 20, service="cart", workspace="shop"), numbered(20, 30, service="payment", workspace="shop"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [config("cart", enabled=False)]),
        ([config("cart", enabled=False)], []),
        ([config("cart", enabled=False)], [config("payment", enabled=False)]),
        ([config("cart", samplingRate=0.5)], [config("*", excludedPaths=("1*",))]),
    ],
)
async def test_a_piece_is_stored_once_whatever_was_said_meanwhile(clickhouse: Any, before: list[Any], after: list[Any]) -> None:
    database, piece = f"pieces_{uuid.uuid4().hex}", concatenate([FIRST, SECOND])
    said = Policies(before)
    policy = ServicePolicy(ServicePolicyProcessor(), lambda: said)
    with ThreadPoolExecutor(1) as executor:
        async with ClickHouseClient([clickhouse.url], database=database) as client:
            writer = ClickHouseWriter(client, WriterSettings(SchemaSettings(database=database)), executor)
            first = policy.process(piece).batch
            for insert in await writer.prepare(first, "piece"):
                await insert.send(30)
            said = Policies(after)
            for insert in await writer.prepare(policy.process(piece).batch, "piece"):
                await insert.send(30)
            stored = await client.query("SELECT SpanName FROM otel_traces ORDER BY toUInt32(SpanName)")
            await client.command(f"DROP DATABASE {database}", database="default")
    assert stored.columns["SpanName"] == sorted(map(str, numbers(first)), key=int)
