"""Which spans `include` and `exclude` choose: masks over the spans of a batch, from texts that are looked at once each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.patterns import compile_pattern
from config.selection import SPAN_KINDS, AttributeMatch, SpanMatch
from proto.attribute_search import find_attributes
from proto.distinct import distinct, distinct_strings, distinct_values
from proto.edit import Mask
from proto.spans import ABSENT, BOOL, DOUBLE, INT, STRING, SpanBatch, Table, take
from proto.texts import Texts

TextTest = Callable[[bytes], bool]

_SCALARS: Final = (STRING, BOOL, INT, DOUBLE)


class Selection:
    """What both together choose: all spans where neither is given."""

    def __init__(self, include: SpanMatch | None, exclude: SpanMatch | None) -> None:
        self._include = None if include is None else _Matcher(include)
        self._exclude = None if exclude is None else _Matcher(exclude)

    def choose(self, batch: SpanBatch) -> Mask:
        """Which spans are chosen, bool, shape (spans,)."""
        chosen = np.ones(len(batch), np.bool_) if self._include is None else self._include.match(batch)
        return chosen if self._exclude is None else chosen & ~self._exclude.match(batch)


class _Matcher:
    def __init__(self, settings: SpanMatch) -> None:
        self._settings = settings
        self._test = _one_of_patterns if settings.match_type == "regexp" else _one_of_texts
        self._services = self._test(settings.services)
        self._names = self._test(settings.span_names)
        matches_kind = self._test(settings.span_kinds)
        self._kinds = np.array([matches_kind(f"SPAN_KIND_{name}".encode()) for name in SPAN_KINDS])
        self._libraries = [
            (self._test((each.name,)), None if each.version is None else self._version(each.version))
            for each in settings.libraries
        ]

    def _version(self, version: str) -> TextTest:
        # A pattern that is empty would match whatever there is; no version is meant.
        return self._test((version,)) if version else _one_of_texts((version,))

    def match(self, batch: SpanBatch) -> Mask:
        """Which spans match in everything that is asked for."""
        settings, spans = self._settings, batch.spans
        chosen = np.ones(len(batch), np.bool_)
        if settings.span_kinds:
            kinds = spans["kind"]
            known = (kinds >= 0) & (kinds < len(SPAN_KINDS))
            chosen &= known & self._kinds[np.where(known, kinds, 0)]
        if settings.span_names:
            chosen &= _tested(batch, spans, "name", self._names)
        if settings.attributes:
            chosen &= np.logical_and.reduce(self._attributes(batch, spans, settings.attributes))
        if settings.libraries:
            chosen &= self._scopes(batch)[spans["scope"]]
        if settings.services or settings.resources:
            chosen &= self._resources(batch)[batch.scopes["resource"][spans["scope"]]]
        return chosen

    def _resources(self, batch: SpanBatch) -> Mask:
        chosen = np.ones(len(batch.resources), np.bool_)
        if self._settings.services:
            places = batch.resources["service_name"]
            named = places != ABSENT
            codes, texts = distinct_values(batch.data, take(batch.attributes, places[named]))
            chosen[named] = np.array([self._services(text) for text in texts], np.bool_)[codes]
            chosen &= named
        if self._settings.resources:
            chosen &= np.logical_or.reduce(self._attributes(batch, batch.resources, self._settings.resources))
        return chosen

    def _scopes(self, batch: SpanBatch) -> Mask:
        chosen = np.zeros(len(batch.scopes), np.bool_)
        for name, version in self._libraries:
            matched = _tested(batch, batch.scopes, "name", name)
            chosen |= matched if version is None else matched & _tested(batch, batch.scopes, "version", version)
        return chosen

    def _attributes(self, batch: SpanBatch, owners: Table, wanted: tuple[AttributeMatch, ...]) -> list[Mask]:
        """For each wanted attribute, which rows have it."""
        masks = []
        found = find_attributes(batch, owners, [each.key.encode() for each in wanted])
        for each, places in zip(wanted, found, strict=True):
            there: Mask = places != ABSENT
            if each.value is not None:
                values = take(batch.attributes, places[there])
                if self._settings.match_type == "regexp":
                    there[there] = _texts_match(batch.data, values, self._test((each.value,)))
                else:
                    there[there] = _equal(batch.data, values, each.value)
            masks.append(there)
        return masks


def _one_of_texts(wanted: tuple[str, ...]) -> TextTest:
    return frozenset(text.encode() for text in wanted).__contains__


def _one_of_patterns(wanted: tuple[str, ...]) -> TextTest:
    patterns = [compile_pattern(text) for text in wanted]
    return lambda text: any(pattern.search(text.decode("utf-8", "replace")) for pattern in patterns)


def _tested(batch: SpanBatch, rows: Table, field: str, test: TextTest) -> Mask:
    codes, texts = distinct(Texts(batch.data, rows[f"{field}_offset"], rows[f"{field}_length"]))
    tested: Mask = np.array([test(text) for text in texts], np.bool_)[codes]
    return tested


def _texts_match(data: NDArray[np.uint8], values: Table, test: TextTest) -> Mask:
    """Which values match, of those that are no lists and no bytes, by their texts."""
    matched = np.isin(values["type"], _SCALARS)
    codes, texts = distinct_values(data, values[matched])
    matched[matched] = np.array([test(text) for text in texts], np.bool_)[codes]
    return matched


def _equal(data: NDArray[np.uint8], values: Table, wanted: str | bool | float) -> Mask:
    """Which values are the wanted one, of its type."""
    matched: Mask
    match wanted:
        case str():
            matched = values["type"] == STRING
            codes, texts = distinct_strings(data, values[matched])
            matched[matched] = np.array([text == wanted.encode() for text in texts], np.bool_)[codes]
        case bool():
            matched = (values["type"] == BOOL) & (values["number"] == wanted)
        case int():
            matched = (values["type"] == INT) & (values["number"] == wanted)
        case _:
            matched = (values["type"] == DOUBLE) & (np.ascontiguousarray(values["number"]).view(np.float64) == wanted)
    return matched
