"""The sender: when it tries again, when it gives up, and that it counts what becomes of every span."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporters.base import DerivedRows, ExportError, Outlook, PartialSuccess, RowShipment, Shipment
from exporters.retrying import RetryPolicy
from exporters.send import Sender
from proto.spans import SpanBatch
from tests.support.accounts import Account
from tests.support.batches import numbered
from tests.support.waiting import until

QUICK = RetryPolicy(initial_s=0.001, max_s=0.002)


@dataclass
class Parcel:
    """A shipment that fails with each of `faults` in turn before it succeeds, or half succeeds."""

    batch: SpanBatch
    faults: list[Exception]
    name: str = "parcel"
    nbytes: int = 100
    attempts: int = 0
    partly: PartialSuccess | None = None

    @property
    def spans(self) -> int:
        return len(self.batch)

    @property
    def owners(self) -> dict[str, int]:
        return {"default/numbers": len(self.batch)}

    async def send(self, timeout_s: float) -> PartialSuccess | None:
        self.attempts += 1
        if self.faults:
            raise self.faults.pop(0)
        return self.partly


@dataclass
class Parcels:
    """An exporter that makes two parcels of each batch; the faults are those of its steps."""

    opening: list[Exception] = field(default_factory=list)
    preparing: list[Exception] = field(default_factory=list)
    sending: list[Exception] = field(default_factory=list)
    parcels: list[Parcel] = field(default_factory=list)
    partly: PartialSuccess | None = None

    async def open(self) -> None:
        if self.opening:
            raise self.opening.pop(0)

    async def prepare(self, batch: SpanBatch, name: str) -> Sequence[Shipment]:
        if self.preparing:
            raise self.preparing.pop(0)
        rest = Parcel(batch.select(slice(1, None)), [], partly=self.partly)
        self.parcels = [Parcel(batch.select(slice(1)), self.sending), rest]
        return self.parcels


def fault(outlook: Outlook, reason: str = "trouble") -> ExportError:
    return ExportError("something went wrong", reason, outlook)


def sender(exporter: Parcels, counts: Account, policy: RetryPolicy = QUICK) -> Sender:
    return Sender(exporter, "parcels", counts, policy, timeout_s=1.0)


async def test_every_shipment_of_a_batch_is_sent_once_and_counted() -> None:
    counts, exporter = Account(), Parcels()
    await sender(exporter, counts).deliver(numbered(0, 5), "a")
    assert counts.stored_spans == 5
    assert [parcel.attempts for parcel in exporter.parcels] == [1, 1]
    assert (counts.drops, counts.retries) == ({}, {})


@pytest.mark.parametrize("outlook", [Outlook.LATER, Outlook.UNSURE])
async def test_a_shipment_that_fails_is_sent_again_until_it_is_stored(outlook: Outlook) -> None:
    counts, exporter = Account(), Parcels(sending=[fault(outlook, "too_many_parts")] * 3)
    await sender(exporter, counts).deliver(numbered(0, 5), "a")
    assert [parcel.attempts for parcel in exporter.parcels] == [4, 1]
    assert counts.stored_spans == 5
    assert counts.retries == {"too_many_parts": 3}


async def test_only_the_shipment_that_is_beyond_hope_is_dropped_and_counted_by_its_reason() -> None:
    counts, exporter = Account(), Parcels(sending=[fault(Outlook.LATER), fault(Outlook.NEVER, "type_mismatch")])
    delivery = await sender(exporter, counts).deliver(numbered(0, 5), "a")
    assert (delivery.stored, delivery.dropped) == ({"default/numbers": 4}, {"type_mismatch": {"default/numbers": 1}})
    assert counts.drops == {"type_mismatch": 1}
    assert counts.stored_spans == 4
    assert counts.retries == {"trouble": 1}


async def test_a_batch_that_cannot_be_prepared_is_dropped_whole() -> None:
    counts = Account()
    await sender(Parcels(preparing=[fault(Outlook.NEVER, "encoding_failed")]), counts).deliver(numbered(0, 5), "a")
    assert counts.drops == {"encoding_failed": 5}
    assert counts.stored_spans == 0


async def test_a_fault_of_ours_is_tried_again_and_loses_no_span() -> None:
    counts = Account()
    exporter = Parcels(sending=[RuntimeError("a slip")])
    await sender(exporter, counts).deliver(numbered(0, 5), "a")
    assert counts.stored_spans == 5
    assert counts.retries == {"internal_error": 1}


async def test_failures_that_take_turns_are_each_told_once() -> None:
    exporter = Parcels(sending=[fault(Outlook.LATER, reason) for reason in ("timeout", "http_500") * 20])
    with capture_logs() as log:
        await sender(exporter, Account()).deliver(numbered(0, 5), "a")
    assert [line["reason"] for line in log if line["event"] == "spans_not_stored_yet"] == ["timeout", "http_500"]
    assert [line["after"] for line in log if line["event"] == "exporter_recovered"] == [["http_500", "timeout"]]


async def test_what_need_not_pass_by_itself_is_given_up_after_a_while() -> None:
    counts = Account()
    policy = RetryPolicy(initial_s=0.001, max_s=0.001, unsure_s=0.01)
    exporter = Parcels(sending=[fault(Outlook.UNSURE, "authentication_failed")] * 10_000)
    await sender(exporter, counts, policy).deliver(numbered(0, 5), "a")
    assert counts.drops == {"authentication_failed": 1}
    assert counts.stored_spans == 4


async def test_without_retries_the_first_failure_is_the_last() -> None:
    counts = Account()
    await sender(Parcels(sending=[fault(Outlook.LATER, "timeout")]), counts, RetryPolicy(enabled=False)).deliver(
        numbered(0, 5), "a"
    )
    assert counts.drops == {"timeout": 1}
    assert counts.retries == {}


async def test_opening_is_tried_until_it_succeeds_and_trouble_is_told_meanwhile() -> None:
    counts, exporter = Account(), Parcels(opening=[fault(Outlook.NEVER), fault(Outlook.LATER)])
    opened = sender(exporter, counts, RetryPolicy(initial_s=3600.0))
    assert opened.trouble == "not connected yet"
    opening = asyncio.create_task(opened.open())
    await asyncio.sleep(0)
    assert opened.trouble == "something went wrong"
    opening.cancel()
    await asyncio.wait({opening})
    await sender(exporter, counts).open()
    await opened.deliver(numbered(0, 2), "a")
    assert opened.trouble == ""


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_waits_grow_to_the_longest_and_are_spread_around_it(failures: int, chance: float) -> None:
    policy = RetryPolicy(initial_s=5.0, multiplier=1.5, randomization=0.5, max_s=30.0)
    middle = min(5.0 * 1.5 ** min(failures - 1, 20), 30.0)
    assert policy.delay_s(failures, chance) == pytest.approx(middle * (0.5 + chance))


def test_passing_trouble_is_never_given_up_unless_there_is_a_limit() -> None:
    assert not RetryPolicy().gives_up(Outlook.LATER, 1e9, 0.0)
    assert RetryPolicy(max_elapsed_s=60.0).gives_up(Outlook.LATER, 60.0, 0.0)
    assert RetryPolicy(max_elapsed_s=60.0).gives_up(Outlook.UNSURE, 60.0, 0.0)
    assert not RetryPolicy(max_elapsed_s=60.0).gives_up(Outlook.UNSURE, 59.0, 59.0)
    assert RetryPolicy(unsure_s=300.0).gives_up(Outlook.UNSURE, 300.0, 300.0)
    assert not RetryPolicy(unsure_s=300.0).gives_up(Outlook.UNSURE, 1e9, 299.0)
    assert RetryPolicy().gives_up(Outlook.NEVER, 0.0, 0.0)


async def test_what_is_unsure_after_a_long_absence_is_tried_for_as_long_as_ever() -> None:
    seconds = 0.0
    outcomes = [fault(Outlook.UNSURE)] + [fault(Outlook.LATER, "unreachable")] * 5 + [fault(Outlook.UNSURE)] * 3
    exporter = Parcels(sending=outcomes)

    def hours_later() -> float:
        nonlocal seconds
        # An attempt is an hour after the one before while the store is away, and a minute where it answers.
        seconds += 3600.0 if len(exporter.sending) > 3 else 60.0
        return seconds

    counts = Account()
    await Sender(exporter, "parcels", counts, QUICK, 1.0, hours_later).deliver(numbered(0, 5), "a")
    assert counts.stored_spans == 5
    assert not counts.drops


@dataclass
class RowParcel:
    """Rows that fail with each of `faults` in turn before they are taken."""

    rows: int
    faults: list[Exception]

    async def send(self, timeout_s: float) -> None:
        if self.faults:
            raise self.faults.pop(0)


@dataclass
class TableParcels(Parcels):
    """An exporter with tables: rows go in two parcels."""

    row_faults: list[Exception] = field(default_factory=list)

    async def prepare_rows(self, rows: DerivedRows, name: str) -> Sequence[RowShipment]:
        if self.preparing:
            raise self.preparing.pop(0)
        return [RowParcel(1, self.row_faults), RowParcel(len(rows) - 1, [])]


ROWS = DerivedRows("red", [], np.zeros(5, np.int64))


async def test_derived_rows_are_sent_until_they_are_stored_and_are_no_spans() -> None:
    counts = Account()
    exporter = TableParcels(preparing=[fault(Outlook.LATER)], row_faults=[fault(Outlook.LATER, "timeout")] * 3)
    await sender(exporter, counts).deliver_rows(ROWS, "a")
    assert (counts.rows, counts.row_drops, counts.stored_spans) == ({"red": 5}, {}, 0)
    assert counts.retries == {"trouble": 1, "timeout": 3}


async def test_derived_rows_that_are_refused_for_good_are_counted_and_logged_and_the_others_are_stored() -> None:
    counts = Account()
    with capture_logs() as logs:
        await sender(TableParcels(row_faults=[fault(Outlook.NEVER)]), counts).deliver_rows(ROWS, "a")
        await sender(TableParcels(preparing=[fault(Outlook.NEVER, "encoding_failed")]), counts).deliver_rows(ROWS, "a")
    assert counts.rows == {"red": 4}
    assert counts.row_drops == {("red", "trouble"): 1, ("red", "encoding_failed"): 5}
    assert [(entry["event"], entry["rows"]) for entry in logs] == [("derived_rows_given_up", 1), ("derived_rows_given_up", 5)]


async def test_an_exporter_without_tables_is_not_asked_for_derived_rows() -> None:
    counts, exporter = Account(), Parcels()
    await sender(exporter, counts).deliver_rows(ROWS, "a")
    assert (counts.rows, counts.row_drops, exporter.parcels) == ({}, {}, [])


async def test_spans_that_the_other_side_left_out_are_dropped_and_its_words_are_told_once() -> None:
    counts, exporter = Account(), Parcels(partly=PartialSuccess(3, "no room"))
    sending = sender(exporter, counts)
    with capture_logs() as lines:
        deliveries = [await sending.deliver(numbered(0, 5), name) for name in ("a", "b")]
    assert [delivery.stored for delivery in deliveries] == [{"default/numbers": 2}] * 2
    assert [delivery.dropped for delivery in deliveries] == [{"partial_success": {"default/numbers": 3}}] * 2
    assert (counts.stored_spans, counts.drops) == (4, {"partial_success": 6})
    assert [(line["message"], line["refused"]) for line in lines if line["event"] == "partial_success"] == [("no room", 3)]


async def test_a_warning_about_spans_that_were_all_taken_drops_none() -> None:
    counts, exporter = Account(), Parcels(partly=PartialSuccess(0, "attributes should have units"))
    delivery = await sender(exporter, counts).deliver(numbered(0, 5), "a")
    assert (delivery.stored, delivery.dropped) == ({"default/numbers": 5}, {})


async def test_a_peer_that_asks_to_be_left_alone_is(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []
    timeout = asyncio.timeout

    def shortened(seconds: float) -> asyncio.Timeout:
        waits.append(seconds)
        return timeout(0)

    monkeypatch.setattr(asyncio, "timeout", shortened)
    asked = ExportError("busy", "resource_exhausted", Outlook.LATER, delay_s=7.0)
    await sender(Parcels(sending=[asked, fault(Outlook.LATER)]), Account()).deliver(numbered(0, 5), "a")
    assert waits[0] == 7.0
    assert waits[1] < 1.0


async def test_who_waits_for_the_next_attempt_can_be_hurried() -> None:
    counts = Account()
    sending = sender(Parcels(sending=[fault(Outlook.LATER)]), counts, RetryPolicy(initial_s=3600.0))
    delivering = asyncio.create_task(sending.deliver(numbered(0, 5), "a"))
    await until(lambda: counts.retries["trouble"] == 1)
    sending.hurry()
    assert (await delivering).stored.total() == 5


async def test_what_is_to_go_elsewhere_is_given_back_under_its_name_and_neither_stored_nor_dropped() -> None:
    counts = Account()
    delivery = await sender(Parcels(sending=[fault(Outlook.ELSEWHERE)]), counts).deliver(numbered(0, 5), "a")
    assert [(len(batch), name) for batch, name in delivery.returned] == [(1, "parcel")]
    assert delivery.came() == {"default/numbers": 4}
    assert (counts.stored_spans, counts.drops, counts.aside) == (4, {}, {})


async def test_trouble_lasts_until_something_is_stored_whatever_can_be_prepared_meanwhile() -> None:
    exporter = Parcels(sending=[fault(Outlook.LATER), fault(Outlook.NEVER)])
    sending = sender(exporter, Account())
    shipped: list[str] = []
    prepare = exporter.prepare

    async def preparing(batch: SpanBatch, name: str) -> Sequence[Shipment]:
        shipments = await prepare(batch, name)
        shipped.append(sending.trouble)
        return shipments[:1] if name == "bad" else shipments

    exporter.prepare = preparing  # type: ignore[method-assign]  # the same with a look at the sender
    for name in ("bad", "good", "good"):
        await sending.deliver(numbered(0, 5), name)
    assert shipped == ["not connected yet", "something went wrong", ""]
