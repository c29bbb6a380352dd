"""Kernels that find which span called which, within a batch and in a table of halves that wait (see `proto.span_table`).

Sequences of spans that were made so that they fall into one place of a table would make it slow; so places depend on `seed`,
which each process draws anew. No result depends on it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.kernel import kernel
from proto.spans import ABSENT
from proto.words import HASH_MULTIPLIER, join_caller, load64

# Kinds of spans, as OTLP numbers them.
UNSPECIFIED: Final = 0
INTERNAL: Final = 1
SERVER: Final = 2
CLIENT: Final = 3
PRODUCER: Final = 4
CONSUMER: Final = 5

# Sides of a call. What was taken out of a table, while younger halves are still in it, has none.
CALLER: Final = 0
CALLEE: Final = 1
LINKED: Final = 2
NO_SIDE: Final = -1

_WAITING: Final = np.uint64(0xD6E8FEB86659FD93)
"""Tells the keys of callees that wait from those of callers, which share a table."""
_MOST_STEPS: Final = 64
"""So many internal spans lie between a span and its caller at most."""
_FEW: Final = 4
"""So many spans with the same ids are looked at: few share theirs, and whoever makes many of them gains nothing."""


@kernel
def hash_ids(keys, data, trace_ids, span_ids):
    """Fill `keys` as `span_keys` says."""
    for row in range(keys.size):
        keys[row] = np.uint64(0)
        trace_id = np.int64(trace_ids[row])
        span_id = np.int64(span_ids[row])
        if span_id == ABSENT:
            continue
        if trace_id < 0 or span_id < 0 or trace_id + 16 > data.size or span_id + 8 > data.size:
            raise IndexError("an id outside the data")
        word = load64(data, span_id)
        if word:
            state = word * HASH_MULTIPLIER
            state = (state ^ (state >> np.uint64(32)) ^ load64(data, trace_id)) * HASH_MULTIPLIER
            state = (state ^ (state >> np.uint64(29)) ^ load64(data, trace_id + 8)) * HASH_MULTIPLIER
            state = (state ^ (state >> np.uint64(32))) * HASH_MULTIPLIER
            keys[row] = max(state ^ (state >> np.uint64(29)), np.uint64(1))


@kernel
def place_of(key, seed, places):
    """Where a key belongs in a table."""
    join_caller()
    return np.int64(((key ^ seed) * HASH_MULTIPLIER) >> np.uint64(32)) & (places - 1)


@kernel
def find_row(key, keys, slots, seed):
    """Where in `slots` a key's row is, or would be."""
    join_caller()
    place = place_of(key, seed, slots.size)
    while slots[place] != ABSENT and keys[slots[place]] != key:
        place = (place + 1) & (slots.size - 1)
    return place


@kernel
def find_rows(found, wanted, keys, slots, seed):
    """Fill `found` as `look_up` says."""
    for index in range(wanted.size):
        found[index] = ABSENT if wanted[index] == 0 else slots[find_row(wanted[index], keys, slots, seed)]


@kernel
def sends(kind):
    """Whether a span of this kind stands for a call that goes out."""
    join_caller()
    return kind == CLIENT or kind == PRODUCER


@kernel
def receives(kind):
    """Whether a span of this kind stands for a call that comes in."""
    join_caller()
    return kind == SERVER or kind == CONSUMER


@kernel
def match_rows(callers, parents, matched, slots, keys, parent_keys, services, kinds, alone, seed):
    """Fill the first four, which hold ABSENT and False, as `find_callers` says."""
    shared = False
    for row in range(keys.size):
        place = find_row(keys[row], keys, slots, seed)
        other = slots[place]
        shared |= other != ABSENT
        if other == ABSENT or (receives(kinds[row]) and not receives(kinds[other])):
            slots[place] = row
    for row in range(keys.size):
        if parent_keys[row] != 0:
            parents[row] = slots[find_row(parent_keys[row], keys, slots, seed)]
        if shared and sends(kinds[row]):
            other = slots[find_row(keys[row], keys, slots, seed)]
            if receives(kinds[other]) and services[other] != services[row]:
                matched[row] = True
    for row in range(keys.size):
        parent = np.int64(parents[row])
        if parent == ABSENT or alone[parent] or services[row] == ABSENT or services[parent] == ABSENT:
            continue
        if services[parent] == services[row] or (sends(kinds[row]) and sends(kinds[parent])):
            continue
        caller = sender_above(parent, parents, services, kinds)
        if alone[caller]:
            caller = parent
        callers[row] = caller
        matched[caller] = True


