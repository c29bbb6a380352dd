"""The estimate of what spans weigh as rows, against blocks that are really built."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.clickhouse.partitions import by_period
from proto.native_encode import encode
from proto.otlp_decode import decode
from proto.weights import stored_bytes
from tests.support.batches import numbered, numbers
from tests.support.requests import Shape, generated_request

DAY_NS = 86_400_000_000_000


@pytest.mark.parametrize(
    "shape", [Shape(), Shape(span_attributes=40), Shape(spans_per_trace=1, services=8), Shape(events_share=1.0)]
)
def test_the_estimate_is_within_a_factor_of_three_of_the_block(shape: Shape) -> None:
    batch = decode(generated_request(shape).SerializeToString()).batch
    estimate, size = int(stored_bytes(batch).sum()), encode(batch).data.nbytes
    assert size <= estimate <= 3 * size


def test_a_heavy_resource_weighs_in_every_span() -> None:
    batch = numbered(0, 10, filler=100_000)
    assert (stored_bytes(batch) > 100_000).all()
    assert encode(batch).data.nbytes > 1_000_000


def test_a_selection_weighs_what_its_spans_weighed() -> None:
    batch = decode(generated_request().SerializeToString()).batch
    rows = np.arange(0, len(batch), 7)
    assert (stored_bytes(batch.select(rows)) == stored_bytes(batch)[rows]).all()


def test_spans_of_one_period_share_an_insert() -> None:
    batch = numbered(0, 50, start_time_unix_nano=0, step_ns=DAY_NS)
    assert by_period(batch) == {0: batch}
    assert by_period(batch.select(slice(0))) == {}


def test_spans_of_many_days_are_parted_by_period_and_keep_their_order() -> None:
    batch = numbered(0, 24, start_time_unix_nano=0, step_ns=DAY_NS // 2)
    shuffled = batch.select(np.random.default_rng(1).permutation(len(batch)))
    parts = by_period(shuffled, days=5)
    assert {period: set(numbers(part)) for period, part in parts.items()} == {
        0: set(range(10)),
        1: set(range(10, 20)),
        2: set(range(20, 24)),
    }
    came = numbers(shuffled)
    for part in parts.values():
        assert numbers(part) == [number for number in came if number in numbers(part)]


def test_a_part_has_the_same_name_whatever_else_is_in_the_batch() -> None:
    batch = numbered(0, 200, start_time_unix_nano=0, step_ns=DAY_NS)
    later = by_period(batch.select(slice(60, None)))
    for period, part in later.items():
        assert set(numbers(part)) <= set(numbers(by_period(batch)[period]))
