"""The rows of a block: what its columns share, worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto import native_kernels as kernels
from proto.spans import ABSENT, ARRAY, KVLIST, SpanBatch, Table, records, take
from proto.value_text import WORK_BESIDES, WORK_PER_BYTE

Bytes = NDArray[np.uint8]
Integers = NDArray[Any]


class Texts(NamedTuple):
    """Texts as views: `data` (uint8, read-only), and offset and length of each (integers, shape (rows,))."""

    data: Bytes
    offsets: Integers
    lengths: Integers


class Lists(NamedTuple):
    """For each row a run of attributes: its start and its count, shape (rows,)."""

    starts: Integers
    counts: Integers


class Columns:
    """A table turned into columns: `columns["name"]` is contiguous, where the table's own field would be strided.

    Every field is four or eight bytes wide, so the table is turned as a matrix of 32-bit words, in one pass.
    """

    def __init__(self, table: Table) -> None:
        width = table.dtype.itemsize // 4
        self._fields: Mapping[str, Any] = table.dtype.fields or {}
        self._words = np.empty((width, len(table)), np.int32)
        kernels.transpose(table.view(np.int32).reshape(len(table), width), self._words)

    def __getitem__(self, field: str) -> Integers:
        dtype, offset = self._fields[field][:2]
        if dtype.itemsize == 4:
            column: Integers = self._words[offset // 4].view(dtype)
            return column
        low, high = self._words[offset // 4 : offset // 4 + 2].view(np.uint32)
        wide: Integers = low | high.astype(np.uint64) << np.uint64(32)
        return wide

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
    """

    def __init__(self, batch: SpanBatch) -> None:
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
        types = batch.attributes["type"]
        nested = (types == ARRAY) | (types == KVLIST)
        self.has_nested = bool(nested.any())
        longest = int(batch.attributes["value_length"][nested].max(initial=0))
        self.work = np.empty(WORK_PER_BYTE * longest + WORK_BESIDES if self.has_nested else 0, np.int64)

    @cached_property
    def events(self) -> Columns:
        return Columns(take(self._batch.events, _members(self.spans["events_start"], self.events_count)))

    @cached_property
    def links(self) -> Columns:
        return Columns(take(self._batch.links, _members(self.spans["links_start"], self.links_count)))

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
    def span_types(self) -> Texts:
        return self.types(self.spans.lists())

    @cached_property
    def scope_types(self) -> Texts:
        return self.types(self.scopes.lists())

    @cached_property
    def resource_types(self) -> Texts:
        return self.types(self.resources.lists())

    @cached_property
    def event_types(self) -> Texts:
        return self.types(self.events.lists())

    @cached_property
    def link_types(self) -> Texts:
        return self.types(self.links.lists())

    def types(self, lists: Lists) -> Texts:
        """The type letters of each list."""
        # A letter a value, and at most a letter a byte within nested ones.
        text = np.empty(int(lists.counts.sum()) + (2 * len(self.data) if self.has_nested else 0), np.uint8)
        offsets = np.empty(len(lists.starts), np.int32)
        lengths = np.empty(len(lists.starts), np.int32)
        kernels.write_type_lists(offsets, lengths, text, self.data, self.attributes, *lists, self.work)
        return _read_only(text, offsets, lengths)

    def most_value_bytes(self, values: int) -> int:
        """Room for so many different attributes' values as texts behind their lengths.

        A text takes its own bytes, base64 a third more, and JSON six times as many where all needs escapes; a number and
        what is besides fit the constant. Memory that is not touched costs nothing.
        """
        return (7 if self.has_nested else 2) * len(self.data) + 48 * values


def _members(starts: Integers, counts: Integers) -> Integers:
    """Row numbers of all runs, one run behind the other."""
    ends = np.cumsum(counts)
    rows: Integers = np.arange(int(counts.sum())) + np.repeat(starts - (ends - counts), counts)
    return rows


def _read_only(text: Bytes, offsets: Integers, lengths: Integers) -> Texts:
    """Like the data of a batch, so that a kernel is compiled for one kind of data only."""
    text.flags.writeable = False
    return Texts(text, offsets, lengths)
