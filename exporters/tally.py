"""How many spans of a batch belong to which workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from proto.spans import SpanBatch


def spans_by_workspace(batch: SpanBatch) -> Mapping[str, int]:
    """Workspace → spans of it; workspaces without spans are left out."""
    if len(batch.workspaces) == 1:
        return Counter({batch.workspaces[0]: len(batch)} if len(batch) else {})
    resource_of_span = batch.scopes["resource"][batch.spans["scope"]]
    counts = np.bincount(batch.resources["workspace"][resource_of_span], minlength=len(batch.workspaces))
    return Counter({name: count for name, count in zip(batch.workspaces, counts.tolist(), strict=True) if count})
