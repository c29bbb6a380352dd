"""Several batches as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proto.kernel import unchecked_kernel
from proto.spans import ABSENT, DTYPES, SPANS, SpanBatch, Table

_DATA: Final = "data"


def _references(dtype: np.dtype[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The fields of a table that point elsewhere: their places in a row, in 32-bit words, and by number what they point into."""
    targets = {"service_name": "attributes", "scope": "scopes", "resource": "resources"}
    fields: Mapping[str, Any] = dtype.fields or {}
    for field in fields:
        if field.endswith("_offset"):
            targets[field] = _DATA
        elif field.endswith("_start"):
            targets[field] = field.removesuffix("_start")
    found = {fields[field][1] // 4: target for field, target in targets.items() if field in fields}
    numbers = [(*DTYPES, _DATA).index(target) for target in found.values()]
    return np.array(list(found), np.int64), np.array(numbers, np.int64)


_REFERENCES: Final = {table: _references(dtype) for table, dtype in DTYPES.items()}


@unchecked_kernel
def _shift_references(rows: Table, ends: Table, words: Table, targets: Table, bases: Table) -> None:
    """Rows of joined tables: add to each of their `words` by how much what it points into has moved for its batch.

    Shapes: rows (rows, words of a row) int32, ends (batches,) int64: the row behind each batch, words and targets (references,)
    int64, bases (targets, batches) int32.
    """
    if bases.shape[1] != ends.size or words.size != targets.size or (ends.size and ends[-1] > rows.shape[0]):
        raise IndexError("more rows than there are")
    start = 0
    for batch in range(ends.size):
        for reference in range(words.size):
            word = words[reference]
            target = targets[reference]
            if word < 0 or word >= rows.shape[1] or target < 0 or target >= bases.shape[0]:
                raise IndexError("a word behind the end of a row, or a target that there is not")
            shift = bases[target, batch]
            for row in range(start, ends[batch]):
                if rows[row, word] != ABSENT:
                    rows[row, word] += shift
        start = ends[batch]


def concatenate(batches: Sequence[SpanBatch]) -> SpanBatch:
    """One batch of all spans in the given order. Cost is per batch and per byte, not per span.

    Requests that stand one behind the other in an arena are one already, and cost next to nothing.

    Raises:
        ValueError: no batches, or together they hold 2 GiB or more, which offsets cannot reach.
    """
    batches = _neighbours_as_one(batches)
    if len(batches) == 1:
        return batches[0]
    before = np.array([_before(batch) for batch in batches], np.int64).reshape(-1, len(DTYPES) + 1).T
    parts = {
        table: [getattr(batch, table)[start:] for batch, start in zip(batches, starts.tolist(), strict=True)]
        for table, starts in zip((*DTYPES, _DATA), before, strict=True)
    }
    size = sum(map(len, parts[_DATA]))
    if not batches or size > np.iinfo(np.int32).max:
        raise ValueError(f"cannot join {len(batches)} batches of {size} bytes: 1 to 2147483647 bytes are possible")
    counts = np.array([[len(part) for part in of_table] for of_table in parts.values()], np.int64)
    ends = np.cumsum(counts, axis=1)
    bases = (ends - counts - before).astype(np.int32)
    joined: dict[str, Any] = {}
    for number, (table, dtype) in enumerate(DTYPES.items()):
        # Joined as bytes, into bytes that can be written to: NumPy would copy structured rows field by field.
        rows: Table = np.ndarray(int(ends[number, -1]), dtype, bytearray().join(parts[table]))
        _shift_references(rows.view(np.int32).reshape(-1, dtype.itemsize // 4), ends[number], *_REFERENCES[table], bases)
        joined[table] = rows
    workspaces = _names(batches)
    if len(workspaces) > 1:
        renumbered = [
            _places(batch, workspaces)[part["workspace"]] for batch, part in zip(batches, parts["resources"], strict=True)
        ]
        joined["resources"]["workspace"] = np.concatenate(renumbered)
    data = np.frombuffer(b"".join(parts[_DATA]), np.uint8)
    longest_nested = max(batch.longest_nested for batch in batches)
    if any(batch.adjusted_count is not None for batch in batches):
        joined["adjusted_count"] = np.concatenate(
            [np.full(len(batch), np.nan) if batch.adjusted_count is None else batch.adjusted_count for batch in batches]
        )
    return SpanBatch(data, workspaces=workspaces, longest_nested=longest_nested, **joined)


def _before(batch: SpanBatch) -> list[int]:
    """What stands in front of a batch in its tables and its data; nothing in that of the spans, which are its own alone."""
    before = [0] * (len(DTYPES) + 1) if batch.origin is None else list(batch.origin.before)
    before[SPANS] = 0
    return before


def _names(batches: Sequence[SpanBatch]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for batch in batches for name in batch.workspaces))


def _places(batch: SpanBatch, workspaces: Sequence[str]) -> NDArray[np.int32]:
    """Where each workspace of a batch stands among these."""
    return np.array([workspaces.index(name) for name in batch.workspaces], np.int32)


def _neighbours_as_one(batches: Sequence[SpanBatch]) -> list[SpanBatch]:
    """The same spans, with each run of batches that stand one behind the other in an arena as one batch."""
    runs: list[list[SpanBatch]] = []
    behind: tuple[int, ...] = ()
    for batch in batches:
        if not (runs and _follows(batch, runs[-1][-1], behind)):
            runs.append([])
        runs[-1].append(batch)
        behind = _behind(batch)
    return [_as_one(run) for run in runs]


def _behind(batch: SpanBatch) -> tuple[int, ...]:
    """What the batch behind it has before itself, if both stand in one arena."""
    if batch.origin is None:
        return ()
    spans = batch.origin.before[SPANS] + len(batch)
    return (
        len(batch.resources),
        len(batch.scopes),
        spans,
        len(batch.events),
        len(batch.links),
        len(batch.attributes),
        len(batch.data),
    )


def _follows(batch: SpanBatch, earlier: SpanBatch, behind: tuple[int, ...]) -> bool:
    if batch.origin is None or earlier.origin is None or batch.origin.arena is None:
        return False
    return batch.origin.arena is earlier.origin.arena and batch.origin.before == behind


def _as_one(run: Sequence[SpanBatch]) -> SpanBatch:
    """Batches that follow each other in an arena as one."""
    first, last = run[0], run[-1]
    if first is last or first.origin is None or first.origin.arena is None:
        return first
    arena, start = first.origin.arena, first.origin.before[SPANS]
    workspaces, resources = _names(run), last.resources
    if len(workspaces) > 1:
        resources = resources.copy()
        for batch in run:
            own = batch.own_resources
            resources["workspace"][own.start : own.stop] = _places(batch, workspaces)[batch.resources["workspace"][own.start :]]
    return replace(
        last,
        resources=resources,
        spans=arena.tables["spans"][start : start + sum(map(len, run))],
        workspaces=workspaces,
        longest_nested=max(batch.longest_nested for batch in run),
        origin=first.origin._replace(request_size=0),
    )
