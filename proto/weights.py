"""What a span weighs once it is a row, where what its resource and scope say stands in every row anew."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from proto.spans import SpanBatch, members

ROW_BYTES: Final = 192
"""Estimated bytes of a row besides its texts: ids in hexadecimal, times, numbers, sizes of maps and arrays, codes."""
ATTRIBUTE_BYTES: Final = 28
"""Estimated bytes of an attribute besides its text: its code, its length, and the text of a number."""


def stored_bytes(batch: SpanBatch) -> NDArray[np.int64]:
    """Estimated bytes of each span in ClickHouse's Native format, uncompressed; int64, shape (spans,).

    Cost is a few additions a span. A span's own message counts as it came: its keys become codes, which makes up
    for numbers, which are longer as text.
    """
    resources = _lists(batch, "resources") + batch.resources["schema_url_length"] + batch.resources["entity_refs_length"]
    scopes = _lists(batch, "scopes") + batch.scopes["name_length"] + batch.scopes["version_length"]
    shared = scopes + resources[batch.scopes["resource"]]
    weights: NDArray[np.int64] = ROW_BYTES + batch.spans["wire_length"].astype(np.int64) + shared[batch.spans["scope"]]
    return weights


def _lists(batch: SpanBatch, owners: Literal["resources", "scopes"]) -> NDArray[np.int64]:
    table = getattr(batch, owners)
    counts = table["attributes_count"]
    lengths = batch.attributes["value_length"][members(table["attributes_start"], counts)]
    texts = np.bincount(np.repeat(np.arange(len(table)), counts), lengths, len(table))
    sizes: NDArray[np.int64] = texts.astype(np.int64) + ATTRIBUTE_BYTES * counts
    return sizes
