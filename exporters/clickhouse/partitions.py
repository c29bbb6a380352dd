"""Which spans may share an insert: ClickHouse refuses one that touches too many partitions, and a partition is a day."""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.spans import SpanBatch

DAYS_PER_INSERT: Final = 50
"""Half of what servers allow by default (max_partitions_per_insert_block), as a day of UTC may lie in two of the server's."""

_DAY_NS: Final = np.uint64(86_400_000_000_000)


def by_days(batch: SpanBatch, most: int = DAYS_PER_INSERT) -> list[SpanBatch]:
    """The batch itself, or parts of it that hold `most` days each, in order of the days and else as the spans came."""
    days = batch.spans["start_time_unix_nano"] // _DAY_NS
    if not len(days) or days.max() - days.min() < most:
        return [batch]
    distinct, day_of_span = np.unique(days, return_inverse=True)
    if len(distinct) <= most:
        return [batch]
    order = np.argsort(day_of_span, kind="stable")
    group = day_of_span[order] // most
    return [batch.select(rows) for rows in np.split(order, np.flatnonzero(np.diff(group)) + 1)]
