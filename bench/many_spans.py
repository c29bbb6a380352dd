"""Spans by the million, shaped like the real traces: other ids, other times, other values, and the same of everything else.

Each round has every trace once, at a time of its own. Ids differ from round to round, and so do the digits in texts of attributes
of which the real traces have many (paths, ids of requests and users), so that a value that is rare there is rare here, and a
common one common.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import ABSENT, STRING, SpanBatch, members
from tests.support.traces import TraceFile, all_traces

PIECE_SPANS: Final = 40_960
"""About so many spans are written at once: whole traces, which start one after the other."""

_TAKES_TURNS: Final = "online-boutique-busy"
"""Six files of one capture that have most of all spans, and two attributes each: one of them a round is enough."""
_MANY: Final = 100
"""A key with more texts than this has other ones in every round."""
_PERIOD: Final = 64


@dataclass(frozen=True, slots=True)
class _Base:
    """Real spans, and where in their bytes is what differs from round to round.

    Attributes:
        batch: the spans.
        trace_ids, span_ids: places of ids in its data; shapes (ids, 16) and (ids, 8).
        digits: places of the decimal digits of those texts that vary, and how far into its text each stands; shape (2, digits).
        first, traces: of the batch's spans: which trace they are of, counted from 0; and the first start of each trace.
    """

    batch: SpanBatch
    trace_ids: NDArray[np.int64]
    span_ids: NDArray[np.int64]
    digits: NDArray[np.int64]
    traces: NDArray[np.int64]
    first: NDArray[np.uint64]


def rounds(start_ns: int, end_ns: int, spans: int, seed: int = 1) -> Iterator[SpanBatch]:
    """Batches with about so many spans together, spread evenly over the time; of PIECE_SPANS each, and more for a large trace."""
    random = np.random.default_rng(seed)
    bases = [_base(files) for files in _by_round(all_traces())]
    count = max(round(spans * len(bases) / sum(len(base.batch) for base in bases)), 1)
    step = (end_ns - start_ns) // count
    for number in range(count):
        yield from _pieces(_varied(bases[number % len(bases)], random, start_ns + number * step, step))


def large_trace(start_ns: int, spans: int) -> SpanBatch:
    """One trace of so many spans: traces of a shop, one after the other, below the root of the first."""
    shop = decode_all([file for file in all_traces() if file.name.startswith(_TAKES_TURNS)])
    base = _described(shop)
    order = np.argsort(base.traces, kind="stable")[:spans]
    batch = base.batch.select(order)
    table, traces = batch.spans.copy(), base.traces[order]
    root = int(np.flatnonzero(table["parent_span_id_offset"] == ABSENT)[0])
    roots = (table["parent_span_id_offset"] == ABSENT) & (np.arange(len(table)) != root)
    table["trace_id_offset"] = table["trace_id_offset"][root]
    table["parent_span_id_offset"][roots] = table["span_id_offset"][root]
    # One begins 20 milliseconds after the other.
    starts = np.uint64(start_ns) + traces.astype(np.uint64) * np.uint64(20_000_000)
    _move(table, starts - base.first[traces])
    table["end_time_unix_nano"][root] = table["end_time_unix_nano"].max()
    return replace(batch, spans=table)


def decode_all(files: Sequence[TraceFile]) -> SpanBatch:
    """The spans of these requests, without those that a receiver refuses."""
    return concatenate([decode(file.body).batch for file in files])


def _by_round(files: Sequence[TraceFile]) -> list[list[TraceFile]]:
    in_turn = [file for file in files if file.name.startswith(_TAKES_TURNS)]
    others = [file for file in files if file not in in_turn]
    return [[*others, file] for file in in_turn] or [others]


def _base(files: Sequence[TraceFile]) -> _Base:
    return _described(decode_all(files))


def _described(batch: SpanBatch) -> _Base:
    spans, links = batch.spans, batch.links
    ids = _places(spans["trace_id_offset"], 16)
    _, traces = np.unique(batch.data[ids].view("V16").reshape(-1), return_inverse=True)
    first = np.full(traces.max() + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(first, traces, spans["start_time_unix_nano"])
    parents = spans["parent_span_id_offset"]
    linked = links[(links["trace_id_length"] == 16) & (links["span_id_length"] == 8)]
    return _Base(
        batch,
        np.concatenate([ids, _places(linked["trace_id_offset"], 16)]),
        np.concatenate(
            [_places(offsets, 8) for offsets in (spans["span_id_offset"], parents[parents != ABSENT], linked["span_id_offset"])]
        ),
        _varying_digits(batch),
        traces,
        first,
    )


def _places(offsets: NDArray[Any], length: int) -> NDArray[np.int64]:
    return offsets.astype(np.int64)[:, None] + np.arange(length)


def _varying_digits(batch: SpanBatch) -> NDArray[np.int64]:
    rows = members(batch.spans["attributes_start"], batch.spans["attributes_count"])
    attributes = batch.attributes[rows]
    attributes = attributes[attributes["type"] == STRING]
    data = batch.data.tobytes()
    texts: dict[bytes, dict[bytes, None]] = {}
    runs: dict[bytes, list[tuple[int, int]]] = {}
    fields = (attributes[name].tolist() for name in ("key_offset", "key_length", "value_offset", "value_length"))
    for key_offset, key_length, offset, length in zip(*fields, strict=True):
        key = data[key_offset : key_offset + key_length]
        texts.setdefault(key, {})[data[offset : offset + length]] = None
        runs.setdefault(key, []).append((offset, length))
    varying = [run for key, of_key in runs.items() if len(texts[key]) > _MANY for run in of_key]
    if not varying:
        return np.empty((2, 0), np.int64)
    # Equal attributes may lie at one place.
    starts, lengths = np.array(sorted(set(varying)), np.int64).T
    places = members(starts, lengths)
    letters = batch.data[places]
    are_digits = (letters >= ord("0")) & (letters <= ord("9"))
    return np.array([places, places - np.repeat(starts, lengths)])[:, are_digits]


def _varied(base: _Base, random: np.random.Generator, start_ns: int, step_ns: int) -> tuple[SpanBatch, NDArray[np.int64]]:
    """The spans at other times and with other ids, and which trace each is of, counted by their starts."""
    data = base.batch.data.copy()
    data[base.trace_ids] ^= random.integers(0, 256, 16, np.uint8)
    data[base.span_ids] ^= random.integers(0, 256, 8, np.uint8)
    places, depths = base.digits
    shifts = random.integers(0, 10, _PERIOD, np.uint8)[depths % _PERIOD]
    data[places] = (data[places] - ord("0") + shifts) % 10 + ord("0")
    starts = np.uint64(start_ns) + random.integers(0, max(step_ns, 1), len(base.first)).astype(np.uint64)
    spans, events = base.batch.spans.copy(), base.batch.events.copy()
    moved = _move(spans, (starts - base.first)[base.traces])
    of_events = members(spans["events_start"], spans["events_count"])
    events["time_unix_nano"][of_events] += np.repeat(moved, spans["events_count"])
    rank = np.empty(len(starts), np.int64)
    rank[np.argsort(starts)] = np.arange(len(starts))
    return replace(base.batch, data=data, spans=spans, events=events), rank[base.traces]


def _move(spans: NDArray[Any], by_ns: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Move spans in place, each by as many nanoseconds, modulo 2^64; what was given."""
    spans["start_time_unix_nano"] += by_ns
    spans["end_time_unix_nano"] += by_ns
    return by_ns


def _pieces(varied: tuple[SpanBatch, NDArray[np.int64]]) -> Iterator[SpanBatch]:
    batch, traces = varied
    order = np.argsort(traces, kind="stable")
    begins = np.flatnonzero(np.diff(traces[order], prepend=-1))
    start = 0
    while start < len(order):
        after = begins[begins >= start + PIECE_SPANS]
        end = int(after[0]) if len(after) else len(order)
        yield batch.select(order[start:end])
        start = end
