"""Halves of calls meet in a table, in either order, and those that meet nobody leave it: compared with lists and loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.call_kernels import CALLEE, CALLER, CLIENT, INTERNAL, LINKED, PRODUCER, SERVER
from proto.otlp_decode import decode
from proto.span_table import HALF, SpanTable, find_callers, look_up, span_keys
from proto.spans import ABSENT, Table
from tests.support.requests import every_value_request

SENDERS = (CLIENT, PRODUCER)

one_half = st.fixed_dictionaries(
    {
        "key": st.integers(1, 6),
        "side": st.sampled_from([CALLER, CALLEE, LINKED]),
        "service": st.integers(0, 2),
        "kind": st.integers(0, 5),
    }
)


def as_table(halves: list[dict[str, Any]]) -> Table:
    table = np.zeros(len(halves), HALF)
    for field in halves[0] if halves else ():
        table[field] = [half[field] for half in halves]
    return table


def is_call(caller: dict[str, Any], callee: dict[str, Any]) -> bool:
    if caller["service"] == callee["service"]:
        return False
    if callee["side"] == LINKED:
        return bool(caller["kind"] == PRODUCER)
    return not (caller["kind"] in SENDERS and callee["kind"] in SENDERS)


class PlainTable:
    """The same with a list; what has met somebody and waits no more keeps its place until it is the oldest."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.waiting: list[dict[str, Any]] = []

    def add(self, halves: list[dict[str, Any]]) -> tuple[list[tuple[int, int]], list[int]]:
        """Pairs of starts, and the starts of what was evicted."""
        pairs, evicted = [], []
        for start in range(0, len(halves), self.capacity):
            part = halves[start : start + self.capacity]
            while self.waiting and (self.waiting[0]["gone"] or len(self.waiting) + len(part) > self.capacity):
                evicted += self._unmatched(self.waiting.pop(0))
            for half in part:
                pairs += self._meet(half | {"gone": False, "matched": False})
        return pairs, evicted

    def _meet(self, half: dict[str, Any]) -> list[tuple[int, int]]:
        others = [other for other in reversed(self.waiting) if other["key"] == half["key"] and not other["gone"]]
        pairs = []
        if half["side"] == CALLER:
            for callee in others:
                if callee["side"] != CALLER:
                    callee["gone"] = True
                    if is_call(half, callee):
                        half["matched"] = True
                        pairs.append((half["start"], callee["start"]))
            self.waiting.append(half)
            return pairs
        callers = [other for other in others if other["side"] == CALLER]
        if not callers:
            self.waiting.append(half)
        for caller in callers[:4]:
            if is_call(caller, half):
                caller["matched"] = True
                return [(caller["start"], half["start"])]
        return []

    def _unmatched(self, half: dict[str, Any]) -> list[int]:
        return [] if half["gone"] or half["matched"] else [half["start"]]

    def rest(self) -> list[int]:
        """The starts of those that still wait and have met nobody."""
        return [start for half in self.waiting for start in self._unmatched(half)]


@given(
    halves=st.lists(one_half, max_size=60),
    sizes=st.lists(st.integers(1, 9), min_size=60, max_size=60),
    capacity=st.integers(1, 30),
)
@settings(max_examples=150, deadline=None)
def test_halves_meet_as_in_a_list_and_leave_when_there_is_no_room(
    halves: list[dict[str, Any]], sizes: list[int], capacity: int
) -> None:
    halves = [half | {"start": number} for number, half in enumerate(halves)]
    table, plain = SpanTable(capacity), PlainTable(capacity)
    start = 0
    for size in sizes:
        part = halves[start : start + size]
        start += size
        callers, callees, evicted = table.add(as_table(part), float(start))
        expected_pairs, expected_evicted = plain.add(part)
        assert list(zip(callers["start"].tolist(), callees["start"].tolist(), strict=True)) == expected_pairs
        assert evicted["start"].tolist() == expected_evicted
        assert len(table) <= capacity
    assert table.expire(np.inf)["start"].tolist() == plain.rest()
    assert len(table) == 0


def test_only_what_is_older_expires() -> None:
    table = SpanTable(10)
    for number in range(4):
        table.add(as_table([{"key": number + 1, "side": CALLEE, "service": 0, "kind": SERVER, "start": number}]), float(number))
    assert table.expire(2.0)["start"].tolist() == [0, 1]
    callers, _, _ = table.add(
        as_table([{"key": key, "side": CALLER, "service": 1, "kind": CLIENT, "start": 9} for key in (1, 3)]), 5.0
    )
    assert callers["key"].tolist() == [3]


