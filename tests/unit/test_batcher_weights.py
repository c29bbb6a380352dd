"""The estimate of what spans weigh as rows, against blocks that are really built."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.clickhouse.partitions import by_days
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


def test_spans_of_few_days_share_an_insert_in_the_order_in_which_they_came() -> None:
    batch = numbered(0, 40, start_time_unix_nano=0, step_ns=DAY_NS)
    assert by_days(batch) == [batch]
    far_apart = numbered(0, 3, start_time_unix_nano=0, step_ns=10_000 * DAY_NS)
    assert by_days(far_apart) == [far_apart]


def test_spans_of_many_days_are_parted_by_days_and_keep_their_order_within_them() -> None:
    batch = numbered(0, 24, start_time_unix_nano=0, step_ns=DAY_NS // 2)
    shuffled = batch.select(np.random.default_rng(1).permutation(len(batch)))
    parts = by_days(shuffled, most=5)
    days = [{number // 2 for number in numbers(part)} for part in parts]
    assert [len(each) for each in days] == [5, 5, 2]
    assert sorted(number for part in parts for number in numbers(part)) == list(range(24))
    came = numbers(shuffled)
    for part in parts:
        for day in {number // 2 for number in numbers(part)}:
            of_day = [number for number in numbers(part) if number // 2 == day]
            assert of_day == [number for number in came if number // 2 == day]
