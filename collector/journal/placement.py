"""Whose the spans of a request are, as it stands in a record: the owners under which they were accepted, and their workspaces.

It is a JSON object, owner → spans, a zero byte, and the name of the workspace. Where resources of a request are in different
workspaces, it is their names with commas between them, a zero byte, and the workspace of each resource as 32-bit indices.

Before services were told apart there was no object, and where workspaces differ, the number of spans of each stood before the
indices, as 64-bit integers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import orjson

from proto.spans import SpanBatch


def placement(batch: SpanBatch, owners: Mapping[str, int]) -> bytes:
    """The placement of a request's spans, which are accepted under these owners."""
    accepted = orjson.dumps(owners)
    if len(batch.workspaces) == 1:
        return b"\0".join((accepted, batch.workspaces[0].encode()))
    resources = batch.resources["workspace"].astype("<i4")
    return b"\0".join((accepted, ",".join(batch.workspaces).encode(), resources.tobytes()))


def placed(batch: SpanBatch, placement: bytes) -> SpanBatch:
    """A request that was decoded, with its spans in their workspaces."""
    if _is_current(placement):
        _, _, placement = placement.partition(b"\0")
    names, several, rest = placement.partition(b"\0")
    workspaces = tuple(names.decode().split(","))
    if not several:
        return dataclasses.replace(batch, workspaces=workspaces)
    resources = batch.resources.copy()
    # What the older form has before the indices is passed over from behind.
    resources["workspace"] = np.frombuffer(rest[len(rest) - 4 * len(resources) :], "<i4")
    return dataclasses.replace(batch, resources=resources, workspaces=workspaces)


def spans_placed(placement: bytes, spans: int) -> Mapping[str, int]:
    """Owner → spans of a request with so many spans."""
    first, several, rest = placement.partition(b"\0")
    if _is_current(placement):
        accepted: dict[str, int] = orjson.loads(first)
        return accepted
    workspaces = first.decode().split(",")
    if not several:
        return {workspaces[0]: spans}
    counts = np.frombuffer(rest, "<i8", len(workspaces)).tolist()
    return {name: count for name, count in zip(workspaces, counts, strict=True) if count}


def _is_current(placement: bytes) -> bool:
    """Whether services are told apart in it: no name of a workspace begins with a brace."""
    return placement.startswith(b"{")
