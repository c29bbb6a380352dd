"""Whatever happens to spans, the account of each owner says where they are: on disk, in memory, over restarts and renamings."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import ledger
from collector.journal.placement import placed, placement, spans_placed
from collector.journal.records import ACCOUNT, REQUEST, head
from collector.ledger import Account
from collector.queues.contract import Queue
from collector.queues.memory import MemoryQueue, QueueLimits
from exporters.base import Delivery
from exporters.tally import owner_of, spans_by_owner, workspace_of
from proto.join import concatenate
from proto.spans import SpanBatch
from tests.support.batches import numbered
from tests.support.journals import journal_in

WORKSPACES = ("red", "blue")
SERVICES = ("", "cart", "ship", "mail")

put = st.tuples(
    st.just("put"), st.lists(st.tuples(st.sampled_from(WORKSPACES), st.sampled_from(SERVICES)), min_size=1, max_size=3)
)
deliver = st.tuples(st.just("deliver"), st.sampled_from(["store", "drop some", "rename", "rename again"]))
restart = st.tuples(st.just("restart"), st.booleans())
"""With true, after a batch was sent of which nobody knows any more what became of it."""
few_told_apart = st.sampled_from([(1000, 2000), (3, 5), (1, 2), (0, 0), (4, 4)])


class Life:
    """A queue, and what must be true of its account."""

    def __init__(self) -> None:
        self.number = 0
        self.put_spans = 0
        self.settled_spans = 0

    async def put(self, queue: Any, owners: list[tuple[str, str]]) -> None:
        for workspace, service in owners:
            batch = numbered(self.number, 2, workspace=workspace, service=service)
            await queue.put(batch)
            self.number += 2
            self.put_spans += 2

    async def deliver(self, queue: Queue[Any], how: str) -> None:
        taken = await queue.take(5, 1 << 30)
        if taken is None:
            return
        batch = concatenate(taken.load().batches)
        await queue.cut(taken, [slice(0, len(batch))])
        queue.commit(taken, delivery_of(batch, how))
        self.settled_spans += len(batch)

    def check(self, account: Account) -> None:
        waiting = 0
        for owners in account.owners().values():
            entries = [account.of(owner) for owner in owners]
            for entry in entries:
                assert entry["waiting"] >= 0
                assert entry["accepted"] >= 0
                assert entry["accepted"] + entry["renamed"] == entry["stored"] + sum(entry["dropped"].values()) + entry["waiting"]
            together = account.of(*owners)
            assert together["renamed"] == 0
            waiting += together["waiting"]
        assert account.accepted.total() == self.put_spans
        assert waiting == account.waiting() == self.put_spans - self.settled_spans


def delivery_of(batch: SpanBatch, how: str) -> Delivery:
    """What a destination says that drops the first span by a rule, or is reached through a processor that renames services."""
    delivery = Delivery()
    if how == "drop some":
        delivery.drop("rule", spans_by_owner(batch.select(slice(0, 1))))
        batch = batch.select(slice(1, None))
    owners = spans_by_owner(batch)
    if how.startswith("rename"):
        after: Counter[str] = Counter()
        for owner, spans in owners.items():
            after[owner_of(workspace_of(owner), how)] += spans
        delivery.rename(owners, after)
        owners = after
    delivery.store(owners)
    return delivery


@settings(deadline=None, max_examples=60)
@given(st.lists(put | deliver, max_size=20), few_told_apart)
def test_the_account_of_a_queue_in_memory_adds_up_for_every_owner(steps: list[tuple[str, Any]], most: tuple[int, int]) -> None:
    async def live() -> None:
        queue, life = MemoryQueue(QueueLimits(1 << 30)), Life()
        for what, how in steps:
            await (life.put(queue, how) if what == "put" else life.deliver(queue, how))
            life.check(queue.account)

    with patch.object(ledger, "MOST_SERVICES", most[0]), patch.object(ledger, "MOST_OWNERS", most[1]):
        asyncio.run(live())


@settings(deadline=None, max_examples=60)
@given(st.lists(put | deliver | restart, max_size=20), few_told_apart)
def test_the_account_of_a_journal_adds_up_for_every_owner(steps: list[tuple[str, Any]], most: tuple[int, int]) -> None:
    async def live(directory: Path) -> None:
        life = Life()
        async with AsyncExitStack() as rooms:
            journal = await rooms.enter_async_context(journal_in(directory, segment_bytes=1500))
            for what, how in steps:
                cursor = journal.cursors["clickhouse"]
                if what == "put":
                    await life.put(journal, how)
                elif what == "deliver":
                    await life.deliver(cursor, how)
                else:
                    if how and (taken := await cursor.take(3, 1 << 30)) is not None:
                        await cursor.cut(taken, [slice(0, len(concatenate(taken.load().batches)))])
                    await rooms.aclose()
                    journal = await rooms.enter_async_context(journal_in(directory, segment_bytes=1500))
                life.check(journal.cursors["clickhouse"].account)

    with (
        TemporaryDirectory() as directory,
        patch.object(ledger, "MOST_SERVICES", most[0]),
        patch.object(ledger, "MOST_OWNERS", most[1]),
    ):
        asyncio.run(live(Path(directory)))


@settings(deadline=None)
@given(
    st.dictionaries(st.builds("{}/{}".format, st.sampled_from(WORKSPACES), st.text()), st.integers(0, 2**40), min_size=1),
    st.lists(st.sampled_from(WORKSPACES), min_size=1, max_size=2, unique=True),
)
def test_a_placement_is_read_as_it_was_written(owners: dict[str, int], workspaces: list[str]) -> None:
    batch = concatenate([numbered(0, 1, workspace=workspace) for workspace in workspaces])
    written = placement(batch, owners)
    assert spans_placed(written, 7) == owners
    assert spans_by_owner(placed(batch, written)) == spans_by_owner(batch)


def test_what_a_journal_held_before_services_were_told_apart_is_stored_and_accounted_for(tmp_path: Path) -> None:
    seed = 7
    plain, several = numbered(4, 3), concatenate([numbered(7, 1), numbered(8, 1, service="cart")])
    body = plain.data.tobytes()
    both = several.data.tobytes()
    indices = (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
    counts = (1).to_bytes(8, "little") * 2
    before = b'{"default":4}'
    (tmp_path / f"{4:020d}-{seed:016x}.journal").write_bytes(
        b"".join(
            (
                head(seed, ACCOUNT, 4, 0, 1, b"", before) + before,
                head(seed, REQUEST, 4, 3, 1, b"default", body) + body,
                head(seed, REQUEST, 7, 2, 1, b"red,blue\0" + counts + indices, both) + both,
            )
        )
    )

    async def live() -> tuple[Account, Counter[str]]:
        async with journal_in(tmp_path) as journal:
            cursor = journal.cursors["clickhouse"]
            taken = await cursor.take(1 << 30, 1 << 30)
            assert taken is not None
            batch = concatenate(taken.load().batches)
            await cursor.cut(taken, [slice(0, len(batch))])
            cursor.commit(taken, delivery_of(batch, "store"))
            return cursor.account, Counter(spans_by_owner(batch))

    log = b'{"stop":4,"before":{},"cuts":[],"stored":{"default":4},"dropped":{}}'
    (tmp_path / "clickhouse.cuts").write_bytes(f"{xxhash.xxh3_64_intdigest(log):016x} ".encode() + log + b"\n")
    account, found = asyncio.run(live())
    assert found == {"default/numbers": 3, "red/numbers": 1, "blue/cart": 1}
    by_service = {owner: account.of(owner) for owners in account.owners().values() for owner in owners}
    assert by_service.keys() == {"default", "default/numbers", "red", "red/numbers", "blue", "blue/cart"}
    assert {entry["waiting"] for entry in by_service.values()} == {0}
    assert [by_service["default"][key] for key in ("accepted", "renamed", "stored")] == [7, -3, 4]
    assert [by_service["blue/cart"][key] for key in ("accepted", "renamed", "stored")] == [0, 1, 1]
