"""Kernels that find the forest of a trace (`proto.trace_shape.NODE`), whatever its spans say. Nothing here recurses."""

from __future__ import annotations

import numpy as np

from proto.call_kernels import find_row
from proto.kernel import kernel
from proto.spans import ABSENT
from proto.trace_shape import ROOT

# What is unusual about a span; a sum of these.
SHARED = 1
"""Its id is that of another span too."""
OWN_PARENT = 2
MISSING_PARENT = 4
AMBIGUOUS_PARENT = 8
"""Several spans have the id of its parent; the first of them is taken for it."""


@kernel
def link_parents(nodes, marks, span_ids, parent_ids, slots, seed):
    """Find every span's parent by its id, 0 for none, and what is unusual about it. Returns whether anything is.

    `marks` holds zeros, `slots` ABSENT: an open-addressed hash table of rows, a power of two long and never full.
    """
    seen = 0
    for row in range(span_ids.size):
        if span_ids[row] == 0:
            continue
        place = find_row(span_ids[row], span_ids, slots, seed)
        first = np.int64(slots[place])
        if first == ABSENT:
            slots[place] = row
        else:
            marks[first] = SHARED
            marks[row] = SHARED
            seen = SHARED
    for row in range(span_ids.size):
        nodes[row].parent = ROOT
        if parent_ids[row] == 0:
            continue
        mark = 0
        if parent_ids[row] == span_ids[row]:
            mark = OWN_PARENT
        else:
            parent = np.int64(slots[find_row(parent_ids[row], span_ids, slots, seed)])
            if parent == ABSENT:
                mark = MISSING_PARENT
            else:
                nodes[row].parent = parent
                if marks[parent] & SHARED:
                    mark = AMBIGUOUS_PARENT
        if mark:
            marks[row] |= mark
            seen |= mark
    return seen != 0


@kernel
def break_cycles(nodes, starts, span_ids, visits, broken):
    """Make of each cycle the member with the earliest start a root (ties: the smaller id, then the lower row).

    `visits` holds zeros. Returns how many were written to `broken`.
    """
    count = 0
    for first in range(visits.size):
        row = first
        while row != ROOT and not visits[row]:
            visits[row] = first + 1
            row = np.int64(nodes[row].parent)
        if row == ROOT or visits[row] != first + 1:
            continue
        earliest = row
        member = np.int64(nodes[row].parent)
        while member != row:
            if starts[member] != starts[earliest]:
                is_earlier = starts[member] < starts[earliest]
            elif span_ids[member] != span_ids[earliest]:
                is_earlier = span_ids[member] < span_ids[earliest]
            else:
                is_earlier = member < earliest
            if is_earlier:
                earliest = member
            member = np.int64(nodes[member].parent)
        nodes[earliest].parent = ROOT
        broken[count] = earliest
        count += 1
    return count


@kernel
def grow(nodes, by_start, children, roots, order, stack):
    """From the parents of all spans, none of which is its own ancestor, everything else about them.

    `by_start` has all rows by start. Filled are `children`, the runs of rows below each span; `roots`, of which as many count as
    is returned; and `order`, all rows as they are drawn. `stack` has room for all rows.
    """
    for row in range(nodes.size):
        nodes[row].children_count = 0
    for row in range(nodes.size):
        if nodes[row].parent != ROOT:
            nodes[nodes[row].parent].children_count += 1
    start = 0
    for row in range(nodes.size):
        nodes[row].children_start = start
        start += nodes[row].children_count
        nodes[row].children_count = 0
    root_count = 0
    for row in by_start:
        parent = np.int64(nodes[row].parent)
        if parent == ROOT:
            roots[root_count] = row
            root_count += 1
        else:
            children[nodes[parent].children_start + nodes[parent].children_count] = row
            nodes[parent].children_count += 1
    size = 0
    for index in range(root_count - 1, -1, -1):
        stack[size] = roots[index]
        size += 1
    position = 0
    while size:
        size -= 1
        row = np.int64(stack[size])
        order[position] = row
        position += 1
        parent = np.int64(nodes[row].parent)
        nodes[row].depth = 0 if parent == ROOT else nodes[parent].depth + 1
        first = np.int64(nodes[row].children_start)
        for index in range(first + nodes[row].children_count - 1, first - 1, -1):
            stack[size] = children[index]
            size += 1
    return root_count


@kernel
def add_down(totals, steps, cut, nodes, order):
    """The steps of each span and of all above it added up; 0 for roots and where `cut` says so."""
    for row in order:
        parent = np.int64(nodes[row].parent)
        totals[row] = 0 if parent == ROOT or cut[row] else totals[parent] + steps[row]
