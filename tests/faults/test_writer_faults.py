"""Spans on their way into a ClickHouse that misbehaves: each is numbered, and each is stored once or counted as dropped."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from collector.pipeline.batcher import Batcher, Remainder
from collector.pipeline.batching import BatchLimits
from collector.queues.memory import MemoryQueue, QueueLimits
from exporters.base import DEAD_LETTER
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import TEMPLATES
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from exporters.dead_letters import DeadLetters
from exporters.divisions import Divisions
from exporters.retrying import RetryPolicy
from exporters.send import Sender
from proto.join import concatenate
from proto.native_encode import Encoder
from proto.warm import warm
from tests.support.accounts import Account
from tests.support.batches import numbered
from tests.support.faulty_clickhouse import (
    Fault,
    FaultyClickHouse,
    answers,
    created_tables,
    exception_after_success,
    fails_with,
    listening,
    never_confirmed,
    reset_after_storing,
    reset_before_storing,
)
from tests.support.picky import divided_in
from tests.support.waiting import until

T = TypeVar("T")

QUICK = RetryPolicy(initial_s=0.001, max_s=0.01, unsure_s=60)
RESIGNED = replace(QUICK, unsure_s=0.05)


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Compile beforehand: the tests' deadlines are meant for states, not for compilers."""
    warm()


class Line:
    """The way from queue to server."""

    def __init__(
        self, endpoint: str, executor: ThreadPoolExecutor, settings: WriterSettings, timeout_s: float, retry: RetryPolicy
    ) -> None:
        self.account = Account()
        self.client = ClickHouseClient([endpoint], database="otel")
        self.writer = ClickHouseWriter(self.client, settings, executor)
        self.sender = Sender(self.writer, "clickhouse", self.account, retry, timeout_s)
        limits = BatchLimits(min_spans=10, max_spans=10, max_bytes=1 << 20, timeout_s=0.01)
        self.queue = MemoryQueue(QueueLimits(1 << 20))
        self.batcher = Batcher(self.queue, limits, self.sender, 2, executor)

    async def settle(self) -> None:
        await until(lambda: self.batcher.statistics().spans == 0)


