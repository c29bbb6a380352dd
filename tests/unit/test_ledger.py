"""The account of spans: it adds up, and outside names cannot make it grow without bound."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from collector.errors import Retryable
from collector.journal import refusals
from collector.ledger import MOST_WORKSPACES, OTHERS, Account, Ledger, folded, folded_delivery
from collector.pipeline.build import Entry
from exporters.base import DEAD_LETTER, Delivery
from tests.support.batches import numbered
from tests.support.journals import journal_in


def test_an_account_tells_what_waits() -> None:
    settled = Delivery(Counter(red=3), {"type_mismatch": Counter(red=1, blue=2), DEAD_LETTER: Counter(red=2)})
    account = Account(Counter(red=12, blue=2), settled)
    assert account.of("red") == {"accepted": 12, "stored": 3, "deadLetters": 2, "dropped": {"type_mismatch": 1}, "waiting": 6}
    assert account.of("blue") == {"accepted": 2, "stored": 0, "deadLetters": 0, "dropped": {"type_mismatch": 2}, "waiting": 0}
    assert account.waiting() == 6


def test_workspaces_beyond_the_most_are_counted_together() -> None:
    known = Counter({str(number): 1 for number in range(MOST_WORKSPACES - 1)})
    assert folded({"new": 2}, known) == {"new": 2}
    known["new"] += 2
    assert folded({"newer": 3, "0": 4}, known) == {OTHERS: 3, "0": 4}
    delivery = folded_delivery(Delivery(Counter(newer=3), {"full": Counter(newest=1)}), known)
    assert (delivery.stored, delivery.dropped) == ({OTHERS: 3}, {"full": {OTHERS: 1}})


def test_what_is_refused_is_counted_by_reason_for_a_bounded_number_of_workspaces() -> None:
    ledger = Ledger()
    for number in range(MOST_WORKSPACES + 10):
        ledger.refuse({f"w{number}": 2}, "trace_id_zero")
    assert len(ledger.workspaces()) == MOST_WORKSPACES + 1
    assert ledger.refused[OTHERS] == {"trace_id_zero": 20}


async def test_what_was_refused_is_known_after_a_restart(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        entry = Entry(journal, journal.ledger)
        entry.refused("red", "trace_id_zero", 2)
        journal.close()
        with pytest.raises(Retryable):
            await entry.consume(numbered(0, 3))
    async with journal_in(tmp_path) as journal:
        assert journal.ledger.refused == {"red": {"trace_id_zero": 2}, "default": {"no_room": 3}}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 1}', b'{"a": {"b": "c"}}'])
def test_a_file_of_refusals_that_cannot_be_read_is_told_and_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "refused.json").write_bytes(content)
    assert refusals.load(tmp_path) == {}
