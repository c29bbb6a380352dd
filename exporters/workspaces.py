"""The workspaces of the spans in a batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from proto.spans import SpanBatch


def by_workspace(batch: SpanBatch) -> Iterator[tuple[str, SpanBatch]]:
    """The spans of each workspace that has any, with its name."""
    if len(batch.workspaces) == 1:
        yield batch.workspaces[0], batch
        return
    workspace_of_span = batch.resources["workspace"][batch.scopes["resource"][batch.spans["scope"]]]
    for workspace in np.unique(workspace_of_span).tolist():
        yield batch.workspaces[workspace], batch.select(workspace_of_span == workspace)
