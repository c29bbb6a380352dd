"""Which rows of a batch's tables its spans have: others may lie there from spans that were dropped, or are in another piece."""

from __future__ import annotations

import numpy as np

from proto.edit import Mask, Owners
from proto.spans import SpanBatch


def rows_in_use(batch: SpanBatch, owners: Owners) -> Mask:
    """The rows that belong to spans of the batch, bool, shape (rows of the table,)."""
    used: Mask = np.zeros(len(getattr(batch, owners)), np.bool_)
    if owners == "spans":
        used[:] = True
    elif owners == "scopes":
        used[batch.spans["scope"]] = True
    elif owners == "resources":
        used[batch.scopes["resource"][batch.spans["scope"]]] = True
    else:
        starts, counts = batch.spans[f"{owners}_start"], batch.spans[f"{owners}_count"]
        starts, counts = starts[counts > 0], counts[counts > 0]
        change = np.bincount(starts, minlength=len(used) + 1) - np.bincount(starts + counts, minlength=len(used) + 1)
        used[:] = np.cumsum(change)[: len(used)] > 0
    return used
