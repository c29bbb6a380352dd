"""Whole lists of attributes, taken apart and put together again: for changes that are not about certain keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto.edit import Mask, Owners, with_service_names
from proto.spans import ATTRIBUTE, SpanBatch, Table, take

_RECORD: Final = np.dtype((np.void, ATTRIBUTE.itemsize))


class Lists(NamedTuple):
    """The attributes of some rows of a table, one row behind the other.

    Attributes:
        rows: for each attribute the row whose it is, ascending; int64, shape (attributes,).
        attributes: dtype ATTRIBUTE, of the same shape.
    """

    rows: NDArray[np.int64]
    attributes: Table


def run_places(starts: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.int64]:
    """All places of runs that begin at `starts` and are so long, one run behind the other."""
    lengths = counts.astype(np.int64)
    places: NDArray[np.int64] = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))
    return places


def take_lists(batch: SpanBatch, owners: Owners, rows: Mask) -> Lists:
    """The attributes of the rows that are chosen, copied."""
    table: Table = getattr(batch, owners)
    starts, counts = table["attributes_start"][rows], table["attributes_count"][rows]
    return Lists(np.repeat(np.flatnonzero(rows), counts), take(batch.attributes, run_places(starts, counts)))


def put_lists(batch: SpanBatch, owners: Owners, rows: NDArray[np.int64], lists: Lists) -> SpanBatch:
    """The batch in which these rows have these attributes, and no others.

    A list goes where the row's was, or behind all attributes if there is no room for it. What is new in texts must lie in the
    batch's data already.

    Args:
        rows: ascending; those that `lists` names are among them.
    """
    table: Table = getattr(batch, owners).view(np.uint8).copy().view(getattr(batch, owners).dtype)
    counts = np.bincount(lists.rows, minlength=len(table))[rows]
    beyond = np.where(counts > table["attributes_count"][rows], counts, 0)
    tail = len(batch.attributes)
    starts = np.where(beyond > 0, tail + np.cumsum(beyond) - beyond, table["attributes_start"][rows])
    attributes = np.empty(tail + int(beyond.sum()), ATTRIBUTE)
    attributes.view(np.uint8)[: batch.attributes.nbytes] = batch.attributes.view(np.uint8)
    attributes.view(_RECORD)[run_places(starts, counts)] = lists.attributes.view(_RECORD)
    table["attributes_start"][rows] = starts
    table["attributes_count"][rows] = counts
    made: dict[str, Any] = {owners: table}
    # It is no longer what a request said.
    edited = replace(batch, attributes=attributes, origin=None, **made)
    return with_service_names(edited) if owners == "resources" else edited