def plain_key(trace_id: bytes, span_id: bytes) -> int:
    """A key with numbers of any size."""
    state = 0
    for word, shift in zip((span_id, trace_id[:8], trace_id[8:], bytes(8)), (32, 29, 32, 29), strict=True):
        state = (state ^ int.from_bytes(word, "little")) * 0x9E3779B97F4A7C15 % 2**64
        state ^= state >> shift
    return state


def test_keys_are_the_same_on_every_machine() -> None:
    data = np.arange(32, dtype=np.uint8)
    keys = span_keys(data, np.array([0, 0, 8, 0]), np.array([16, ABSENT, 16, 24]))
    places = ((0, 16), (8, 16), (0, 24))
    first, third, last = (plain_key(bytes(data[trace : trace + 16]), bytes(data[span : span + 8])) for trace, span in places)
    assert keys.tolist() == [first, 0, third, last]
    assert first == 293743654770925825
    assert span_keys(np.zeros(24, np.uint8), np.array([0]), np.array([16])).tolist() == [0]


kinds = st.integers(0, 5)


@st.composite
def forests(draw: st.DrawFn) -> list[dict[str, int]]:
    """Spans with a key, a parent's key (0 for none; it may be unknown, or the span's own), a service (-1 for none) and a kind."""
    count = draw(st.integers(0, 25))
    return [
        {
            "key": number + 1 if draw(st.booleans()) else draw(st.integers(1, count)),
            "parent": draw(st.integers(0, count + 3)),
            "service": draw(st.integers(-1, 2)),
            "kind": draw(kinds),
            "alone": draw(st.integers(0, 9)) == 0,
        }
        for number in range(count)
    ]


@given(forests())
@settings(max_examples=150, deadline=None)
def test_callers_in_a_batch_are_those_that_the_rule_names(spans: list[dict[str, int]]) -> None:
    by_key: dict[int, int] = {}
    for receives in (True, False):
        for row, span in enumerate(spans):
            if (span["kind"] in (2, 5)) == receives:
                by_key.setdefault(span["key"], row)
    expected = [ABSENT] * len(spans)
    parents = [by_key.get(span["parent"], ABSENT) for span in spans]
    for row, span in enumerate(spans):
        parent = parents[row]
        if parent == ABSENT or spans[parent]["alone"] or ABSENT in (span["service"], spans[parent]["service"]):
            continue
        if span["service"] != spans[parent]["service"] and not {span["kind"], spans[parent]["kind"]} <= set(SENDERS):
            above, steps = parent, 0
            while spans[above]["kind"] == INTERNAL and steps < 64:
                above, steps = parents[above], steps + 1
                if above == ABSENT or spans[above]["service"] != spans[parent]["service"]:
                    above = parent
                    break
            is_caller = spans[above]["kind"] in SENDERS and not spans[above]["alone"]
            expected[row] = above if is_caller else parent
    columns = {
        field: np.array([span[field] for span in spans], np.int64) for field in ("key", "parent", "service", "kind", "alone")
    }
    keys = columns["key"].astype(np.uint64)
    callers, found_parents, matched, slots = find_callers(
        keys,
        columns["parent"].astype(np.uint64),
        columns["service"].astype(np.int32),
        columns["kind"].astype(np.int32),
        columns["alone"].astype(np.bool_),
    )
    assert callers.tolist() == expected
    assert found_parents.tolist() == parents
    shared = {
        row
        for row, span in enumerate(spans)
        if span["kind"] in SENDERS
        and spans[by_key[span["key"]]]["kind"] in (2, 5)
        and spans[by_key[span["key"]]]["service"] != span["service"]
    }
    assert set(np.flatnonzero(matched).tolist()) == shared | set(expected) - {ABSENT}
    wanted = np.arange(0, len(spans) + 4, dtype=np.uint64)
    assert look_up(wanted, keys, slots).tolist() == [by_key.get(key, ABSENT) for key in range(len(spans) + 4)]


def test_ids_of_a_real_batch_have_keys_of_their_own() -> None:
    batch = decode(every_value_request().SerializeToString()).batch
    keys = span_keys(batch.data, batch.spans["trace_id_offset"], batch.spans["span_id_offset"])
    assert len(set(keys.tolist())) == len(batch)
