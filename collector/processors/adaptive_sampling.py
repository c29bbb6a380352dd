"""Counts what clients have sampled, for adaptive sampling: the processor `adaptive_sampling`. Changes and drops nothing.

Clients that ask how to sample say on root spans how they did: `sampler.type` is `probabilistic`, or `lowerbound` for a trace that
only the guaranteed minimum has let through, and `sampler.param` is the probability.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from collector.processors.base import Processed
from collector.processors.red_metrics import Key, combined, keys_of
from collector.sketch import totals
from config.remote_sampling import AdaptiveSamplingProcessor
from exporters.base import DerivedRows
from proto.attribute_search import find_attributes
from proto.distinct import distinct_values
from proto.native_columns import NativeColumn, Strings
from proto.spans import ABSENT, SpanBatch, take

TABLE: Final = "otel_sampling_throughput"
BUCKET_S: Final = 10
"""Seconds into which what comes is counted."""

_BUCKET_NS: Final = BUCKET_S * 10**9
_LAST_BUCKET: Final = 2**32 // BUCKET_S - 1
_TYPES: Final = (b"probabilistic", b"lowerbound")
_SYMBOL: Final = "LowCardinality(String)"


class AdaptiveSampling:
    """See the module."""

    def __init__(self, _: AdaptiveSamplingProcessor) -> None:
        pass

    def process(self, batch: SpanBatch) -> Processed:
        """The batch as it is, and what was counted of it."""
        roots = np.flatnonzero(batch.spans["parent_span_id_offset"] == ABSENT)
        if not len(roots):
            return Processed(batch)
        kinds, parameters = find_attributes(batch, take(batch.spans, roots), (b"sampler.type", b"sampler.param"))
        tagged = np.flatnonzero((kinds != ABSENT) & (parameters != ABSENT))
        codes, texts = distinct_values(batch.data, take(batch.attributes, kinds[tagged]))
        known = np.array([text in _TYPES for text in texts], np.bool_)[codes]
        counts = np.array([text == _TYPES[0] for text in texts], np.float64)[codes][known]
        tagged = tagged[known]
        if not len(tagged):
            return Processed(batch)
        sampled = batch.select(roots[tagged])
        workspace, service, operation, *_ = keys_of(sampled)
        told, texts = distinct_values(batch.data, take(batch.attributes, parameters[tagged]))
        probability = Key([text.decode("utf-8", "replace") for text in texts], told.astype(np.int64))
        starts = sampled.spans["start_time_unix_nano"]
        buckets = np.minimum(starts // np.uint64(_BUCKET_NS), np.uint64(_LAST_BUCKET)).astype(np.int64)
        names = {"Workspace": workspace, "ServiceName": service, "SpanName": operation, "Probability": probability}
        earliest = int(buckets.min())
        rows, first = combined(
            [*(key.codes for key in names.values()), buckets - earliest],
            [*(len(key.values) for key in names.values()), int(buckets.max()) - earliest + 1],
        )
        seconds = buckets[first] * BUCKET_S
        columns = [
            *(NativeColumn(name, _SYMBOL, Strings(key.values, key.codes[first])) for name, key in names.items()),
            NativeColumn("Bucket", "DateTime", seconds),
            NativeColumn("Traces", "Float64", totals(rows, counts, len(first))),
        ]
        return Processed(batch, derived=[DerivedRows(TABLE, columns, seconds)])
