"""Whose spans a batch holds: how many are of which owner.

An owner is a workspace and a service in it, written `WORKSPACE/SERVICE`, or `WORKSPACE` alone for spans whose resource has no
text under service.name. No name of a workspace has a slash in it. Owners are keys of counters, and stand in files as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np

from proto.span_counts import spans_of_resources
from proto.spans import ABSENT, STRING, SpanBatch

SEPARATOR: Final = "/"
MOST_SERVICE_BYTES: Final = 128
"""Where longer names of services are cut, in bytes of UTF-8: they come from outside, and are kept for good."""


def owner_of(workspace: str, service: str) -> str:
    """The owner that a service in a workspace is."""
    return f"{workspace}{SEPARATOR}{service}" if service else workspace


def workspace_of(owner: str) -> str:
    """The workspace of an owner."""
    return owner.partition(SEPARATOR)[0]


def service_of(owner: str) -> str:
    """The service of an owner; empty for none."""
    return owner.partition(SEPARATOR)[2]


def by_workspace(owners: Iterable[str]) -> dict[str, list[str]]:
    """Workspace → owners in it, both sorted."""
    found: dict[str, list[str]] = {}
    for owner in sorted(owners):
        found.setdefault(workspace_of(owner), []).append(owner)
    return dict(sorted(found.items()))


def spans_by_owner(batch: SpanBatch) -> Mapping[str, int]:
    """Owner → spans of it; owners without spans are left out. Takes microseconds where there are few resources."""
    if not len(batch):
        return Counter()
    resources = batch.own_resources
    if len(resources) == 1:
        return Counter({owner_of_resource(batch, resources[0]): len(batch)})
    spans = spans_of_resources(batch)
    used = np.flatnonzero(spans)
    counts: Counter[str] = Counter()
    for owner, count in zip(_owners(batch, (used + resources.start).tolist()), spans[used].tolist(), strict=True):
        counts[owner] = counts.get(owner, 0) + count
    return counts


def apportioned(spans: int, owners: Mapping[str, int]) -> Counter[str]:
    """So many of all spans, shared among their owners by how many each has, where nobody says whose they are.

    Whole numbers that add up, by the method of largest remainders; at most as many as there are.
    """
    total = sum(owners.values())
    spans = min(spans, total)
    shares = {owner: divmod(spans * count, total) for owner, count in owners.items() if count}
    left = spans - sum(whole for whole, _ in shares.values())
    by_remainder = sorted(shares, key=lambda owner: -shares[owner][1])
    return Counter({owner: shares[owner][0] for owner in shares}) + Counter(by_remainder[:left])


def owner_of_resource(batch: SpanBatch, resource: int) -> str:
    """The owner of the spans of a resource, which is given by its row."""
    return next(_owners(batch, (resource,)))


def _owners(batch: SpanBatch, resources: Iterable[int]) -> Iterator[str]:
    """The owner of the spans of each of these rows of resources."""
    # Where there is one workspace, the table need not say so.
    workspaces = batch.resources["workspace"] if len(batch.workspaces) > 1 else None
    names = batch.resources["service_name"]
    types, starts, lengths = (batch.attributes[column] for column in ("type", "value_offset", "value_length"))
    for resource in resources:
        workspace = batch.workspaces[0 if workspaces is None else workspaces[resource]]
        row = names[resource]
        if row == ABSENT or types[row] != STRING:
            yield workspace
            continue
        start = int(starts[row])
        text = batch.data[start : start + min(int(lengths[row]), MOST_SERVICE_BYTES)].tobytes()
        # Texts are whole in a batch, so all that can be left out is a character that was cut.
        yield owner_of(workspace, text.decode(errors="ignore"))
