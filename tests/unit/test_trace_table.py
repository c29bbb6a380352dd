"""The table of traces does what a dictionary does, and what is gathered is what a loop gathers."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from proto.otlp_decode import decode
from proto.trace_table import KEY_WORDS, TRACE, UNKNOWN, KeyTable, admit, gather, trace_keys
from tests.support.requests import generated_request


def keys_of(numbers: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    return np.array([[number, number % 3, number % 2] for number in numbers], np.uint64).reshape(-1, KEY_WORDS)


@pytest.mark.parametrize("seed", range(20))
def test_keys_have_the_slots_that_a_dictionary_would_say(seed: int) -> None:
    random = Random(seed)
    table, known = KeyTable(40), dict[int, int]()
    for _ in range(100):
        if table.capacity - table.used < 20:
            table.grow(table.capacity + 30)
        wanted = [random.randrange(60) for _ in range(random.randrange(20))]
        slots, fresh = table.enter(keys_of(wanted))
        assert fresh.tolist() == [
            slot for place, slot in enumerate(slots.tolist()) if wanted[place] not in known and slot not in slots[:place]
        ]
        for number, slot in zip(wanted, slots.tolist(), strict=True):
            assert known.setdefault(number, slot) == slot
        assert len(set(known.values())) == len(known) == table.used
        assert table.find(keys_of(list(range(60)))).tolist() == [known.get(number, UNKNOWN) for number in range(60)]
        gone = random.sample(sorted(known), random.randrange(len(known) + 1))
        table.remove(np.array([known.pop(number) for number in gone], np.int32))


def test_a_full_table_takes_no_more() -> None:
    table = KeyTable(2)
    table.enter(keys_of([1, 2]))
    with pytest.raises(IndexError):
        table.enter(keys_of([3]))


def test_keys_are_ids_and_workspaces() -> None:
    batch = decode(generated_request(seed=1).SerializeToString()).batch
    keys = trace_keys(batch, np.array([7], np.uint64))
    ids = batch.data[batch.spans["trace_id_offset"][:, None] + np.arange(16)]
    assert np.array_equal(keys.view(np.uint8).reshape(-1, 24)[:, :16], ids)
    assert set(keys[:, 2].tolist()) == {7}


def test_traces_gather_what_their_spans_say() -> None:
    batch = decode(generated_request(seed=1).SerializeToString()).batch
    count = len(batch)
    random = np.random.default_rng(1)
    slots = random.integers(0, 50, count).astype(np.int32)
    marks = random.integers(0, 8, count).astype(np.uint32)
    bits = random.integers(0, 2**63, (count, 2)).astype(np.uint64)
    traces, met = np.zeros(50, TRACE), np.zeros((50, 2), np.uint64)
    traces["start_time_unix_nano"] = np.iinfo(np.uint64).max
    gather(traces, met, slots, batch.spans, marks, bits)
    for slot in np.unique(slots):
        spans, chosen = batch.spans[slots == slot], slots == slot
        assert traces["start_time_unix_nano"][slot] == spans["start_time_unix_nano"].min()
        assert traces["end_time_unix_nano"][slot] == spans["end_time_unix_nano"].max()
        assert traces["wire_bytes"][slot] == spans["wire_length"].sum()
        assert traces["spans"][slot] == len(spans)
        assert traces["marks"][slot] == np.bitwise_or.reduce(marks[chosen])
        assert np.array_equal(met[slot], np.bitwise_or.reduce(bits[chosen], axis=0))


def test_what_is_too_large_does_not_keep_out_what_is_smaller() -> None:
    admitted = np.empty(5, np.bool_)
    left = admit(admitted, np.array([True, True, True, False, True]), np.array([4, 7, 5, 1, 1]), 10)
    assert admitted.tolist() == [True, False, True, False, True]
    assert left == 0
