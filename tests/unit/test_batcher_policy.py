"""When a batch goes and where it is cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.pipeline.batching import BatchLimits

LIMITS = BatchLimits(min_spans=100, max_spans=0, max_bytes=1000, timeout_s=0.2)


@pytest.mark.parametrize(
    ("spans", "nbytes", "age_s", "is_due"),
    [
        (1, 10, 0.0, False),
        (99, 999, 0.199, False),
        (100, 10, 0.0, True),
        (1, 1000, 0.0, True),
        (1, 10, 0.2, True),
    ],
)
def test_a_batch_goes_for_its_spans_its_bytes_or_its_age(spans: int, nbytes: int, age_s: float, is_due: bool) -> None:
    assert LIMITS.is_due(spans, nbytes, age_s) is is_due


def test_without_a_least_size_only_bytes_and_age_decide() -> None:
    limits = BatchLimits(min_spans=0, max_spans=0, max_bytes=1000, timeout_s=0.2)
    assert not limits.is_due(10**9, 10, 0.1)
    assert limits.is_due(1, 10, 0.2)


def test_without_a_timeout_every_batch_goes_at_once() -> None:
    assert BatchLimits(min_spans=100, max_spans=0, max_bytes=1000, timeout_s=0.0).is_due(1, 1, 0.0)


@given(
    weights=st.lists(st.integers(1, 2000), min_size=0, max_size=60),
    max_spans=st.integers(0, 10),
    max_bytes=st.integers(1, 4000),
)
def test_cuts_hold_every_span_once_in_order_and_keep_within_the_limits(
    weights: list[int], max_spans: int, max_bytes: int
) -> None:
    limits = BatchLimits(min_spans=0, max_spans=max_spans, max_bytes=max_bytes, timeout_s=1.0)
    pieces = [weights[run] for run in limits.cuts(np.array(weights, np.int64))]
    assert [weight for piece in pieces for weight in piece] == weights
    for piece in pieces:
        assert piece
        assert len(piece) == 1 or sum(piece) <= max_bytes
        assert not max_spans or len(piece) <= max_spans
    for piece, following in pairwise(pieces):
        full = max_spans and len(piece) == max_spans
        assert full or sum(piece) + following[0] > max_bytes
