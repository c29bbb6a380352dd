"""Consistent hashing: shares are fair, everybody agrees, and few keys move when backends come and go."""

from __future__ import annotations

from bisect import bisect_left
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.loadbalancing.ring import POINTS, Ring, key_of_text, keys_of_ids
from tests.support.batches import numbered

KEYS = np.random.default_rng(1).integers(0, 2**64, 20_000, np.uint64)
BACKENDS = st.lists(st.from_regex(r"[a-z]{1,8}:[1-9][0-9]{0,3}", fullmatch=True), min_size=2, max_size=8, unique=True)


def owners(backends: list[str], keys: np.ndarray = KEYS) -> list[str]:  # type: ignore[type-arg]  # of uint64
    ring = Ring(backends)
    return [ring.backends[place] for place in ring.owners(keys).tolist()]


def plainly(backends: list[str], key: int) -> str:
    """The owner of a key, by the definition."""
    points = []
    for backend in backends:
        for number in range(POINTS // 8):
            digest = blake2b(f"{backend}/{number}".encode()).digest()
            points += [(int.from_bytes(digest[at : at + 8], "little"), backend) for at in range(0, 64, 8)]
    points.sort()
    return points[bisect_left(points, (key, "")) % len(points)][1]


@settings(max_examples=20, deadline=None)
@given(BACKENDS, st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_a_key_belongs_to_the_backend_whose_point_comes_next(backends: list[str], keys: list[int]) -> None:
    assert owners(backends, np.array([*keys, 0, 2**64 - 1], np.uint64)) == [
        plainly(backends, key) for key in [*keys, 0, 2**64 - 1]
    ]


@settings(max_examples=20, deadline=None)
@given(BACKENDS.flatmap(lambda backends: st.tuples(st.just(backends), st.permutations(backends))))
def test_the_order_in_which_backends_are_known_does_not_matter(orders: tuple[list[str], list[str]]) -> None:
    assert owners(orders[0]) == owners(orders[1])


@settings(max_examples=20, deadline=None)
@given(BACKENDS)
def test_a_backend_that_joins_takes_its_share_from_all_and_moves_nothing_else(backends: list[str]) -> None:
    before, after = owners(backends[1:]), owners(backends)
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {new for _, new in moved} == {backends[0]}
    assert {old for old, _ in moved} == set(backends[1:])
    assert 0.6 < len(moved) / (len(KEYS) / len(backends)) < 1.5


@pytest.mark.parametrize("count", [2, 3, 10])
def test_ids_that_count_up_are_spread_as_evenly_as_random_ones(count: int) -> None:
    backends = [f"collector-{number}:4317" for number in range(count)]
    batch = numbered(0, 20_000)
    shares = np.bincount(Ring(backends).owners(keys_of_ids(batch.data, batch.spans["trace_id_offset"])), minlength=count)
    assert shares.min() > 0.7 * len(batch) / count
    assert shares.max() < 1.3 * len(batch) / count


def test_every_version_and_every_machine_gives_the_same_answer() -> None:
    backends = ["collector-1:4317", "collector-2:4317", "collector-3:4317"]
    batch = numbered(0, 12)
    keys = keys_of_ids(batch.data, batch.spans["trace_id_offset"])
    assert [f"{key:016x}" for key in keys[:2].tolist()] == ["744030a1a84c6ab6", "7d50aafd6e687c28"]
    assert "".join(owner[10] for owner in owners(backends, keys)) == "112211312211"
    assert f"{key_of_text('checkout'):016x}" == "502acfbbcfb187be"
