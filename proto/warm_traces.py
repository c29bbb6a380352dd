"""Run every kernel of those that say what one trace looks like, on a trace of two spans."""

from __future__ import annotations

from typing import Final

import numpy as np

from proto import critical_path_kernels, trace_tree_kernels, waterfall_kernels
from proto.distinct import distinct
from proto.json_records import write_records
from proto.native_decode import decode_blocks
from proto.span_ids import id_numbers
from proto.spans import records
from proto.texts import known_texts
from proto.trace_shape import BAR, CALL, NODE, ROOT, SEGMENT, SHARE, SKELETON

_SPANS: Final = 2


def warm_traces() -> None:
    """From the rows of an answer to the JSON that is made of them."""
    ids = known_texts(["0123456789abcdef", ""])
    id_numbers([ids])
    distinct(ids)
    # A block of one column and one row.
    decode_blocks(b"\x01\x01\x01a\x06String\x01x")
    spans = np.zeros(_SPANS, SKELETON)
    spans["span_id"] = 1, 2
    nodes = np.zeros(_SPANS, NODE)
    ids_of_spans, parents = np.ascontiguousarray(spans["span_id"]), np.ascontiguousarray(spans["parent_span_id"])
    starts, by_start = np.ascontiguousarray(spans["start"]), np.argsort(spans["start"], kind="stable")
    broken, below, tops, order = np.zeros((4, _SPANS), np.int32)
    seed, slots = np.uint64(1), np.full(4, ROOT, np.int32)
    trace_tree_kernels.link_parents(records(nodes), np.zeros(_SPANS, np.uint8), ids_of_spans, parents, slots, seed)
    trace_tree_kernels.break_cycles(records(nodes), starts, ids_of_spans, np.zeros(_SPANS, np.int32), broken)
    trace_tree_kernels.grow(records(nodes), by_start, below, tops, order, np.empty(_SPANS, np.int32))
    steps, cut = np.zeros(_SPANS, np.int64), np.zeros(_SPANS, np.bool_)
    trace_tree_kernels.add_down(np.zeros(_SPANS, np.int64), steps, cut, records(nodes), order)
    self_times, counts = np.zeros(_SPANS, np.uint64), np.zeros((_SPANS, 2), np.int32)
    waterfall_kernels.find_self_times(self_times, records(spans), records(nodes), below)
    bars = np.empty(_SPANS, BAR)
    waterfall_kernels.draw_bars(records(bars), counts, records(spans), records(nodes), order, self_times, np.uint64(0))

    calls = np.zeros(_SPANS, CALL)
    children, waiting, spare = np.empty((3, _SPANS), np.int32)
    critical_path_kernels.select_calls(
        records(calls), children, records(spans), records(nodes), ids_of_spans, by_start, False, spare
    )
    segments = np.empty(2 * _SPANS, SEGMENT)
    frames = np.empty(_SPANS, critical_path_kernels.FRAME)
    walk = records(calls), children, np.zeros(_SPANS, np.uint64), records(frames), waiting, spare
    critical_path_kernels.walk_roots(records(segments), np.empty(_SPANS + 1, np.int64), tops, *walk)
    critical_path_kernels.walk_back(records(segments), 0, 0, np.uint64(0), *walk)
    critical_path_kernels.walk_to_completion(records(segments), np.full(2 * _SPANS, ROOT, np.int32), 0, *walk)
    on_path, shares = np.zeros(_SPANS, np.uint64), np.empty(_SPANS, SHARE)
    critical_path_kernels.touch(cut, on_path, records(segments[:0]), records(calls))
    stack = np.empty(_SPANS, critical_path_kernels.COMPARED)
    critical_path_kernels.compare_roots(
        records(shares), np.full(_SPANS, ROOT, np.int32), tops, cut, on_path, self_times, records(calls), children,
        np.zeros(_SPANS, np.uint64), records(stack), waiting, spare,
    )  # fmt: skip

    constants = known_texts(["[", "]"])
    ends = np.cumsum(constants.lengths, dtype=np.int64)
    values, forms = np.zeros((1, 1), np.uint64), np.zeros(1, np.uint8)
    write_records(np.empty(64, np.uint8), np.zeros(1, np.int64), values, forms, constants.data, ends, constants.data, ends)
