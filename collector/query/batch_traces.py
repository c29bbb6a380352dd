"""Traces of spans that are not stored: the block that would be, read as answers of the store are."""

from __future__ import annotations

from typing import Final

import numpy as np

from collector.query.native_values import strings_of
from collector.query.span_rows import SpanRows
from collector.query.spans import Spans
from proto.native_decode import decode_blocks
from proto.native_encode import encode
from proto.span_columns import COLUMNS
from proto.spans import SpanBatch

# Those that are all default as well, which a block to be stored does without.
_ALL_COLUMNS: Final = tuple(column._replace(needed=lambda _: True) for column in COLUMNS)


def traces_of(batch: SpanBatch) -> list[Spans]:
    """The traces of a batch, in the order in which they first occur. Of a large batch it takes a while."""
    if not len(batch):
        return []
    columns = decode_blocks(encode(batch, _ALL_COLUMNS).data.tobytes())
    # What agrees in all else is one span that was sent twice.
    rows = SpanRows({**columns, "Content": np.zeros(len(batch), np.uint64)})
    by_trace: dict[str, list[int]] = {}
    for row, trace_id in enumerate(strings_of(columns["TraceId"])):
        by_trace.setdefault(trace_id, []).append(row)
    return [rows.spans(trace_id, of_trace) for trace_id, of_trace in by_trace.items()]
