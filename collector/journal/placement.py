"""Which workspace the spans of a request belong to, as it stands in a record.

Usually that is one name. Where resources of a request are in different workspaces, it is their names with commas between them, a
zero byte, the number of spans of each as 64-bit integers, and the workspace of each resource as 32-bit indices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from exporters.tally import spans_by_workspace
from proto.spans import SpanBatch


def placement(batch: SpanBatch) -> bytes:
    """The placement of a request's spans."""
    if len(batch.workspaces) == 1:
        return batch.workspaces[0].encode()
    counts = spans_by_workspace(batch)
    spans = np.array([counts[name] for name in batch.workspaces], "<i8")
    resources = batch.resources["workspace"].astype("<i4")
    return b"".join((",".join(batch.workspaces).encode(), b"\0", spans.tobytes(), resources.tobytes()))


def placed(batch: SpanBatch, placement: bytes) -> SpanBatch:
    """A request that was decoded, with its spans in their workspaces."""
    names, several, rest = placement.partition(b"\0")
    workspaces = tuple(names.decode().split(","))
    if not several:
        return dataclasses.replace(batch, workspaces=workspaces)
    resources = batch.resources.copy()
    resources["workspace"] = np.frombuffer(rest, "<i4", offset=8 * len(workspaces))
    return dataclasses.replace(batch, resources=resources, workspaces=workspaces)


def spans_placed(placement: bytes, spans: int) -> Mapping[str, int]:
    """Workspace → spans of a request with so many spans."""
    names, several, rest = placement.partition(b"\0")
    workspaces = names.decode().split(",")
    if not several:
        return {workspaces[0]: spans}
    counts = np.frombuffer(rest, "<i8", len(workspaces)).tolist()
    return {name: count for name, count in zip(workspaces, counts, strict=True) if count}
