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
from proto.distinct import distinct, value_texts
from proto.edit import Edit, Mask, Owners
from proto.spans import ABSENT, STRING, SpanBatch, Table, members, take
from proto.texts import Texts, distinct_texts

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
        asks_for_keys = (settings.ignored_keys, settings.ignored_key_patterns, settings.blocked_key_patterns)
        self._keys_mean_nothing = settings.allow_all_keys and self._summary is None and not any(asks_for_keys)
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
        codes, keys, fates = self._fates(edit, places)
        allowed, masked = np.zeros((2, len(places)), np.bool_)
        for fate in (_BLOCKED, _OTHER):
            chosen = fates == fate
            if chosen.any() and (fate == _BLOCKED or self._masking.looks_at_values):
                allowed[chosen], masked[chosen] = self._mask(edit, places[chosen], fate == _BLOCKED)
        removed = fates == _REMOVED
        if removed.any():
            edit.remove_places(edit.rows_of(places[removed]), places[removed])
        changes.update(removed=int(np.count_nonzero(removed)), masked=int(np.count_nonzero(masked)))
        edited = edit.finish()
        if self._summary is None:
            return edited
        rows = _owners_of(getattr(batch, owners), len(batch.attributes))[places]
        return self._summary.add(edited, owners, rows, codes, keys, (removed, masked, allowed, fates == _IGNORED))

    def _fates(self, edit: Edit, places: Places) -> tuple[NDArray[np.int32], Sequence[bytes], NDArray[np.int64]]:
        """The place of each attribute's key among those that differ, those, and what becomes of each attribute."""
        if self._keys_mean_nothing:
            return np.zeros(len(places), np.int32), (), np.full(len(places), _OTHER)
        offsets, lengths = (edit.attributes[field][places] for field in ("key_offset", "key_length"))
        codes, keys = distinct(Texts(edit.data.view, offsets, lengths))
        return codes, keys, np.array([self._fate(key.decode()) for key in keys])[codes]

    def _fate(self, key: str) -> int:
        if key in self._settings.ignored_keys or self._ignored(key):
            return _IGNORED
        if not self._settings.allow_all_keys and key not in self._allowed_keys:
            return _REMOVED
        return _BLOCKED if self._blocked(key) else _OTHER

    def _mask(self, edit: Edit, places: Places, whole: bool) -> tuple[Mask, Mask]:
        """Mask values, as a whole or what is blocked in them; returns which were let through and which are masked now."""
        texts = self._texts(edit, places)
        looked_at = np.ones(len(places), np.bool_) if whole else texts.lengths >= self._masking.least_length
        codes, differing = distinct_texts(Texts(texts.data, texts.offsets[looked_at], texts.lengths[looked_at]), are_many=True)
        are_allowed, (numbers, lines) = self._masking.mask(differing, whole=whole)
        rows = np.full(len(are_allowed), ABSENT, np.int64)
        rows[numbers] = np.arange(len(numbers))
        made = rows[codes]
        allowed, masked = np.zeros((2, len(places)), np.bool_)
        allowed[looked_at], masked[looked_at] = are_allowed[codes], made != ABSENT
        if masked.any():
            edit.put_lines_at(edit.rows_of(places[masked]), places[masked], made[made != ABSENT], lines)
        return allowed, masked

    def _texts(self, edit: Edit, places: Places) -> Texts:
        """The texts of values in which something may be blocked."""
        if self._settings.redact_all_types:
            return value_texts(edit.data.view, take(edit.attributes, places))
        types, offsets, lengths = (edit.attributes[field][places] for field in ("type", "value_offset", "value_length"))
        # Of what is no text nothing is looked at, but its key may still be blocked.
        return Texts(edit.data.view, offsets, np.where(types == STRING, lengths, 0))


def _one_of(patterns: Sequence[str]) -> KeyTest:
    compiled = [compile_pattern(pattern) for pattern in patterns]
    return lambda text: any(pattern.search(text) for pattern in compiled)


def _owners_of(table: Table, attributes: int) -> NDArray[np.int64]:
    """For each attribute the row whose it is; arbitrary where it is nobody's."""
    owners = np.zeros(attributes, np.int64)
    counts = table["attributes_count"]
    owners[members(table["attributes_start"], counts)] = np.repeat(np.arange(len(table)), counts)
    return owners
