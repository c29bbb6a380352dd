"""Spans with bytes of their own are the same spans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from proto.compact import compact
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support.batches import numbered
from tests.support.requests import every_value_request, generated_request


def some_batches() -> list[SpanBatch]:
    requests = (every_value_request(), generated_request(seed=1), generated_request(seed=2))
    return [decode(request.SerializeToString()).batch for request in requests]


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_what_is_compact_says_the_same(share: float) -> None:
    batch = concatenate([*some_batches(), numbered(0, 3, workspace="other"), numbered(0, 3, service="")])
    chosen = batch.select(np.random.default_rng(1).random(len(batch)) < share)
    made = compact(chosen)
    assert encode_request(made) == encode_request(chosen)
    assert encode_request(concatenate([made, made])) == encode_request(concatenate([chosen, chosen]))


def test_what_is_compact_takes_room_for_its_own_spans_alone() -> None:
    batch = concatenate(some_batches())
    made = compact(batch.select(slice(3, 10)))
    assert made.nbytes < batch.nbytes / 50
    assert compact(made).nbytes == made.nbytes


def test_what_spans_stand_for_goes_along() -> None:
    weighed = replace(numbered(0, 4), adjusted_count=np.arange(4.0))
    counts = compact(weighed.select(np.array([2, 0]))).adjusted_count
    assert counts is not None
    assert counts.tolist() == [2, 0]
