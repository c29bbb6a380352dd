"""Resources and scopes that several spans share, made into several, so that one can be changed for some of these spans alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from proto.attribute_lists import run_places
from proto.spans import ABSENT, SpanBatch, Table, take

Numbers = NDArray[np.int64]


def split(batch: SpanBatch, owners: Literal["resources", "scopes"], codes: Numbers) -> SpanBatch:
    """The batch in which spans share a row of a table only if they have the same code; the one that was given if they do already.

    Each new row is a copy, with attributes of its own. Of a resource that becomes several, scopes become several too. Rows keep
    their places, and new ones stand behind them.

    Args:
        codes: for each span, from 0.
    """
    scopes = batch.spans["scope"].astype(np.int64)
    rows = batch.scopes["resource"][scopes] if owners == "resources" else scopes
    copied, rows_of_spans = _apart(rows, codes, len(getattr(batch, owners)))
    if not len(copied):
        return batch
    apart = _with_copies(batch, owners, copied)
    scopes_of_spans = rows_of_spans
    if owners == "resources":
        copied, scopes_of_spans = _apart(scopes, rows_of_spans, len(batch.scopes))
        apart = _with_copies(apart, "scopes", copied)
        apart.scopes["resource"][scopes_of_spans] = rows_of_spans
    spans = batch.spans.copy()
    spans["scope"] = scopes_of_spans
    # It is no longer what a request said.
    return replace(apart, spans=spans, origin=None)


def _apart(rows: Numbers, codes: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """Which rows of a table of this size must be copied, in the order of the copies, and for each span the row it has then."""
    most = int(codes.max(initial=0)) + 1
    pairs, places = np.unique(rows.astype(np.int64) * most + codes, return_inverse=True)
    owners = pairs // most
    # The first of an owner's codes keeps the row.
    is_copy = np.zeros(len(owners), np.bool_)
    is_copy[1:] = owners[1:] == owners[:-1]
    numbers = np.where(is_copy, size + np.cumsum(is_copy) - 1, owners)
    return owners[is_copy], numbers[places]


def _with_copies(batch: SpanBatch, owners: str, copied: Numbers) -> SpanBatch:
    """The batch with a table of its own, behind which these of its rows stand once more."""
    table: Table = getattr(batch, owners)
    copies = take(table, copied)
    starts, counts = copies["attributes_start"].astype(np.int64), copies["attributes_count"].astype(np.int64)
    new_starts = len(batch.attributes) + np.cumsum(counts) - counts
    copies["attributes_start"] = new_starts
    if owners == "resources":
        copies["service_name"] += np.where(copies["service_name"] == ABSENT, 0, new_starts - starts).astype(np.int32)
    attributes = _joined(batch.attributes, take(batch.attributes, run_places(starts, counts)))
    made: dict[str, Any] = {owners: _joined(table, copies)}
    return replace(batch, attributes=attributes, **made)


def _joined(first: Table, second: Table) -> Table:
    # As bytes: NumPy would copy structured arrays field by field.
    joined: Table = np.concatenate([first.view(np.uint8), second.view(np.uint8)]).view(first.dtype)
    return joined
