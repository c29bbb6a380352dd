"""What the processor `redaction` says of its work: attributes beside those that it looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from proto.distinct import distinct_strings
from proto.edit import Edit, Mask, Owners
from proto.spans import INT, STRING, SpanBatch


class Summary:
    """Adds to what is there from another redaction.

    Args:
        with_keys: name the keys, too.
    """

    COUNTS: ClassVar = tuple(f"redaction.{fate}.count" for fate in ("redacted", "masked", "allowed", "ignored"))
    NAMES: ClassVar = tuple(f"redaction.{fate}.keys" for fate in ("redacted", "masked", "allowed"))
    KEYS: ClassVar = (*COUNTS, *NAMES)

    def __init__(self, *, with_keys: bool) -> None:
        self._with_keys = with_keys

    def add(
        self,
        batch: SpanBatch,
        owners: Owners,
        rows: NDArray[np.int64],
        codes: NDArray[np.int32],
        keys: Sequence[bytes],
        chosen: Sequence[Mask],
    ) -> SpanBatch:
        """The batch with the summary.

        Args:
            rows: of each attribute its owner, shape (attributes,).
            codes: and its place in `keys`.
            chosen: for each of `COUNTS`, whether it was that attribute's fate.
        """
        if not any(each.any() for each in chosen):
            return batch
        edit = Edit(batch, owners, [key.encode() for key in self.KEYS])
        for number, each in enumerate(chosen):
            if not each.any():
                continue
            counts = np.bincount(rows[each], minlength=len(getattr(batch, owners)))
            there = counts > 0
            before = edit.values(number, there)
            known = edit.present[number, there] & (before["type"] == INT)
            edit.put_numbers(number, there, INT, counts[there] + np.where(known, before["number"], 0))
            if self._with_keys and number < len(self.NAMES):
                self._name(edit, len(self.COUNTS) + number, there, rows[each], codes[each], keys)
        return edit.finish()

    def _name(
        self,
        edit: Edit,
        column: int,
        there: Mask,
        rows: NDArray[np.int64],
        codes: NDArray[np.int32],
        keys: Sequence[bytes],
    ) -> None:
        """Write the names of keys, sorted: those that are there from before, and those of these attributes."""
        before = edit.values(column, there)
        before["value_length"][~(edit.present[column, there] & (before["type"] == STRING))] = 0
        states, texts = distinct_strings(edit.data.view, before)
        names = [tuple(text.split(b",")) if text else () for text in texts]
        # Rows whose keys are the same so far are one state. Each step adds the next key of each row that has one more.
        numbers = (np.cumsum(there) - 1)[rows]
        order = np.lexsort((codes, numbers))
        numbers, codes = numbers[order], codes[order]
        firsts = np.searchsorted(numbers, numbers)
        step_of = np.arange(len(numbers)) - firsts
        state = states.astype(np.int64)
        for step in range(int(step_of.max()) + 1):
            now = step_of == step
            pairs = state[numbers[now]] * len(keys) + codes[now]
            differing, places = np.unique(pairs, return_inverse=True)
            state[numbers[now]] = len(names) + places
            names += [(*names[pair // len(keys)], keys[pair % len(keys)]) for pair in differing.tolist()]
        last, places = np.unique(state, return_inverse=True)
        edit.put_texts(column, there, places, [b",".join(sorted(names[each])) for each in last.tolist()])