@kernel
def sender_above(row, parents, services, kinds):
    """The nearest client or producer that is reached from an internal span through internal spans of its service, or itself."""
    span = row
    for _ in range(_MOST_STEPS):
        if kinds[span] != INTERNAL:
            break
        span = np.int64(parents[span])
        if span == ABSENT or services[span] != services[row]:
            return row
    return span if sends(kinds[span]) else row


@kernel
def head_of(key, waits, halves, slots, seed):
    """Where in `slots` the first half with a key is that waits as a callee, or does not, or would be."""
    place = place_of(key ^ _WAITING if waits else key, seed, slots.size)
    while slots[place] != ABSENT:
        other = slots[place]
        if halves[other].key == key and (halves[other].side != CALLER) == waits:
            break
        place = (place + 1) & (slots.size - 1)
    return place


@kernel
def is_call(caller, callee):
    """Whether two halves that have met are those of a call."""
    if caller.service == callee.service:
        return False
    if callee.side == LINKED:
        return caller.kind == PRODUCER
    return not (sends(caller.kind) and sends(callee.kind))


@kernel
def append_half(half, time_s, halves, times, links, slots, ring, seed):
    """Let a half wait: behind all others in the ring, and first among those with its key."""
    entry = (ring[0] + ring[1]) % halves.size
    ring[1] += 1
    ring[2] += half.side != CALLER
    place = head_of(half.key, half.side != CALLER, halves, slots, seed)
    halves[entry] = half
    times[entry] = time_s
    links[entry, 0] = ABSENT
    links[entry, 1] = slots[place]
    if slots[place] != ABSENT:
        links[slots[place], 0] = entry
    slots[place] = entry
    return entry


@kernel
def remove_half(entry, halves, links, slots, ring, seed):
    """Take a half out; its place in the ring stays."""
    before = np.int64(links[entry, 0])
    behind = np.int64(links[entry, 1])
    if behind != ABSENT:
        links[behind, 0] = before
    if before != ABSENT:
        links[before, 1] = behind
    else:
        place = head_of(halves[entry].key, halves[entry].side != CALLER, halves, slots, seed)
        if behind != ABSENT:
            slots[place] = behind
        else:
            close_gap(place, halves, slots, seed)
    ring[2] -= halves[entry].side != CALLER
    halves[entry].side = NO_SIDE


@kernel
def close_gap(gap, halves, slots, seed):
    """Free a place, and move those back that stand behind it only because it was taken."""
    mask = slots.size - 1
    place = (gap + 1) & mask
    while slots[place] != ABSENT:
        half = halves[slots[place]]
        home = place_of(half.key ^ _WAITING if half.side != CALLER else half.key, seed, slots.size)
        if (place - home) & mask >= (place - gap) & mask:
            slots[gap] = slots[place]
            gap = place
        place = (place + 1) & mask
    slots[gap] = ABSENT


@kernel
def add_halves(callers, callees, added, time_s, halves, times, links, slots, ring, seed):
    """Write the two sides of calls that are found; returns how many. There is room for all that are added.

    A callee whose caller is known waits no longer, even if the two are no call between services.
    """
    found = 0
    for index in range(added.size):
        half = added[index]
        if half.side == CALLER:
            caller = append_half(half, time_s, halves, times, links, slots, ring, seed)
            place = head_of(half.key, True, halves, slots, seed)
            while slots[place] != ABSENT:
                callee = np.int64(slots[place])
                if halves[callee].key != half.key or halves[callee].side == CALLER:
                    break
                if is_call(half, halves[callee]):
                    halves[caller].matched = 1
                    callers[found] = halves[caller]
                    callees[found] = halves[callee]
                    found += 1
                remove_half(callee, halves, links, slots, ring, seed)
        else:
            caller = np.int64(slots[head_of(half.key, False, halves, slots, seed)])
            if caller == ABSENT:
                append_half(half, time_s, halves, times, links, slots, ring, seed)
            for _ in range(_FEW):
                if caller == ABSENT:
                    break
                if is_call(halves[caller], half):
                    halves[caller].matched = 1
                    callers[found] = halves[caller]
                    callees[found] = half
                    found += 1
                    break
                caller = np.int64(links[caller, 1])
    return found


@kernel
def expire_halves(out, before_s, room, halves, times, links, slots, ring, seed):
    """Take out the oldest, until the next is not older than `before_s` and there is room for so many; returns how many of them
    had met nobody, which are written."""
    written = 0
    while ring[1]:
        entry = ring[0]
        if halves[entry].side != NO_SIDE:
            if times[entry] >= before_s and ring[1] + room <= halves.size:
                break
            if not halves[entry].matched:
                out[written] = halves[entry]
                written += 1
            remove_half(entry, halves, links, slots, ring, seed)
        ring[0] = (entry + 1) % halves.size
        ring[1] -= 1
    return written
