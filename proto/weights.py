"""What a span weighs once it is a row, where what its resource and scope say stands in every row anew."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from proto.spans import SpanBatch, Table

ROW_BYTES: Final = 192
"""Estimated bytes of a row besides its texts: ids in hexadecimal, times, numbers, sizes of maps and arrays, codes."""
ATTRIBUTE_BYTES: Final = 28
"""Estimated bytes of an attribute besides its text: its code, its length, and the text of a number."""


def stored_bytes(batch: SpanBatch) -> NDArray[np.int64]:
    """Estimated bytes of each span in ClickHouse's Native format, uncompressed; int64, shape (spans,).

    Cost is a few additions a span and an attribute. A span's own message counts as it came: its keys become codes, which makes up
    for numbers, which are longer as text.
    """
    totals = np.zeros(len(batch.attributes) + 1, np.int64)
    np.cumsum(batch.attributes["value_length"], dtype=np.int64, out=totals[1:])
    resources = _lists(batch.resources, totals) + batch.resources["schema_url_length"]
    scopes = _lists(batch.scopes, totals) + batch.scopes["name_length"] + batch.scopes["version_length"]
    shared = scopes + resources[batch.scopes["resource"]]
    weights: NDArray[np.int64] = ROW_BYTES + batch.spans["wire_length"].astype(np.int64) + shared[batch.spans["scope"]]
    return weights


def _lists(owners: Table, totals: NDArray[np.int64]) -> NDArray[np.int64]:
    starts = owners["attributes_start"]
    counts = owners["attributes_count"].astype(np.int64)
    sizes: NDArray[np.int64] = totals[starts + counts] - totals[starts] + ATTRIBUTE_BYTES * counts
    return sizes
