"""Spans that the destination refuses for what they hold: found among the others, set aside, and the others stored once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.base import DEAD_LETTER, ExportError, Outlook, Shipment
from exporters.dead_letters import DeadLetters
from exporters.divisions import Divisions
from exporters.retrying import RetryPolicy
from exporters.send import Sender
from proto.spans import SpanBatch
from tests.support.accounts import Account
from tests.support.batches import numbered
from tests.support.picky import Killed, PickyStore, divided_in, set_aside_in

QUICK = RetryPolicy(initial_s=0.001, max_s=0.002)


def sender(store: PickyStore, directory: Path, account: Account) -> Sender:
    letters, divisions = DeadLetters(directory, "picky", 1 << 30), Divisions(directory / ".divided")
    return Sender(store, "picky", account, QUICK, 1.0, dead_letters=letters, divisions=divisions)


@given(st.integers(1, 300), st.sets(st.integers(0, 299), max_size=12))
@settings(deadline=None)
async def test_bad_spans_stand_alone_and_all_others_are_stored_once(count: int, drawn: set[int]) -> None:
    bad = {number for number in drawn if number < count}
    store, account = PickyStore(frozenset(bad)), Account()
    with TemporaryDirectory() as directory:
        delivery = await sender(store, Path(directory), account).deliver(numbered(0, count), "batch")
        assert store.numbers == [number for number in range(count) if number not in bad]
        assert set_aside_in(Path(directory)) == sorted(bad)
        delivery.forget()
        assert not divided_in(Path(directory))
    assert delivery.stored.total() == account.stored_spans == count - len(bad)
    assert delivery.dropped == ({DEAD_LETTER: {"default/numbers": len(bad)}} if bad else {})
    assert (account.aside.total(), account.drops.total()) == (len(bad), 0)


@given(st.integers(1, 100), st.sets(st.integers(0, 99), max_size=6), st.integers(1, 60), st.booleans())
@settings(deadline=None)
async def test_a_kill_at_a_send_or_after_the_last_neither_loses_nor_doubles(
    count: int, bad: set[int], dies_at: int, cured: bool
) -> None:
    """After the restart the same batch comes again, and the store may have been made to like its spans meanwhile."""
    store = PickyStore(frozenset(bad), dies_at)
    with TemporaryDirectory() as directory:
        with suppress(Killed):
            await sender(store, Path(directory), Account()).deliver(numbered(0, count), "batch")
        store.bad, store.dies_at = frozenset() if cured else store.bad, -1
        await sender(store, Path(directory), Account()).deliver(numbered(0, count), "batch")
        aside = set_aside_in(Path(directory))
        if not cured:
            assert sorted(store.numbers + aside) == list(range(count))
        assert sorted(set(store.numbers + aside)) == list(range(count))
        assert len(store.numbers) == len(set(store.numbers))
        assert set(aside) <= bad


async def test_where_all_is_refused_there_is_an_end(tmp_path: Path) -> None:
    store, account = PickyStore(frozenset(range(5_000))), Account()
    await sender(store, tmp_path, account).deliver(numbered(0, 5_000), "batch")
    assert set_aside_in(tmp_path) == list(range(5_000))
    assert store.sends < 2_500
    assert account.aside == {"type_mismatch": 5_000}


async def test_without_dead_letters_bad_spans_are_dropped_alone() -> None:
    store, account = PickyStore(frozenset({3})), Account()
    delivery = await Sender(store, "picky", account, QUICK, 1.0).deliver(numbered(0, 10), "batch")
    assert store.numbers == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert delivery.dropped == {"type_mismatch": {"default/numbers": 1}}
    assert account.drops == {"type_mismatch": 1}


async def test_dead_letters_that_cannot_be_kept_are_dropped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "picky").write_text("a file where the directory should be")
    store, account = PickyStore(frozenset({3})), Account()
    delivery = await sender(store, tmp_path, account).deliver(numbered(0, 10), "batch")
    assert store.numbers == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert delivery.dropped == {"type_mismatch": {"default/numbers": 1}}
    assert account.drops == {"type_mismatch": 1}


async def test_what_can_be_written_in_no_form_is_dropped_and_counted_and_what_follows_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slip(_: SpanBatch) -> bytes:
        raise IndexError("index is out of bounds")

    monkeypatch.setattr("exporters.dead_letters.encode_request", slip)
    store, account = PickyStore(frozenset({3})), Account()
    delivery = await sender(store, tmp_path, account).deliver(numbered(0, 10), "batch")
    assert store.numbers == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert delivery.dropped == {"type_mismatch": {"default/numbers": 1}}
    assert account.drops == {"type_mismatch": 1}


async def test_what_cannot_be_remembered_to_be_divided_is_set_aside_whole(tmp_path: Path) -> None:
    (tmp_path / ".divided").write_text("a file where the directory should be")
    store, account = PickyStore(frozenset({3})), Account()
    await sender(store, tmp_path, account).deliver(numbered(0, 10), "batch")
    assert (store.numbers, set_aside_in(tmp_path)) == ([], list(range(10)))


@pytest.mark.parametrize("outlook", [Outlook.NEVER, Outlook.UNSURE])
async def test_what_is_given_up_for_other_reasons_is_set_aside_whole(tmp_path: Path, outlook: Outlook) -> None:
    class Broken(PickyStore):
        async def prepare(self, batch: SpanBatch, name: str) -> Sequence[Shipment]:
            raise ExportError("the statement is wrong", "syntax_error", outlook)

    account = Account()
    policy = RetryPolicy(initial_s=0.001, max_s=0.001, unsure_s=0.01)
    letters = DeadLetters(tmp_path, "picky", 1 << 30)
    await Sender(Broken(frozenset()), "picky", account, policy, 1.0, dead_letters=letters).deliver(numbered(0, 10), "batch")
    assert set_aside_in(tmp_path) == list(range(10))
    assert len(list(letters.entries())) == 1
    assert account.aside == {"syntax_error": 10}
