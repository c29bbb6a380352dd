"""Kernels that walk back from the ends of spans to what they were waiting for (`proto.trace_shape.CALL` and behind it).

`cut_ends` and `stops` are by row: ends of spans, cut to what is looked at. `waiting` and `spare` have room for all rows; the run
of a span's children is theirs in `waiting` too. Trees share no span, so that all of these serve the walks of all roots.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.call_kernels import CONSUMER, PRODUCER
from proto.kernel import kernel
from proto.row_order import sort_rows
from proto.trace_shape import ROOT

# Why a child cannot have held up its parent.
HANDED_OVER: Final = 1
OUTSIDE_PARENT: Final = 2
OUTLIVES_PARENT: Final = 3

FRAME = np.dtype(
    [
        ("begin", "<u8"),
        ("until", "<u8"),  # the time of the span down to here is explained
        ("row", "<i4"),
        ("waiting_end", "<i4"),  # behind the child to look at next
        ("uncertain", "?"),
    ],
    align=True,
)
"""A span on the path."""
COMPARED = np.dtype([("begin", "<u8"), ("limit", "<u8"), ("saving", "<u8"), ("row", "<i4")], align=True)
"""A span whose children are to be compared, cut to the times of its ancestors."""


@kernel
def select_calls(calls, children, spans, nodes, span_ids, by_start, ignores_overflow, spare):
    """Fill `calls`, of which the allowances are there, and `children`: which spans can have held up their parents."""
    for row in range(calls.size):
        calls[row].start = spans[row].start
        calls[row].end = spans[row].start + spans[row].duration
        calls[row].parent = nodes[row].parent
        calls[row].children_count = 0
        calls[row].excluded = 0
        calls[row].outlives = False
    for row in range(calls.size):
        parent = np.int64(calls[row].parent)
        if parent == ROOT:
            continue
        until = calls[parent].end
        calls[row].outlives = calls[row].end > until and calls[row].end - until > calls[parent].allowance
        if spans[parent].kind == PRODUCER and spans[row].kind == CONSUMER:
            calls[row].excluded = HANDED_OVER
        elif calls[row].start > until or calls[row].end < calls[parent].start:
            calls[row].excluded = OUTSIDE_PARENT
        elif ignores_overflow and calls[row].outlives:
            calls[row].excluded = OUTLIVES_PARENT
        else:
            calls[parent].children_count += 1
    start = 0
    for row in range(calls.size):
        calls[row].children_start = start
        start += calls[row].children_count
        calls[row].children_count = 0
    for row in by_start:
        parent = np.int64(calls[row].parent)
        if parent != ROOT and not calls[row].excluded:
            children[calls[parent].children_start + calls[parent].children_count] = row
            calls[parent].children_count += 1
    for row in range(calls.size):
        order_equal_starts(calls, children, row, span_ids, spare)


@kernel
def order_equal_starts(calls, children, row, span_ids, spare):
    """Put those children of a span that start together in the order of their ids."""
    begin = np.int64(calls[row].children_start)
    end = begin + calls[row].children_count
    while begin < end:
        following = begin + 1
        while following < end and calls[children[following]].start == calls[children[begin]].start:
            following += 1
        if following - begin > 1:
            sort_rows(children, begin, following, span_ids, spare)
        begin = following


@kernel
def walk_roots(segments, bounds, roots, calls, children, cut_ends, frames, waiting, spare):
    """The segments of all roots; those of roots[n] begin at bounds[n] and end at bounds[n + 1]."""
    count = 0
    bounds[0] = 0
    for index in range(roots.size):
        root = np.int64(roots[index])
        count = walk_back(segments, count, root, calls[root].end, calls, children, cut_ends, frames, waiting, spare)
        bounds[index + 1] = count


@kernel
def walk_back(segments, count, row, until, calls, children, cut_ends, frames, waiting, spare):
    """Append the segments of a span from an instant back to its start, the latest first; returns how many there are then.

    With the same `cut_ends`, each span may be reached once.
    """
    depth = 0
    enter(frames, depth, row, calls[row].start, False, calls, children, cut_ends, waiting, spare)
    frames[0].until = until
    while depth >= 0:
        child = next_child(frames, depth, calls, cut_ends, waiting)
        if child == ROOT:
            count = add_segment(
                segments, count, frames[depth].row, frames[depth].begin, frames[depth].until, frames[depth].uncertain
            )
            depth -= 1
            continue
        end = cut_ends[child]
        count = add_segment(segments, count, frames[depth].row, end, frames[depth].until, frames[depth].uncertain)
        frames[depth].until = max(calls[child].start, frames[depth].begin)
        uncertain = frames[depth].uncertain or calls[child].outlives
        if calls[child].children_count:
            enter(frames, depth + 1, child, frames[depth].until, uncertain, calls, children, cut_ends, waiting, spare)
            depth += 1
        else:
            count = add_segment(segments, count, child, frames[depth].until, end, uncertain)
    return count


@kernel
def add_segment(segments, count, row, start, end, uncertain):
    """Append a segment unless it has no length; returns how many there are then."""
    if start >= end:
        return count
    segments[count].row = row
    segments[count].start = start
    segments[count].end = end
    segments[count].uncertain = uncertain
    return count + 1


@kernel
def enter(frames, depth, row, begin, uncertain, calls, children, cut_ends, waiting, spare):
    """Begin with a span at its cut end, and cut the ends of its children to that."""
    end = cut_ends[row]
    first = np.int64(calls[row].children_start)
    last = first
    for index in range(first + calls[row].children_count - 1, first - 1, -1):
        child = children[index]
        cut_end = min(cut_ends[child], end)
        cut_ends[child] = cut_end
        if begin < cut_end and calls[child].start < cut_end:
            waiting[last] = child
            last += 1
    # The latest end is taken first; of equal ends the one with the earliest start, then the smaller id.
    sort_rows(waiting, first, last, cut_ends, spare)
    frames[depth].row = row
    frames[depth].begin = begin
    frames[depth].until = end
    frames[depth].uncertain = uncertain
    frames[depth].waiting_end = last


@kernel
def next_child(frames, depth, calls, cut_ends, waiting):
    """The child that was waited for next, its end cut to what is not explained yet; ROOT when the rest is the span's own time."""
    row = np.int64(frames[depth].row)
    until = frames[depth].until
    while frames[depth].waiting_end > calls[row].children_start:
        frames[depth].waiting_end -= 1
        child = np.int64(waiting[frames[depth].waiting_end])
        end = cut_ends[child]
        if calls[child].start < until and (end <= until or end - until <= calls[row].allowance):
            cut_ends[child] = min(end, until)
            return child
    return np.int64(ROOT)


