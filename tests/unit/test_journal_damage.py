"""A journal whose files were cut off or changed: it always opens, gives what is whole, and accounts for what is not."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.clock import SYSTEM
from collector.journal.opening import Opened, open_journal
from collector.journal.records import REQUEST, Record, head, scan
from collector.journal.segments import Segments
from collector.journal.settings import JournalSettings
from proto.otlp_decode import decode
from proto.warm import warm
from tests.support.batches import numbered, numbers
from tests.support.journals import SMALL, Deposit, journal_in, line_in
from tests.support.waiting import until

PER_REQUEST = 3
REQUESTS = 6
SPANS = PER_REQUEST * REQUESTS
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with six requests in one file, none of them sent."""
    warm()
    directory = tmp_path_factory.mktemp("written") / "journal"

    async def write() -> None:
        async with journal_in(directory) as journal:
            for first in range(0, SPANS, PER_REQUEST):
                await journal.put(numbered(first, PER_REQUEST))

    asyncio.run(write())
    return directory


@contextmanager
def copy_of(directory: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(shutil.copytree(directory, Path(scratch) / "journal"))


def opened(directory: Path) -> Opened:
    return open_journal(JournalSettings(directory), ["clickhouse"], os.close, SYSTEM)


def readable(directory: Path) -> list[int]:
    """Numbers of the spans that a journal still gives; its account tells of all others."""
    found = opened(directory)
    store, log = found.store, found.logs["clickhouse"]
    reading = found.reader.read(store.segments.all, 0, log.next_span, store.end_span, 1e9, 1e9)
    os.close(found.lock)
    log.close()
    spans = [number for record in reading.records for number in numbers(decode(bytes(record.body)).batch)]
    assert all(former.stop_span <= latter.first_span for former, latter in pairwise(reading.records))
    assert store.accepted.total() == store.end_span >= len(spans)
    return spans


def only(directory: Path, pattern: str) -> Path:
    (path,) = directory.glob(pattern)
    return path


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.journal"))


def records(directory: Path) -> list[Record]:
    """The requests of an undamaged file."""
    (segment,) = Segments(directory, 1 << 20).all
    return [item for item in segment.read() if isinstance(item, Record) and item.kind == REQUEST]


def test_a_file_that_is_cut_off_at_any_byte_gives_every_request_before_the_cut(written: Path) -> None:
    whole = records(written)
    content = only(written, "*.journal").read_bytes()
    with copy_of(written) as directory:
        file = only(directory, "*.journal")
        for size in range(len(content)):
            file.write_bytes(content[:size])
            expected = sum(record.spans for record in whole if record.offset + record.size <= size)
            assert readable(directory) == list(range(expected))
            if not file.exists():  # nothing was left in it
                file.touch()


@FEW
@given(data=st.data())
def test_flipped_bits_cost_no_more_than_the_requests_they_are_in(written: Path, data: st.DataObject) -> None:
    whole = records(written)
    size = whole[-1].offset + whole[-1].size
    flips = data.draw(st.lists(st.integers(0, 8 * size - 1), min_size=1, max_size=4, unique=True))
    with copy_of(written) as directory:
        file = only(directory, "*.journal")
        content = bytearray(file.read_bytes())
        for flip in flips:
            content[flip // 8] ^= 1 << flip % 8
        file.write_bytes(content)
        touched = {
            index
            for index, record in enumerate(whole)
            for flip in flips
            if record.offset <= flip // 8 < record.offset + record.size
        }
        expected = [number for index in range(REQUESTS) if index not in touched for number in whole_numbers(index)]
        assert readable(directory) == expected
        # Once more: what was cut off or set aside stays so.
        assert readable(directory) == expected


def whole_numbers(index: int) -> range:
    return range(index * PER_REQUEST, (index + 1) * PER_REQUEST)


@FEW
@given(garbage=st.binary(min_size=1, max_size=300), at=st.integers(0, 10_000))
def test_anything_in_the_middle_of_a_file_is_passed_over_and_kept_aside(written: Path, garbage: bytes, at: int) -> None:
    whole = records(written)
    with copy_of(written) as directory:
        file = only(directory, "*.journal")
        content = file.read_bytes()
        place = whole[at % REQUESTS].offset
        file.write_bytes(content[:place] + garbage + content[place:])
        assert readable(directory) == list(range(SPANS))
        (aside,) = (directory / "corrupt").iterdir()
        assert aside.read_bytes() == garbage


@FEW
@given(content=st.binary(max_size=2000))
def test_a_file_of_anything_opens(written: Path, content: bytes) -> None:
    with copy_of(written) as directory:
        only(directory, "*.journal").write_bytes(content)
        assert readable(directory) == []


def test_a_record_inside_a_damaged_request_is_none_of_the_journal(written: Path) -> None:
    """Whoever sends a request cannot know the seed, so what looks like a record in it is not one."""
    seed = 0x1234567890ABCDEF
    inner = numbered(900).data.tobytes()
    body = b"".join(head(guess, REQUEST, 0, 1, 1, b"stolen", inner) + inner for guess in (0, 1, seed ^ 1, seed + (1 << 40)))
    outer = bytearray(head(seed, REQUEST, 0, 1, 1, b"default", body) + body)
    outer[3] ^= 1
    assert not any(isinstance(item, Record) for item in scan(memoryview(outer), seed))


@FEW
@given(data=st.data())
def test_a_log_of_cuts_that_is_damaged_loses_no_span(written: Path, data: st.DataObject) -> None:
    """A flipped bit costs at most a line, and a line whose loss would double spans is there twice."""
    with copy_of(written) as directory:
        first = asyncio.run(stored_of(directory, 2))
        log = only(directory, "*.cuts")
        content = bytearray(log.read_bytes())
        flip = data.draw(st.integers(0, 8 * len(content) - 1))
        content[flip // 8] ^= 1 << flip % 8
        log.write_bytes(content)
        second = asyncio.run(stored_of(directory, REQUESTS))
        both = {**second.stored, **first.stored}
        assert sorted(number for stored in both.values() for number in stored) == list(range(SPANS))


@pytest.mark.parametrize("kept", range(0, 500, 7))
def test_a_log_of_cuts_that_is_cut_off_loses_no_span(written: Path, kept: int) -> None:
    with copy_of(written) as directory:
        first = asyncio.run(stored_of(directory, 2))
        log = only(directory, "*.cuts")
        log.write_bytes(log.read_bytes()[:kept])
        second = asyncio.run(stored_of(directory, REQUESTS))
        assert set(first.numbers) | set(second.numbers) == set(range(SPANS))


async def stored_of(directory: Path, requests: int) -> Deposit:
    """What a process stores that gets through so many requests, each in a batch of its own, before it is killed."""
    enough, deposit = asyncio.Event(), Deposit()

    async def stop_after(_: object) -> None:
        if len(deposit.given) > requests:
            enough.set()
            await asyncio.Event().wait()

    deposit.before = stop_after
    one_at_a_time = SMALL.__class__(min_spans=1, max_spans=PER_REQUEST, max_bytes=1 << 20, timeout_s=0.0)
    async with line_in(directory, {"clickhouse": deposit}, one_at_a_time, in_flight=1, drain_s=0.0) as line:
        await until(lambda: enough.is_set() or line.waiting() == 0)
    return deposit


async def test_what_is_damaged_is_counted_as_dropped_and_the_account_adds_up(written: Path) -> None:
    whole = records(written)
    with copy_of(written) as directory:
        file = only(directory, "*.journal")
        content = bytearray(file.read_bytes())
        content[whole[1].offset + 20] ^= 1
        content[whole[3].offset + 60] ^= 1
        file.write_bytes(content)
        deposit = Deposit()
        async with line_in(directory, {"clickhouse": deposit}) as line:
            await until(lambda: line.waiting() == 0)
            account = line.journal.cursors["clickhouse"].account
        assert deposit.numbers == [*whole_numbers(0), *whole_numbers(2), *whole_numbers(4), *whole_numbers(5)]
        assert account.settled.dropped["journal_damaged"].total() == 2 * PER_REQUEST
        assert account.accepted.total() == account.settled.stored.total() + 2 * PER_REQUEST


async def test_a_file_that_is_gone_is_counted_as_damage(tmp_path: Path) -> None:
    async with journal_in(tmp_path, segment_bytes=1000) as journal:
        for first in range(0, 30, 3):
            await journal.put(numbered(first, 3))
    names = files(tmp_path)
    assert len(names) > 3
    lost = int(names[2].name[:20]) - int(names[1].name[:20])
    names[1].unlink()
    deposit = Deposit()
    async with line_in(tmp_path, {"clickhouse": deposit}) as line:
        await until(lambda: line.waiting() == 0)
    assert len(deposit.numbers) == 30 - lost
    async with journal_in(tmp_path) as journal:
        account = journal.cursors["clickhouse"].account
    assert account.settled.dropped["journal_damaged"].total() == lost
    # What is missing in the end tells whose the spans were.
    assert account.owners() == {"default": ["default/numbers"]}
    assert (account.of("default/numbers")["stored"], account.waiting()) == (30 - lost, 0)
