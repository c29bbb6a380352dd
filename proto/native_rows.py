"""The rows of a block: what its columns share, worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto import native_kernels as kernels
from proto.adjusted_count import adjusted_counts
from proto.room import Room
from proto.spans import ABSENT, SpanBatch, Table, members, records, take
from proto.texts import Bytes, Index, Integers, Texts
from proto.value_text import WORK_BESIDES, WORK_PER_BYTE

_LINE_WORDS: Final = 16


class Lists(NamedTuple):
    """For each row a run of attributes: its start and its count, shape (rows,)."""

    starts: Integers
    counts: Integers


class Maps(NamedTuple):
    """What a Map column and the column of its types are written from; shapes (lists,) unless said otherwise.

    Attributes:
        counts: attributes of each list.
        codes: places of their keys in `keys`, one list behind the other, int32, shape (attributes,).
        keys: the keys that differ.
        values: the values' texts behind their lengths, one list behind the other, uint8.
        value_ends: where each list's values end in `values`, int64.
        types: the letters of each list's types; none for strings alone.
        list_of_row: which list each row has, shape (rows,); None where each row has its own.
    """

    counts: Integers
    codes: Integers
    keys: Texts
    values: Bytes
    value_ends: Integers
    types: Texts
    list_of_row: Integers | None


class Columns:
    """A table turned into columns: `columns["name"]` is contiguous, where the table's own field would be strided.

    Fields of four bytes, nearly all, are turned in one pass over the table as a matrix of 32-bit words. The columns lie an odd
    number of cache lines apart: the words of a row, written together, would else meet in the same few places of the cache.
    The same pass finds the highest word of each column, which says of most columns whether they hold anything at all.
    """

    def __init__(self, table: Table) -> None:
        width = table.dtype.itemsize // 4
        odd_lines = -(-len(table) // _LINE_WORDS) | 1
        self._table = table
        self._fields: Mapping[str, Any] = table.dtype.fields or {}
        self._words = np.empty((width, odd_lines * _LINE_WORDS), np.uint32)
        highest = np.zeros(width, np.uint32)
        kernels.transpose(table.view(np.uint32).reshape(len(table), width), self._words, highest)
        self._highest: list[int] = highest.tolist()

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, field: str) -> Integers:
        dtype, offset = self._fields[field][:2]
        column: Integers = (
            self._words[offset // 4, : len(self)].view(dtype) if dtype.itemsize == 4 else np.ascontiguousarray(self._table[field])
        )
        return column

    def highest(self, field: str) -> int:
        """The highest value of a field of four bytes, or of the higher halves of one of eight, as unsigned; 0 without rows."""
        dtype, offset = self._fields[field][:2]
        word: int = offset // 4 + dtype.itemsize // 8
        return self._highest[word]

    def lists(self) -> Lists:
        """The attributes of each row."""
        return Lists(self["attributes_start"], self["attributes_count"])


class Rows:
    """A batch seen from the rows of its block.

    Attributes:
        spans, scopes, resources, events, links: columns of those tables; of events and links only those that the spans have, in
            the order of the spans.
        scope_of_span, resource_of_span: rows of `scopes` and `resources`, shape (spans,).
        start, end: times of the spans, uint64 nanoseconds.
        work: scratch for nested values, see `proto.value_text`.

    Args:
        batch: the spans.
        scratch: room for what several columns are written from; in use as long as the rows are.
    """

    def __init__(self, batch: SpanBatch, scratch: Room) -> None:
        self.data = batch.data
        self.attributes = records(batch.attributes)
        self.workspaces = batch.workspaces
        self.spans = Columns(batch.spans)
        self.scopes = Columns(batch.scopes)
        self.resources = Columns(batch.resources)
        self.scope_of_span = self.spans["scope"]
        self.resource_of_span = self.scopes["resource"][self.scope_of_span]
        self.start = self.spans["start_time_unix_nano"]
        self.end = self.spans["end_time_unix_nano"]
        self.events_count = self.spans["events_count"]
        self.links_count = self.spans["links_count"]
        self._batch = batch
        self._scratch = scratch
        self.work = np.empty(WORK_PER_BYTE * batch.longest_nested + WORK_BESIDES if batch.longest_nested else 0, np.int64)

    @cached_property
    def ends_early(self) -> bool:
        """Whether any span ends before it starts."""
        return bool((self.end < self.start).any())

    @property
    def weighs(self) -> bool:
        """Whether something else than their trace states says how many spans some of these stand for."""
        return self._batch.adjusted_count is not None

    @property
    def adjusted_counts(self) -> NDArray[np.float64]:
        """How many spans each span stands for, shape (spans,)."""
        return adjusted_counts(self._batch)

    @cached_property
    def events(self) -> Columns:
        return Columns(take(self._batch.events, members(self.spans["events_start"], self.events_count)))

    @cached_property
    def links(self) -> Columns:
        return Columns(take(self._batch.links, members(self.spans["links_start"], self.links_count)))

    def texts(self, columns: Columns, field: str) -> Texts:
        return Texts(self.data, columns[f"{field}_offset"], columns[f"{field}_length"])

    @cached_property
    def service_names(self) -> Texts:
        """The text of each resource's service.name, whatever its type; empty where there is none."""
        attributes = self.resources["service_name"]
        names = attributes[attributes != ABSENT]
        text = np.empty(self.most_value_bytes(len(names)), np.uint8)
        offsets = np.empty(len(attributes), np.int32)
        lengths = np.empty(len(attributes), np.int32)
        kernels.write_value_texts(offsets, lengths, text, self.data, self.attributes, attributes, self.work)
        return _read_only(text, offsets, lengths)

    @cached_property
    def span_maps(self) -> Maps:
        return self._maps(self.spans.lists())

    @cached_property
    def event_maps(self) -> Maps:
        return self._maps(self.events.lists())

    @cached_property
    def link_maps(self) -> Maps:
        return self._maps(self.links.lists())

    @cached_property
    def scope_maps(self) -> Maps:
        return self._shared_maps(self.scopes, self.scope_of_span)

    @cached_property
    def resource_maps(self) -> Maps:
        return self._shared_maps(self.resources, self.resource_of_span)

    def _shared_maps(self, columns: Columns, row: Integers) -> Maps:
        """Maps of resources or scopes, of those alone that any span has: what many rows share is worked out once."""
        used = np.bincount(row, minlength=len(columns)) > 0
        starts, counts = columns.lists()
        if used.all():
            return self._maps(Lists(starts, counts), row)
        return self._maps(Lists(starts[used], counts[used]), (np.cumsum(used, dtype=np.int32) - 1)[row])

    def _maps(self, lists: Lists, list_of_row: Integers | None = None) -> Maps:
        total = int(lists.counts.sum())
        codes = np.empty(total, np.int32)
        values = self._scratch.reserve(self.most_value_bytes(total))[self._scratch.size :]
        value_ends = np.empty(len(lists.counts), np.int64)
        # A letter a value, and at most a letter a byte within nested ones.
        types = np.empty(total + (2 * len(self.data) if self._batch.longest_nested else 0), np.uint8)
        type_places = np.empty((2, len(lists.counts)), np.int32)
        index = Index()
        out = codes, values, value_ends, types, *type_places
        while (size := kernels.write_maps(*out, self.data, self.attributes, *lists, *index.tables, self.work)) < 0:
            index.grow()
        values = values[: value_ends[-1] if total else 0]
        self._scratch.size += len(values)
        keys = index.distinct(self.data, size)
        return Maps(lists.counts, codes, keys, values, value_ends, _read_only(types, *type_places), list_of_row)

    def most_value_bytes(self, values: int) -> int:
        """Room for so many different attributes' values as texts behind their lengths.

        A text takes its own bytes, base64 a third more, and JSON six times as many where all needs escapes; a number and
        what is besides fit the constant. Memory that is not touched costs nothing.
        """
        return (7 if self._batch.longest_nested else 2) * len(self.data) + 48 * values


def _read_only(text: Bytes, offsets: Integers, lengths: Integers) -> Texts:
    """Like the data of a batch, so that a kernel is compiled for one kind of data only."""
    text.flags.writeable = False
    return Texts(text, offsets, lengths)