@asynccontextmanager
async def line_to(
    endpoint: str, settings: WriterSettings | None = None, timeout_s: float = 10.0, retry: RetryPolicy = QUICK
) -> AsyncIterator[Line]:
    with ThreadPoolExecutor(2) as executor:
        line = Line(endpoint, executor, settings or WriterSettings(), timeout_s, retry)
        async with line.client, asyncio.TaskGroup() as tasks:
            tasks.create_task(line.batcher.run())
            yield line
            await line.batcher.drain(10.0)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (fails_with(252, "TOO_MANY_PARTS"), "too_many_parts"),
        (fails_with(241, "MEMORY_LIMIT_EXCEEDED"), "memory_limit_exceeded"),
        (fails_with(516, "AUTHENTICATION_FAILED", 403), "authentication_failed"),
        (fails_with(164, "READONLY"), "readonly"),
        (fails_with(1234, "SOMETHING_NEW"), "something_new"),
        (answers(500), "http_500"),
        (answers(503), "http_503"),
        (answers(429), "http_429"),
        (exception_after_success, "memory_limit_exceeded"),
        (reset_before_storing, "connection_lost"),
        (reset_after_storing, "connection_lost"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_after_trouble_that_passes_every_span_is_stored_once(fault: Fault, reason: str) -> None:
    server = FaultyClickHouse(faults=deque([fault, None, fault, fault]))
    async with listening(server) as endpoint, line_to(endpoint) as line:
        for first in range(0, 100, 10):
            await line.queue.put(numbered(first, 10))
        await line.settle()
        assert server.numbers == list(range(100))
        assert line.account.stored_spans == 100
        assert line.account.retries == {reason: 3}
        assert not line.account.drops


async def test_an_insert_that_was_stored_but_not_confirmed_in_time_is_not_stored_again() -> None:
    server = FaultyClickHouse(faults=deque([never_confirmed]))
    async with listening(server) as endpoint, line_to(endpoint, timeout_s=0.2) as line:
        await line.queue.put(numbered(0, 10))
        await line.settle()
        assert server.numbers == list(range(10))
        assert line.account.stored_spans == 10
        assert line.account.retries == {"timeout": 1}


async def test_a_repeated_insert_is_the_same_bytes_under_the_same_token() -> None:
    server = FaultyClickHouse(faults=deque([fails_with(252, "TOO_MANY_PARTS"), reset_after_storing]))
    async with listening(server) as endpoint, line_to(endpoint) as line:
        await line.queue.put(numbered(0, 10))
        await line.settle()
        await line.queue.put(numbered(10, 10))
        await line.settle()
    first, second, third, other = server.attempts
    assert first.token == second.token == third.token != other.token
    assert first.body == second.body == third.body
    assert first.settings["async_insert"] == "0"
    assert first.settings["deduplicate_blocks_in_dependent_materialized_views"] == "1"
    assert first.settings["wait_end_of_query"] == "1"


async def test_what_would_fail_again_is_dropped_and_what_follows_is_stored() -> None:
    server = FaultyClickHouse(faults=deque([fails_with(62, "SYNTAX_ERROR", 400)]))
    async with listening(server) as endpoint, line_to(endpoint) as line:
        await line.queue.put(numbered(0, 10))
        await line.settle()
        await line.queue.put(numbered(10, 10))
        await line.settle()
        assert server.numbers == list(range(10, 20))
        assert line.account.drops == {"syntax_error": 10}
        assert line.account.stored_spans == 10


async def test_a_wrong_password_that_nobody_puts_right_drops_by_that_name() -> None:
    server = FaultyClickHouse(faults=deque([fails_with(516, "AUTHENTICATION_FAILED", 403)] * 1000))
    async with listening(server) as endpoint, line_to(endpoint, retry=RESIGNED) as line:
        await line.queue.put(numbered(0, 10))
        await line.settle()
        assert line.account.drops == {"authentication_failed": 10}
        assert "516" in line.sender.trouble


async def test_spans_wait_for_a_server_that_is_absent_at_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    async with line_to(f"http://127.0.0.1:{port}") as line:
        opening = asyncio.create_task(line.sender.open())
        await line.queue.put(numbered(0, 30))
        await until(lambda: line.account.retries["unreachable"] > 3)
        assert line.sender.trouble
        assert line.batcher.statistics().spans == 30
        server = FaultyClickHouse()
        async with listening(server, port):
            await line.settle()
            await opening
            assert server.numbers == list(range(30))
            assert line.sender.trouble == ""
            assert created_tables(server) == ["`otel`", *(f"`otel`.`{table}`" for table in TEMPLATES)]
    assert not line.account.drops


async def test_a_server_that_goes_away_and_comes_back_gets_every_span_once() -> None:
    server = FaultyClickHouse()
    async with listening(server) as endpoint:
        port = int(endpoint.rpartition(":")[2])
        line_context = line_to(endpoint)
        line = await line_context.__aenter__()
        await line.queue.put(numbered(0, 10))
        await line.settle()
    for first in range(10, 100, 10):
        await line.queue.put(numbered(first, 10))
    await until(lambda: line.account.retries["unreachable"] > 3)
    async with listening(server, port):
        await line.settle()
        await line_context.__aexit__(None, None, None)
    assert server.numbers == list(range(100))
    assert not line.account.drops


async def test_at_shutdown_what_an_absent_server_did_not_take_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    batches = [numbered(0, 10), numbered(10, 15)]
    async with line_to(f"http://127.0.0.1:{port}") as line:
        for batch in batches:
            await line.queue.put(batch)
        left = await line.batcher.drain(0.1)
    assert left == Remainder(25, sum(batch.nbytes for batch in batches))
    assert line.account.stored_spans == 0


async def test_tables_that_vanish_are_made_again() -> None:
    server = FaultyClickHouse(faults=deque([None, fails_with(60, "UNKNOWN_TABLE", 404)]))
    async with listening(server) as endpoint, line_to(endpoint) as line:
        await line.queue.put(numbered(0, 10))
        await line.settle()
        made = len(created_tables(server))
        await line.queue.put(numbered(10, 10))
        await line.settle()
        assert server.numbers == list(range(20))
        assert len(created_tables(server)) == 2 * made


async def test_failing_table_creation_holds_spans_back_until_it_succeeds() -> None:
    server = FaultyClickHouse(schema_faults=deque([answers(503), None, fails_with(999, "KEEPER_EXCEPTION")]))
    async with listening(server) as endpoint, line_to(endpoint) as line:
        await line.queue.put(numbered(0, 10))
        await line.settle()
        assert server.numbers == list(range(10))
        assert line.account.retries == {"http_503": 1, "keeper_exception": 1}


async def test_without_the_right_to_create_only_columns_that_exist_are_written() -> None:
    upstream = ["Timestamp", "TraceId", "SpanId", "SpanName", "ServiceName"]
    server = FaultyClickHouse(columns=upstream)
    async with listening(server) as endpoint, line_to(endpoint, WriterSettings(create_schema=False)) as line:
        with capture_logs() as lines:
            await line.queue.put(numbered(0, 10))
            await line.settle()
        (told,) = (line["consequence"] for line in lines if line["event"] == "columns_missing")
        assert "`spanhouse schema apply`" in told
        assert server.numbers == list(range(10))
        names = ", ".join(f"`{name}`" for name in ["Timestamp", "TraceId", "SpanId", "SpanName", "ServiceName"])
        assert server.attempts[0].statement == f"INSERT INTO `otel`.`otel_traces` ({names}) FORMAT Native"
        assert created_tables(server) == []


@asynccontextmanager
async def sender_to(endpoint: str, directory: Path) -> AsyncIterator[Sender]:
    """A process that sends spans; what it keeps on disk is known to the next."""
    letters, divisions = DeadLetters(directory, "clickhouse", 1 << 20), Divisions(directory / ".divided")
    with ThreadPoolExecutor(1) as executor:
        async with ClickHouseClient([endpoint], database="otel") as client:
            writer = ClickHouseWriter(client, WriterSettings(create_schema=False), executor)
            yield Sender(writer, "clickhouse", Account(), QUICK, 10.0, dead_letters=letters, divisions=divisions)


async def test_spans_parted_by_workspace_are_stored_once_where_a_crash_and_the_missing_column_come_between(
    tmp_path: Path,
) -> None:
    batch = concatenate(
        [numbered(0, 10), numbered(10, 10, workspace="shop"), numbered(20, 10), numbered(30, 5, workspace="cart")]
    )
    server = FaultyClickHouse(columns=["Timestamp", "SpanName"])
    async with listening(server) as endpoint:
        async with sender_to(endpoint, tmp_path) as before:
            # It ends before it is written down that the batch is settled, so the batch comes again.
            assert (await before.deliver(batch, "batch")).dropped == {DEAD_LETTER: {"shop/numbers": 10, "cart/numbers": 5}}
        assert server.numbers == [*range(10), *range(20, 30)]
        server.columns = ["Timestamp", "SpanName", "Workspace"]
        async with sender_to(endpoint, tmp_path) as after:
            delivery = await after.deliver(batch, "batch")
            assert (delivery.stored.total(), delivery.dropped) == (35, {})
            assert server.numbers == list(range(35))
            delivery.forget()
    assert divided_in(tmp_path) == []


async def test_spans_wait_while_there_is_no_memory_to_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scarce(work: Callable[..., T]) -> Callable[..., T]:
        """The same, once it has failed twice."""
        failures = [MemoryError(), MemoryError()]

        def working(*args: object, **keywords: object) -> T:
            if failures:
                raise failures.pop()
            return work(*args, **keywords)

        return working

    monkeypatch.setattr(Encoder, "encode", scarce(Encoder.encode))
    monkeypatch.setattr(DeadLetters, "add", scarce(DeadLetters.add))
    server = FaultyClickHouse(faults=deque([fails_with(62, "SYNTAX_ERROR", 400)]))
    async with listening(server) as endpoint, sender_to(endpoint, tmp_path) as sender:
        first, second = [await sender.deliver(numbered(start, 10), str(start)) for start in (0, 10)]
    assert (first.stored, first.dropped) == ({}, {DEAD_LETTER: {"default/numbers": 10}})
    assert (second.stored, server.numbers) == ({"default/numbers": 10}, list(range(10, 20)))


async def test_without_the_right_to_look_all_columns_are_written() -> None:
    server = FaultyClickHouse(columns=None)
    async with listening(server) as endpoint, line_to(endpoint, WriterSettings(create_schema=False)) as line:
        await line.queue.put(numbered(0, 10))
        await line.settle()
        assert server.numbers == list(range(10))
        assert "`Duration`" in server.attempts[0].statement


async def test_spans_of_very_many_days_go_in_several_inserts_with_tokens_of_their_own() -> None:
    day_ns = 86_400_000_000_000
    server = FaultyClickHouse(faults=deque([None, reset_after_storing]))
    with ThreadPoolExecutor(1) as executor:
        async with listening(server) as endpoint, ClickHouseClient([endpoint], database="otel") as client:
            account = Account()
            sender = Sender(ClickHouseWriter(client, WriterSettings(), executor), "clickhouse", account, QUICK, 10.0)
            await sender.deliver(numbered(0, 120, start_time_unix_nano=0, step_ns=day_ns), "a")
    assert [len(numbers) for numbers in server.stored.values()] == [50, 50, 20]
    assert server.numbers == list(range(120))
    assert account.stored_spans == 120
