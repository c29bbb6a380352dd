"""Removes attributes and masks what is in their values: the processor `redaction`.

It does so to the attributes of resources, scopes, spans, events and links, although the OpenTelemetry Collector leaves those of
links as they are. Keys and values that differ are looked at once each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from collector.processors.base import Processed
from collector.processors.masking import Masking
from collector.processors.redaction_summary import Summary
from collector.processors.rows_in_use import rows_in_use
from config.patterns import compile_pattern
from config.redaction import RedactionProcessor
from proto.distinct import distinct, distinct_values
from proto.edit import Edit, Mask, Owners
from proto.spans import STRING, SpanBatch, Table, members, take
from proto.texts import Texts

Places = NDArray[np.int64]
KeyTest = Callable[[str], bool]

_IGNORED, _REMOVED, _BLOCKED, _OTHER = range(4)


class Redaction:
    """Does what its settings say."""

    def __init__(self, settings: RedactionProcessor) -> None:
        self._settings = settings
        self._summary = None if settings.summary == "silent" else Summary(with_keys=settings.summary == "debug")
        self._ignored = _one_of(settings.ignored_key_patterns)
        self._blocked = _one_of(settings.blocked_key_patterns)
        self._masking = Masking(settings)
        # What a summary says stays where another redaction stands behind this one.
        self._allowed_keys = {*settings.allowed_keys, *Summary.KEYS}

    def process(self, batch: SpanBatch) -> Processed:
        """All spans, with what was to be hidden gone from their attributes."""
        changes: Counter[str] = Counter()
        for owners in get_args(Owners):
            batch = self._redact(batch, owners, changes)
        return Processed(batch, changes=+changes)

    def _redact(self, batch: SpanBatch, owners: Owners, changes: Counter[str]) -> SpanBatch:
        edit = Edit(batch, owners, [])
        places = edit.places(rows_in_use(batch, owners))
        if not len(places):
            return batch
        attributes = take(edit.attributes, places)
        codes, keys = distinct(Texts(edit.data.view, attributes["key_offset"], attributes["key_length"]))
        fates = np.array([self._fate(key.decode()) for key in keys])[codes]
        allowed, masked = np.zeros((2, len(places)), np.bool_)
        for fate in (_BLOCKED, _OTHER):
            chosen = fates == fate
            if chosen.any() and (fate == _BLOCKED or self._masking.looks_at_values):
                allowed[chosen], masked[chosen] = self._mask(edit, places[chosen], take(attributes, chosen), fate == _BLOCKED)
        removed = fates == _REMOVED
        if removed.any():
            edit.remove_places(edit.rows_of(places[removed]), places[removed])
        changes.update(removed=int(np.count_nonzero(removed)), masked=int(np.count_nonzero(masked)))
        edited = edit.finish()
        if self._summary is None:
            return edited
        rows = _owners_of(getattr(batch, owners), len(batch.attributes))[places]
        return self._summary.add(edited, owners, rows, codes, keys, (removed, masked, allowed, fates == _IGNORED))

    def _fate(self, key: str) -> int:
        if key in self._settings.ignored_keys or self._ignored(key):
            return _IGNORED
        if not self._settings.allow_all_keys and key not in self._allowed_keys:
            return _REMOVED
        return _BLOCKED if self._blocked(key) else _OTHER

    def _mask(self, edit: Edit, places: Places, values: Table, whole: bool) -> tuple[Mask, Mask]:
        """Mask values, as a whole or what is blocked in them; returns which were let through and which are masked now."""
        if self._settings.redact_all_types:
            codes, texts = distinct_values(edit.data.view, values)
        else:
            # Of what is no text nothing is looked at, but its key may still be blocked.
            lengths = np.where(values["type"] == STRING, values["value_length"], 0)
            codes, texts = distinct(Texts(edit.data.view, values["value_offset"], lengths))
        allowed, masked = np.zeros((2, len(texts)), np.bool_)
        made = []
        for number in range(len(texts)) if whole else self._masking.search.candidates(texts):
            outcome = self._masking.outcome(texts[number], whole)
            if outcome is None:
                allowed[number] = True
            elif whole or outcome != texts[number]:
                masked[number] = True
                made.append(outcome)
        changed = masked[codes]
        if changed.any():
            numbers = np.cumsum(masked) - 1
            edit.put_texts_at(edit.rows_of(places[changed]), places[changed], numbers[codes[changed]], made)
        return allowed[codes], changed


def _one_of(patterns: Sequence[str]) -> KeyTest:
    compiled = [compile_pattern(pattern) for pattern in patterns]
    return lambda text: any(pattern.search(text) for pattern in compiled)


def _owners_of(table: Table, attributes: int) -> NDArray[np.int64]:
    """For each attribute the row whose it is; arbitrary where it is nobody's."""
    owners = np.zeros(attributes, np.int64)
    counts = table["attributes_count"]
    owners[members(table["attributes_start"], counts)] = np.repeat(np.arange(len(table)), counts)
    return owners
