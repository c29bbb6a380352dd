"""SpanBatch to OTLP: the bytes of an ExportTraceServiceRequest, for whoever is to have spans as they came.

Nothing that a batch holds is lost but the names of workspaces, for which OTLP has no place. What a request held and a batch does
not (unknown fields, entity references) is missing.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto import otlp_encode_kernels as kernels
from proto.room import Room
from proto.spans import SpanBatch, records
from proto.texts import Bytes, Texts, distinct_texts

_SLACK: Final = 32
"""Room behind the end, with which texts are copied without a loop (`proto.words.copy`)."""
_MOST_BYTES: Final = np.iinfo(np.int32).max

Rows = NDArray[np.int64]


class _Groups(NamedTuple):
    """Spans that are of equal scopes of equal resources, wherever they came from; in the order in which they are written.

    Attributes:
        resource_heads, scope_heads: what is said of each resource, and of the scope of each group.
        resource_of_group: place in `resource_heads`, shape (groups,); groups of one resource follow each other.
        group_of_span: shape (spans,).
    """

    resource_heads: Texts
    scope_heads: Texts
    resource_of_group: Rows
    group_of_span: Rows


class Encoder:
    """Writes batches as requests, one after the other in the same memory; for one thread."""

    def __init__(self) -> None:
        self._out = Room()

    def encode(self, batch: SpanBatch) -> Bytes:
        """All spans of a batch as one request, uint8; to be used before this encoder writes another.

        Equal resources are one, and so are equal scopes of a resource; each stands where its first span is in the batch.

        Raises:
            ValueError: it would have 2 GiB or more, which no message of protobuf may have.
        """
        groups = _groups(batch)
        heads = groups.resource_heads, groups.scope_heads
        order, ends = _in_order(groups.group_of_span, len(groups.resource_of_group))
        spans, events, links, attributes = map(records, (batch.spans, batch.events, batch.links, batch.attributes))
        sizes = tuple(np.empty(len(table), np.int64) for table in (batch.spans, batch.events, batch.links))
        group_sizes, scope_sizes = np.empty((2, len(ends)), np.int64)
        kernels.measure_spans(*sizes, group_sizes, spans, groups.group_of_span, events, links, attributes)
        outer_sizes = np.empty(len(groups.resource_heads.offsets), np.int64), scope_sizes
        size = kernels.measure_groups(*outer_sizes, group_sizes, groups.resource_of_group, *(each.lengths for each in heads))
        _check_size(size)
        self._out.clear()
        out = self._out.reserve(size + _SLACK)
        frame = *outer_sizes, groups.resource_of_group, *groups.resource_heads, *groups.scope_heads
        kernels.write_request(out, *frame, order, ends, *sizes, spans, events, links, attributes, batch.data)
        self._out.size = size
        return out[:size]


def encode_request(batch: SpanBatch) -> bytes:
    """The same as bytes of their own."""
    return Encoder().encode(batch).tobytes()


def _groups(batch: SpanBatch) -> _Groups:
    """Which spans belong together; costs next to nothing for each span."""
    scope_of_span = batch.spans["scope"]
    # Of several assignments to one place, NumPy keeps the last: here that of the first span.
    first_span = np.full(len(batch.scopes), len(batch))
    first_span[scope_of_span[::-1]] = np.arange(len(batch) - 1, -1, -1)
    scope_rows = np.argsort(first_span, kind="stable")[: np.count_nonzero(first_span < len(batch))]
    scope_codes, scopes = _heads(batch, "scopes", scope_rows)
    resource_rows = batch.scopes["resource"][scope_rows].astype(np.int64)
    numbers, first = _numbered(resource_rows)
    resource_codes, resources = _heads(batch, "resources", resource_rows[first])
    resource_of_scope = resource_codes[numbers].astype(np.int64)
    groups, first = _numbered(resource_of_scope * len(scope_rows) + scope_codes)
    order = np.argsort(resource_of_scope[first], kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    group_of_row = np.zeros(len(batch.scopes), np.int64)
    group_of_row[scope_rows] = place[groups]
    first = first[order]
    codes = scope_codes[first]
    scope_heads = Texts(scopes.data, scopes.offsets[codes], scopes.lengths[codes])
    return _Groups(resources, scope_heads, resource_of_scope[first], group_of_row[scope_of_span])


def _heads(batch: SpanBatch, table: Literal["resources", "scopes"], rows: Rows) -> tuple[NDArray[np.int32], Texts]:
    """What is said of these rows of a table, as bytes: for each its place among those that differ, and those."""
    measure, write = (
        (kernels.measure_resource_heads, kernels.write_resource_heads)
        if table == "resources"
        else (kernels.measure_scope_heads, kernels.write_scope_heads)
    )
    owners, attributes = records(getattr(batch, table)), records(batch.attributes)
    lengths, bodies = np.empty((2, len(rows)), np.int64)
    size = measure(lengths, bodies, rows, owners, attributes)
    _check_size(size)
    out = np.empty(size + _SLACK, np.uint8)
    write(out, bodies, rows, owners, attributes, batch.data)
    # Like the data of a batch, so that a kernel is compiled for one kind of data only.
    out.flags.writeable = False
    return distinct_texts(Texts(out, (np.cumsum(lengths) - lengths).astype(np.int32), lengths.astype(np.int32)))


def _check_size(size: int) -> None:
    if size > _MOST_BYTES:
        raise ValueError(f"a request of {size} bytes cannot be written: {_MOST_BYTES} are possible")


def _numbered(keys: Rows) -> tuple[Rows, Rows]:
    """For each key its number among those that differ, in the order in which they first come, and where each first is."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    numbers = np.empty_like(order)
    numbers[order] = np.arange(len(order))
    return numbers[inverse], first[order]


def _in_order(group_of_span: Rows, groups: int) -> tuple[Rows, Rows]:
    """The rows of spans group by group, each in the order of the batch, and where each group ends among them."""
    ends = np.cumsum(np.bincount(group_of_span, minlength=groups))
    if (group_of_span[1:] >= group_of_span[:-1]).all():
        return np.arange(len(group_of_span)), ends
    # Numbers of 16 bits are sorted digit by digit, in linear time.
    keys: NDArray[Any] = group_of_span.astype(np.uint16) if groups <= 1 << 16 else group_of_span
    return np.argsort(keys, kind="stable"), ends
