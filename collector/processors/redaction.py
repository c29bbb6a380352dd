"""Removes attributes and masks what is in their values: the processor `redaction`.

It does so to the attributes of resources, scopes, spans, events and links, although the OpenTelemetry Collector leaves those of
links as they are. Keys and values that differ are looked at once each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, get_args

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
from proto.lines import NO_LINES, Lines
from proto.spans import ABSENT, SpanBatch, members, take
from proto.string_values import distinct_strings_at, with_strings_at
from proto.texts import Texts, distinct_texts, pick

Places = NDArray[np.int64]
Codes = NDArray[np.int32]
KeyTest = Callable[[str], bool]

_IGNORED, _REMOVED, _BLOCKED, _OTHER = range(4)


class _Outcome(NamedTuple):
    """What became of the values of attributes: whether each was let through, bool, and in which line stands what it is now, or
    ABSENT where it stays; shapes (attributes,). And the lines.
    """

    allowed: Mask
    codes: Codes
    lines: Lines


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
        lists = {owners: _lists_in_use(batch, owners) for owners in get_args(Owners)}
        places = members(*(np.concatenate(parts) for parts in list(zip(*lists.values(), strict=True))[1:]))
        if self._keys_mean_nothing:
            outcome = self._mask(batch, places, whole=False)
            return Processed(_with_masks(batch, places, outcome), changes=_counted(masked=outcome.codes != ABSENT))
        key_codes, keys, fates = self._fates(batch, places)
        outcome = self._outcome(batch, places, fates)
        edited = _with_masks(batch, places, outcome)
        removed, masked, ignored = fates == _REMOVED, outcome.codes != ABSENT, fates == _IGNORED
        end = 0
        for owners, (rows, _, counts) in lists.items():
            these = slice(end, end := end + int(counts.sum()))
            owner_rows = np.repeat(rows, counts)
            edited = _without(edited, owners, owner_rows[removed[these]], places[these][removed[these]])
            if self._summary is not None:
                chosen = [fate[these] for fate in (removed, masked, outcome.allowed, ignored)]
                edited = self._summary.add(edited, owners, owner_rows, key_codes[these], keys, chosen)
        return Processed(edited, changes=_counted(removed=removed, masked=masked))

    def _fates(self, batch: SpanBatch, places: Places) -> tuple[Codes, Sequence[bytes], NDArray[np.uint8]]:
        """The place of each attribute's key among those that differ, those, and what becomes of each attribute."""
        codes, keys = distinct(Texts(batch.data, batch.attributes["key_offset"][places], batch.attributes["key_length"][places]))
        return codes, keys, np.array([self._fate(key.decode()) for key in keys], np.uint8)[codes]

    def _fate(self, key: str) -> int:
        if key in self._settings.ignored_keys or self._ignored(key):
            return _IGNORED
        if not self._settings.allow_all_keys and key not in self._allowed_keys:
            return _REMOVED
        return _BLOCKED if self._blocked(key) else _OTHER

    def _outcome(self, batch: SpanBatch, places: Places, fates: NDArray[np.uint8]) -> _Outcome:
        """What becomes of the values of attributes whose keys have these fates."""
        outcome = _Outcome(np.zeros(len(places), np.bool_), np.full(len(places), ABSENT, np.int32), NO_LINES)
        for fate, whole in ((_BLOCKED, True), (_OTHER, False)):
            chosen = np.flatnonzero(fates == fate)
            if len(chosen):
                allowed, codes, lines = self._mask(batch, places[chosen], whole=whole)
                outcome.allowed[chosen] = allowed
                outcome.codes[chosen] = np.where(codes == ABSENT, ABSENT, codes + len(outcome.lines.lengths))
                outcome = outcome._replace(lines=outcome.lines.with_more(lines))
        return outcome

    def _mask(self, batch: SpanBatch, places: Places, *, whole: bool) -> _Outcome:
        """Mask values, as a whole or what is blocked in them."""
        codes, differing = self._values(batch, places, 0 if whole else self._masking.least_length)
        allowed, (numbers, lines) = self._masking.mask(differing, whole=whole)
        # With one more for values that were not looked at, whose code is ABSENT.
        line_of = np.full(len(allowed) + 1, ABSENT, np.int32)
        line_of[numbers] = np.arange(len(numbers))
        return _Outcome(np.append(allowed, False)[codes], line_of[codes], lines)

    def _values(self, batch: SpanBatch, places: Places, least: int) -> tuple[Codes, Texts]:
        """The place of each value among those that differ, ABSENT if it has fewer bytes than `least`; and those."""
        if not self._settings.redact_all_types:
            # Of what is no text nothing is looked at, but its key may still be blocked.
            return distinct_strings_at(batch, places, least)
        texts = value_texts(batch.data, take(batch.attributes, places))
        codes, long = np.full(len(places), ABSENT, np.int32), texts.lengths >= least
        codes[long], differing = distinct_texts(pick(texts, long), are_many=True)
        return codes, differing


def _one_of(patterns: Sequence[str]) -> KeyTest:
    compiled = [compile_pattern(pattern) for pattern in patterns]
    return lambda text: any(pattern.search(text) for pattern in compiled)


def _lists_in_use(batch: SpanBatch, owners: Owners) -> tuple[Places, NDArray[np.int32], NDArray[np.int32]]:
    """The rows of a table that belong to spans of the batch, and where their lists of attributes begin, and how long they are."""
    rows = np.flatnonzero(rows_in_use(batch, owners))
    table = getattr(batch, owners)
    return rows, table["attributes_start"][rows], table["attributes_count"][rows]


def _with_masks(batch: SpanBatch, places: Places, outcome: _Outcome) -> SpanBatch:
    """The batch with what values are now."""
    return with_strings_at(batch, places, outcome.codes, outcome.lines) if len(outcome.lines.lengths) else batch


def _without(batch: SpanBatch, owners: Owners, rows: Places, places: Places) -> SpanBatch:
    """The batch without these attributes of these rows."""
    if not len(places):
        return batch
    chosen = np.zeros(len(getattr(batch, owners)), np.bool_)
    chosen[rows] = True
    edit = Edit(batch, owners, [])
    edit.remove_places(chosen, places)
    return edit.finish()


def _counted(**changes: Mask) -> Mapping[str, int]:
    """How many attributes were changed in each way, as far as any were."""
    counts = {change: int(np.count_nonzero(chosen)) for change, chosen in changes.items()}
    return {change: count for change, count in counts.items() if count}
