"""Changes names and statuses of spans: the processor `span`. What becomes of a name is worked out once for each that differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.base import Processed
from collector.processors.selection import Selection
from config.patterns import compile_pattern
from config.span_names import SpanProcessor
from proto.distinct import distinct, distinct_values
from proto.edit import Edit, Mask
from proto.spans import BOOL, DOUBLE, INT, STRING, SpanBatch
from proto.texts import Texts

_CODES: Final = {"Unset": 0, "Ok": 1, "Error": 2}
_SCALARS: Final = (STRING, BOOL, INT, DOUBLE)


class SpanNames:
    """Does what its settings say: names from attributes, then attributes from names, then the status."""

    def __init__(self, settings: SpanProcessor) -> None:
        self._selection = Selection(settings.include, settings.exclude)
        self._settings = settings
        parts = settings.name.to_attributes
        self._rules = [compile_pattern(rule) for rule in parts.rules] if parts else []
        self._breaks = parts is not None and parts.break_after_match
        self._renames = parts is not None and not parts.keep_original_name
        groups = (group for rule in self._rules for group in rule.groupindex)
        self._keys = list(dict.fromkeys((*settings.name.from_attributes, *groups)))

    def process(self, batch: SpanBatch) -> Processed:
        """All spans, some with other names, attributes and statuses."""
        chosen = self._selection.choose(batch)
        if not chosen.any():
            return Processed(batch)
        edit = Edit(batch, "spans", [key.encode() for key in self._keys])
        names = _Names(batch, edit)
        if self._settings.name.from_attributes:
            self._from_attributes(edit, names, chosen)
        self._to_attributes(edit, names, chosen.copy())
        status = self._settings.status
        edited = edit.finish()
        if not names.changed and status is None:
            return Processed(edited)
        spans = edited.spans.copy()
        spans["name_offset"], spans["name_length"] = names.offsets, names.lengths
        if status is not None:
            message = edit.data.append_texts([status.description.encode()])
            spans["status_code"][chosen] = _CODES[status.code]
            spans["status_message_offset"][chosen] = message.offsets[0]
            spans["status_message_length"][chosen] = message.lengths[0]
        return Processed(replace(edited, data=edit.data.view, spans=spans, origin=None))

    def _from_attributes(self, edit: Edit, names: _Names, chosen: Mask) -> None:
        keys = [self._keys.index(key) for key in self._settings.name.from_attributes]
        rows = chosen & edit.present[keys].all(axis=0) & np.isin(edit.cells["type"][keys], _SCALARS).all(axis=0)
        if not rows.any():
            return
        separator = self._settings.name.separator.encode()
        codes, texts = distinct_values(edit.data.view, edit.values(keys[0], rows))
        for key in keys[1:]:
            # Names whose parts are the same so far are one.
            further, parts = distinct_values(edit.data.view, edit.values(key, rows))
            pairs, codes = np.unique(codes.astype(np.int64) * len(parts) + further, return_inverse=True)
            texts = [texts[pair // len(parts)] + separator + parts[pair % len(parts)] for pair in pairs.tolist()]
        names.put(rows, codes, texts)

    def _to_attributes(self, edit: Edit, names: _Names, open_rows: Mask) -> None:
        """Try the rules on the spans in `open_rows`, of which those are taken that need no further rule."""
        for rule in self._rules:
            rows = open_rows & (names.lengths > 0)
            if not rows.any():
                return
            codes, texts = distinct(Texts(edit.data.view, names.offsets[rows], names.lengths[rows]))
            found = [rule.search(text.decode()) for text in texts]
            for group in rule.groupindex:
                values = [match[group] if match else None for match in found]
                there = np.array([value is not None for value in values])[codes]
                with_group = rows.copy()
                with_group[rows] = there
                if there.any():
                    made = [(value or "").encode() for value in values]
                    edit.put_texts(self._keys.index(group), with_group, codes[there], made)
            matched = np.array([match is not None for match in found])[codes]
            rows[rows] = matched
            if self._renames and matched.any():
                renamed = [_with_placeholders(match, rule.groupindex).encode() if match else b"" for match in found]
                names.put(rows, codes[matched], renamed)
            if self._breaks:
                open_rows &= ~rows


class _Names:
    """The names of a batch's spans, as offsets and lengths into the data of an edit, int32.

    Attributes:
        changed: whether any has been changed.
    """

    def __init__(self, batch: SpanBatch, edit: Edit) -> None:
        self.offsets = batch.spans["name_offset"].copy()
        self.lengths = batch.spans["name_length"].copy()
        self.changed = False
        self._edit = edit

    def put(self, rows: Mask, codes: NDArray[Any], texts: list[bytes]) -> None:
        """Give each of these rows the one of these names that its code says."""
        appended = self._edit.data.append_texts(texts)
        self.offsets[rows] = appended.offsets[codes]
        self.lengths[rows] = appended.lengths[codes]
        self.changed = True


def _with_placeholders(match: Any, groups: Mapping[str, int]) -> str:
    """The text in which a pattern was found, with names of groups for their texts; of nested groups the outer one counts."""
    parts: list[str] = []
    end = 0
    for group, number in sorted(groups.items(), key=lambda item: item[1]):
        start, behind = match.span(number)
        if match[group] is not None and start >= end:
            parts += [match.string[end:start], f"{{{group}}}"]
            end = behind
    return "".join([*parts, match.string[end:]])
