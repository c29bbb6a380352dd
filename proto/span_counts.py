"""How many spans each resource of a batch has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from proto.kernel import kernel
from proto.spans import SpanBatch, records


def spans_of_resources(batch: SpanBatch) -> NDArray[np.int64]:
    """The number of spans of each of `batch.own_resources`, in their order."""
    resources = batch.own_resources
    counts = np.zeros(len(resources), np.int64)
    count_spans(counts, records(batch.spans), records(batch.scopes), resources.start)
    return counts


@kernel
def count_spans(counts: Any, spans: Any, scopes: Any, first: Any) -> None:
    """Add each span to the count of its resource, of which the one of row `first` is counted in front."""
    for row in range(spans.size):
        counts[scopes[spans[row].scope].resource - first] += 1
