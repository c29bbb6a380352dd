"""Which spans may share an insert: ClickHouse refuses one that touches too many partitions, and a partition is a day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from exporters.base import DerivedRows
from proto.spans import SpanBatch

DAYS_PER_INSERT: Final = 50
"""Half of what servers allow by default (max_partitions_per_insert_block), as a day of UTC may lie in two of the server's."""

_DAY_S: Final = 86_400
_DAY_NS: Final = _DAY_S * 1_000_000_000


def by_period(batch: SpanBatch, days: int = DAYS_PER_INSERT) -> Mapping[int, SpanBatch]:
    """The parts of a batch that lie in one period each, in order of time, and within a part as the spans came.

    Periods are of so many days and counted from 1970, so a span's period does not depend on the spans beside it: named by it, a
    part that is made again has the same name, even if a processor has meanwhile been told to drop others.
    """
    periods = batch.spans["start_time_unix_nano"] // np.uint64(days * _DAY_NS)
    if len(periods) and periods.min() == periods.max():
        return {int(periods[0]): batch}
    return {period: batch.select(periods == period) for period in np.unique(periods).tolist()}


def rows_by_period(rows: DerivedRows, days: int = DAYS_PER_INSERT) -> Mapping[int, DerivedRows]:
    """The same for derived rows."""
    periods = rows.times // (days * _DAY_S)
    if periods.min() == periods.max():
        return {int(periods[0]): rows}
    return {period: rows.select(np.flatnonzero(periods == period)) for period in np.unique(periods).tolist()}
