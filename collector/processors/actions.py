"""The actions of the processors `attributes` and `resource`, on columns: each is done for all rows before the next begins.

Which action does what is the OpenTelemetry Collector's; `config.attribute_actions` says it key by key.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.values import as_doubles, as_integers, hashed
from config.attribute_actions import AttributeAction
from config.patterns import compile_pattern
from proto.distinct import distinct, distinct_strings, distinct_values
from proto.edit import Edit, Mask, Owners
from proto.spans import BOOL, DOUBLE, INT, STRING, SpanBatch, take
from proto.texts import Texts

_CONVERSIONS: Final = {"int": (INT, as_integers), "double": (DOUBLE, as_doubles)}


class Actions:
    """Actions in their order.

    Args:
        actions: what is done.
        place: where they stand in the configuration of the processor, for what is said of one of them.
    """

    def __init__(self, actions: Sequence[AttributeAction], place: str) -> None:
        self._steps = [_Step(action, f"{place}[{number}]") for number, action in enumerate(actions)]
        self._keys = list(dict.fromkeys(key for step in self._steps for key in step.keys))
        numbers = {key: number for number, key in enumerate(self._keys)}
        for step in self._steps:
            step.number(numbers)

    def apply(self, batch: SpanBatch, owners: Owners, rows: Mask) -> tuple[SpanBatch, Mapping[str, int]]:
        """The batch with the attributes of these rows changed, and how many values each action could not convert."""
        failures: Counter[str] = Counter()
        if not rows.any():
            return batch, failures
        edit = Edit(batch, owners, self._keys)
        for step in self._steps:
            if failed := step.apply(edit, rows):
                failures[step.place] += failed
        return edit.finish(), failures


class _Step:
    """One action.

    Attributes:
        keys: attributes that it reads or writes, besides those that a pattern chooses.
        place: where it stands in the configuration.
    """

    def __init__(self, action: AttributeAction, place: str) -> None:
        self._action = action
        self._pattern = compile_pattern(action.pattern) if action.pattern else None
        self._groups = tuple(self._pattern.groupindex) if self._pattern and action.action == "extract" else ()
        self.keys = [key.encode() for key in (action.key, action.from_attribute, *self._groups) if key]
        self.place = place

    def number(self, numbers: Mapping[bytes, int]) -> None:
        """Learn the numbers of all keys, of which those that the pattern chooses are this action's too."""
        self._key = numbers.get(self._action.key.encode(), -1)
        self._source = numbers.get(self._action.from_attribute.encode(), -1)
        self._targets = [numbers[group.encode()] for group in self._groups]
        chosen = {number for key, number in numbers.items() if self._matches(key)} if not self._groups else set()
        self._chosen = sorted(chosen | {self._key} - {-1})

    def _matches(self, key: bytes) -> bool:
        return self._pattern is not None and self._pattern.search(key.decode("utf-8", "replace")) is not None

    def apply(self, edit: Edit, rows: Mask) -> int:
        """Do it; returns for how many values it could not be done."""
        match self._action.action:
            case "insert":
                self._put(edit, rows & ~edit.present[self._key])
            case "update":
                self._put(edit, rows & edit.present[self._key])
            case "upsert":
                self._put(edit, rows)
            case "delete":
                for key in self._chosen:
                    edit.remove(key, rows)
                edit.remove_places(*self._others(edit, rows))
            case "hash":
                for key in self._chosen:
                    if (there := rows & edit.present[key]).any():
                        edit.put_texts(key, there, *hashed(edit.data.view, edit.values(key, there)))
                changed, places = self._others(edit, rows)
                if len(places):
                    edit.put_texts_at(changed, places, *hashed(edit.data.view, take(edit.attributes, places)))
            case "extract":
                self._extract(edit, rows)
            case "convert":
                return self._convert(edit, rows)
        return 0

    def _others(self, edit: Edit, rows: Mask) -> tuple[Mask, NDArray[np.int64]]:
        """Which of the rows have attributes that the pattern chooses, besides the columns, and where these are."""
        places = edit.places(rows) if self._pattern else np.empty(0, np.int64)
        if not len(places):
            return np.zeros(len(rows), np.bool_), places
        attributes = take(edit.attributes, places)
        codes, keys = distinct(Texts(edit.data.view, attributes["key_offset"], attributes["key_length"]))
        columns = edit.keys
        places = places[np.array([key not in columns and self._matches(key) for key in keys])[codes]]
        return edit.rows_of(places), places

    def _put(self, edit: Edit, rows: Mask) -> None:
        if self._source < 0:
            _put_constant(edit, self._key, rows, self._action.value)
            return
        there = edit.present[self._source]
        copied, absent = rows & there, rows & ~there
        if copied.any():
            edit.copy(self._key, self._source, copied)
        if self._action.default_value is not None:
            _put_constant(edit, self._key, absent, self._action.default_value)

    def _extract(self, edit: Edit, rows: Mask) -> None:
        there = rows & edit.present[self._key] & (edit.cells[self._key]["type"] == STRING)
        if not there.any() or self._pattern is None:
            return
        codes, texts = distinct_strings(edit.data.view, edit.values(self._key, there))
        found = [self._pattern.search(text.decode("utf-8", "replace")) for text in texts]
        matched = np.array([each is not None for each in found])[codes]
        there[there] = matched
        for target, group in zip(self._targets, self._groups, strict=True):
            parts = [(each[group] or "").encode() if each else b"" for each in found]
            edit.put_texts(target, there, codes[matched], parts)

    def _convert(self, edit: Edit, rows: Mask) -> int:
        there = rows & edit.present[self._key]
        wanted = self._action.converted_type
        if wanted == "string":
            there &= edit.cells[self._key]["type"] != STRING
            if there.any():
                edit.put_texts(self._key, there, *distinct_values(edit.data.view, edit.values(self._key, there)))
            return 0
        value_type, convert = _CONVERSIONS[str(wanted)]
        there &= edit.cells[self._key]["type"] != value_type
        if not there.any():
            return 0
        numbers, known = convert(edit.data.view, edit.values(self._key, there))
        there[there] = known
        if known.any():
            edit.put_numbers(self._key, there, value_type, numbers[known])
        return int(np.count_nonzero(~known))


def _put_constant(edit: Edit, key: int, rows: Mask, value: Any) -> None:
    if not rows.any():
        return
    match value:
        case str():
            edit.put_texts(key, rows, np.zeros(np.count_nonzero(rows), np.intp), [value.encode()])
        case bool():
            edit.put_numbers(key, rows, BOOL, int(value))
        case int():
            edit.put_numbers(key, rows, INT, value)
        case _:
            edit.put_numbers(key, rows, DOUBLE, struct.unpack("<q", struct.pack("<d", value))[0])