@kernel
def walk_to_completion(segments, causes, row, calls, children, cut_ends, frames, waiting, spare):
    """Segments from the end of a span back to the start of its root, waits included; `causes` holds ROOT, and has the row of what
    had the span started where a segment is a wait for that. Returns how many there are."""
    count = 0
    until = calls[row].end
    while True:
        if calls[row].start < until:
            count = walk_back(segments, count, row, until, calls, children, cut_ends, frames, waiting, spare)
            until = calls[row].start
        parent = np.int64(calls[row].parent)
        if parent == ROOT:
            return count
        if calls[row].excluded and calls[parent].end < until:
            causes[count] = parent
            count = add_segment(segments, count, row, calls[parent].end, until, False)
            until = calls[parent].end
        row = parent


@kernel
def touch(touched, on_path, segments, calls):
    """How long each span was waited for itself, and which spans have a segment or are above one that has. Both hold zeros."""
    for index in range(segments.size):
        row = np.int64(segments[index].row)
        on_path[row] += segments[index].end - segments[index].start
        while row != ROOT and not touched[row]:
            touched[row] = True
            row = np.int64(calls[row].parent)


@kernel
def compare_roots(shares, root_of, roots, touched, on_path, self_times, calls, children, stops, stack, waiting, spare):
    """Drag and slack of all roots and of everything below them that can have held them up, each cut to its ancestors' times.

    `root_of` holds ROOT; of a span that was compared it has the position of its root among `roots` then.
    """
    for index in range(roots.size):
        root = np.int64(roots[index])
        begin = calls[root].start
        limit = calls[root].end
        put_share(shares, root_of, index, root, on_path, self_times)
        shares[root].drag = limit - begin
        shares[root].saving = limit - begin
        size = push(stack, 0, root, begin, limit, limit - begin)
        while size:
            size -= 1
            parent = np.int64(stack[size].row)
            begin = stack[size].begin
            limit = stack[size].limit
            parent_saving = stack[size].saving
            earliest_start = limit
            first = np.int64(calls[parent].children_start)
            last = first
            for at in range(first, first + calls[parent].children_count):
                child = children[at]
                start = max(calls[child].start, begin)
                stop = min(calls[child].end, limit)
                if start < stop:
                    waiting[last] = child
                    last += 1
                    stops[child] = stop
                    earliest_start = min(earliest_start, start)
            sort_rows(waiting, first, last, stops, spare)
            for at in range(last - 1, first - 1, -1):
                child = np.int64(waiting[at])
                start = max(calls[child].start, begin)
                stop = stops[child]
                put_share(shares, root_of, index, child, on_path, self_times)
                if touched[child]:
                    drag = stop - start
                    if at > first and stop - stops[waiting[at - 1]] < drag:
                        drag = stop - stops[waiting[at - 1]]
                        shares[child].rival = waiting[at - 1]
                    shares[child].drag = drag
                    shares[child].saving = min(drag, parent_saving)
                    # What ends before this one may last until this one ends.
                    limit = stop
                elif limit - earliest_start > stop - start:
                    shares[child].slack = limit - earliest_start - (stop - start)
                if calls[child].children_count:
                    size = push(stack, size, child, start, stop, shares[child].saving)


@kernel
def put_share(shares, root_of, index, row, on_path, self_times):
    """A share of a span that costs nothing."""
    root_of[row] = index
    shares[row].row = row
    shares[row].rival = ROOT
    shares[row].on_path = on_path[row]
    shares[row].self_time = self_times[row]
    shares[row].drag = 0
    shares[row].slack = 0
    shares[row].saving = 0


@kernel
def push(stack, size, row, begin, limit, saving):
    stack[size].row = row
    stack[size].begin = begin
    stack[size].limit = limit
    stack[size].saving = saving
    return size + 1
