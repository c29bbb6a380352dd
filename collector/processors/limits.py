"""Shortens what is too long in spans and removes what is too much: the processor `limits`.

What is removed raises the counts of what was dropped that OTLP has for it, as in an SDK with limits. For a text that was cut
there is no such count; it ends with an ellipsis, which is there for whoever reads the text, wherever it goes, and takes the place
of no other attribute. Bytes, arrays and key-value lists mean nothing when cut, so they are removed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from collector.processors.base import Processed
from collector.processors.rows_in_use import rows_in_use
from config.limits import LimitsProcessor
from proto.distinct import distinct_strings
from proto.edit import Edit, Owners
from proto.spans import ARRAY, BYTES, KVLIST, STRING, SpanBatch, Table, take

CUT: Final = "value_cut"
TOO_LONG: Final = "value_too_long"
TOO_MANY: Final[dict[str, str]] = {each: f"too_many_{each}" for each in ("attributes", "events", "links")}

_ELLIPSIS: Final = "…".encode()
_MOST: Final = np.iinfo(np.uint32).max


class Limits:
    """Keeps every span within its settings."""

    def __init__(self, settings: LimitsProcessor) -> None:
        self._max_bytes = settings.max_value_bytes or np.iinfo(np.int64).max
        self._max_attributes = settings.max_attributes or np.iinfo(np.int64).max
        self._max_events = settings.max_events
        self._max_links = settings.max_links

    def process(self, batch: SpanBatch) -> Processed:
        """All spans, with what is above the limits cut or removed."""
        changes: Counter[str] = Counter()
        batch = _first(batch, "events", self._max_events, changes)
        batch = _first(batch, "links", self._max_links, changes)
        for owners in get_args(Owners):
            batch = self._attributes(batch, owners, changes)
        return Processed(batch, changes=changes)

    def _attributes(self, batch: SpanBatch, owners: Owners, changes: Counter[str]) -> SpanBatch:
        table: Table = getattr(batch, owners)
        lengths = batch.attributes["value_length"]
        if not (table["attributes_count"] > self._max_attributes).any() and not (lengths > self._max_bytes).any():
            return batch
        edit = Edit(batch, owners, [])
        used = rows_in_use(batch, owners)
        places = edit.places(used)
        counts = table["attributes_count"][used].astype(np.int64)
        rows = np.repeat(np.flatnonzero(used), counts)
        types = batch.attributes["type"][places]
        long = lengths[places] > self._max_bytes
        too_long = long & np.isin(types, (BYTES, ARRAY, KVLIST))
        stays = _within(~too_long, counts, self._max_attributes)
        if owners == "resources":
            # Whose spans these are is known by it.
            stays |= np.isin(places, table["service_name"]) & ~too_long
        cut = long & stays & (types == STRING)
        if cut.any():
            codes, texts = distinct_strings(batch.data, take(batch.attributes, places[cut]))
            shortened = [_cut(text, self._max_bytes) for text in texts]
            edit.put_texts_at(edit.rows_of(places[cut]), places[cut], codes, shortened)
        if not stays.all():
            edit.remove_places(edit.rows_of(places[~stays]), places[~stays])
        for change, chosen in ((CUT, cut), (TOO_LONG, too_long), (TOO_MANY["attributes"], ~(stays | too_long))):
            if chosen.any():
                changes[change] += int(np.count_nonzero(chosen))
        edited = edit.finish()
        if stays.all():
            return edited
        return _dropped(edited, owners, "attributes", np.bincount(rows[~stays], minlength=len(table)))


def _first(batch: SpanBatch, parts: Literal["events", "links"], most: int, changes: Counter[str]) -> SpanBatch:
    """The batch whose spans have at most so many events or links; 0 is no limit."""
    excess = np.maximum(batch.spans[f"{parts}_count"].astype(np.int64) - most, 0)
    if not most or not excess.any():
        return batch
    changes[TOO_MANY[parts]] += int(excess.sum())
    limited = _dropped(batch, "spans", parts, excess)
    limited.spans[f"{parts}_count"] = np.minimum(batch.spans[f"{parts}_count"], most)
    return limited


def _dropped(batch: SpanBatch, owners: Owners, parts: str, dropped: NDArray[np.int64]) -> SpanBatch:
    """A batch with a table of its own, which says of how many more attributes, events or links its rows were relieved."""
    table: Table = getattr(batch, owners).copy()
    field = f"dropped_{parts}_count"
    table[field] = np.minimum(table[field].astype(np.int64) + dropped, _MOST)
    # It is no longer what a request said.
    made: dict[str, Any] = {owners: table}
    return replace(batch, origin=None, **made)


def _within(chosen: NDArray[np.bool_], counts: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Of entries in runs of these lengths the first `most` of each run that are chosen."""
    ranks = np.concatenate([[0], np.cumsum(chosen)])
    starts = np.cumsum(counts) - counts
    within: NDArray[np.bool_] = chosen & (ranks[1:] - np.repeat(ranks[starts], counts) <= most)
    return within


def _cut(text: bytes, most: int) -> bytes:
    """As many whole characters of a text as leave room for an ellipsis in so many bytes."""
    return text[: most - len(_ELLIPSIS)].decode(errors="ignore").encode() + _ELLIPSIS
