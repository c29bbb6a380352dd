"""Kernels that make the bars of a waterfall from the tables of `proto.trace_shape`."""

from __future__ import annotations

import numpy as np

from proto.kernel import kernel
from proto.trace_shape import ERROR, ROOT


@kernel
def find_self_times(self_times, spans, nodes, children):
    """For each span its duration less the union of its children's times, each cut to the span."""
    for row in range(spans.size):
        end = spans[row].start + spans[row].duration
        covered = np.uint64(0)
        reached = spans[row].start
        first = np.int64(nodes[row].children_start)
        # Children stand by start, so that one pass merges them.
        for index in range(first, first + nodes[row].children_count):
            child = children[index]
            child_start = max(spans[child].start, reached)
            child_end = min(spans[child].start + spans[child].duration, end)
            if child_start < child_end:
                covered += child_end - child_start
                reached = child_end
        self_times[row] = spans[row].duration - covered


@kernel
def draw_bars(bars, below, spans, nodes, order, self_times, trace_start):
    """Fill `bars`. `below` holds zeros: descendants of each span, and how many of them have failed."""
    for index in range(order.size - 1, -1, -1):
        row = order[index]
        parent = np.int64(nodes[row].parent)
        if parent != ROOT:
            below[parent, 0] += below[row, 0] + 1
            below[parent, 1] += below[row, 1] + (spans[row].status_code == ERROR)
    for index in range(order.size):
        row = order[index]
        start = spans[row].start
        bars[index].row = row
        bars[index].depth = nodes[row].depth
        bars[index].offset = start - trace_start if start > trace_start else np.uint64(0)
        bars[index].duration = spans[row].duration
        bars[index].self_time = self_times[row]
        bars[index].descendants = below[row, 0]
        bars[index].errors_below = below[row, 1]
