"""The account of spans: it adds up, and outside names cannot make it grow without bound."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from collector import ledger as ledger_module
from collector.errors import Retryable
from collector.journal import refusals
from collector.ledger import MOST_OWNERS, MOST_SERVICES, OTHERS, Account, Ledger, folded, folded_delivery
from collector.pipeline.build import Entry
from exporters.base import DEAD_LETTER, Delivery
from tests.support.batches import numbered
from tests.support.journals import journal_in

CART, SHIP = "shop/cart", "shop/ship"


def told(**numbers: int) -> dict[str, object]:
    """An entry of an account with these numbers, and nothing else."""
    return {"accepted": 0, "renamed": 0, "stored": 0, "deadLetters": 0, "dropped": {}, "waiting": 0, **numbers}


def test_an_account_tells_what_waits_of_a_service_and_of_its_workspace() -> None:
    settled = Delivery(Counter({CART: 3}), {"type_mismatch": Counter({CART: 1, SHIP: 2}), DEAD_LETTER: Counter({CART: 2})})
    account = Account(Counter({CART: 12, SHIP: 2}), settled)
    assert account.owners() == {"shop": [CART, SHIP]}
    assert account.of(CART) == told(accepted=12, stored=3, deadLetters=2, waiting=6) | {"dropped": {"type_mismatch": 1}}
    assert account.of(SHIP) == told(accepted=2) | {"dropped": {"type_mismatch": 2}}
    assert account.of(CART, SHIP) == told(accepted=14, stored=3, deadLetters=2, waiting=6) | {"dropped": {"type_mismatch": 3}}
    assert account.waiting() == 6


def test_spans_that_got_another_name_on_their_way_are_missed_nowhere() -> None:
    delivery = Delivery(Counter({"shop/new": 3}))
    delivery.rename({CART: 3}, {"shop/new": 3})
    account = Account(Counter({CART: 5}), delivery)
    assert account.of(CART) == told(accepted=5, renamed=-3, waiting=2)
    assert account.of("shop/new") == told(renamed=3, stored=3)
    assert account.of(*account.owners()["shop"]) == told(accepted=5, stored=3, waiting=2)
    assert account.settled.came() == {CART: 3, "shop/new": 0}


def test_services_beyond_the_most_count_as_their_workspace_and_workspaces_beyond_it_together() -> None:
    known = Counter({"shop": 0} | {f"shop/{number}": 1 for number in range(MOST_SERVICES - 2)})
    assert folded({"shop/new": 2}, known) == {"shop/new": 2}
    assert folded({"shop/newer": 3, "shop/newest": 1, "shop/0": 4, "other": 1}, known) == {"shop": 4, "shop/0": 4, "other": 1}
    delivery = Delivery(Counter({"shop/newer": 3}), {"full": Counter({"more/newest": 1})})
    delivery.rename({"shop/newer": 3}, {"shop/newest": 3})
    counted = folded_delivery(delivery, known)
    assert (counted.stored, counted.dropped, counted.renamed) == ({"shop": 3}, {"full": {"more": 1}}, {})
    assert sum(folded({f"w{number}": 1 for number in range(MOST_OWNERS)}, known).values()) == MOST_OWNERS
    assert len(known) == MOST_OWNERS + 1
    assert known[OTHERS] == 0
    assert OTHERS in known


def test_who_was_folded_once_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MOST_SERVICES", 3)
    known = Counter({"shop": 0, CART: 1})
    assert folded({SHIP: 1, "shop/late": 1}, known) == {SHIP: 1, "shop": 1}
    assert folded({"shop/late": 1}, known) == {"shop": 1}


def test_what_is_refused_is_counted_by_reason_for_a_bounded_number_of_services() -> None:
    ledger = Ledger()
    for number in range(MOST_SERVICES + 10):
        ledger.refuse({f"shop/{number}": 2}, "trace_id_zero")
    assert len(ledger.refused) == MOST_SERVICES + 1
    assert ledger.refused["shop"] == {"trace_id_zero": 20}
    assert ledger.reasons(ledger.refused) == {"trace_id_zero": 2 * MOST_SERVICES + 20}


async def test_what_was_refused_is_known_after_a_restart(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        entry = Entry(journal, journal.ledger)
        entry.refused("red/cart", "trace_id_zero", 2)
        journal.close()
        with pytest.raises(Retryable):
            await entry.consume(numbered(0, 3))
    async with journal_in(tmp_path) as journal:
        assert journal.ledger.refused == {"red/cart": {"trace_id_zero": 2}, "default/numbers": {"no_room": 3}}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 1}', b'{"a": {"b": "c"}}'])
def test_a_file_of_refusals_that_cannot_be_read_is_told_and_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "refused.json").write_bytes(content)
    assert refusals.load(tmp_path) == {}


def test_what_was_refused_before_services_were_told_apart_is_of_none(tmp_path: Path) -> None:
    (tmp_path / "refused.json").write_bytes(b'{"red": {"trace_id_zero": 2}}')
    ledger = Ledger(refused=refusals.load(tmp_path))
    ledger.refuse({"red/cart": 1}, "trace_id_zero")
    assert ledger.refused == {"red": {"trace_id_zero": 2}, "red/cart": {"trace_id_zero": 1}}
