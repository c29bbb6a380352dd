"""What is known of calls as rows of tables: minutes of calls between two nodes, and halves of calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collector import sketch
from collector.calls import BY_USER, CONNECTIONS, NODES, TO_DATABASE, CallsOfBatch
from collector.processors.red_metrics import combined
from exporters.base import DerivedRows
from proto.native_columns import NativeColumn, NumberMaps, Strings
from proto.spans import ABSENT, Table

EDGES_TABLE: Final = "otel_topology_minute"
HALVES_TABLE: Final = "otel_topology_halves"

_SYMBOL: Final = "LowCardinality(String)"
_MINUTE_NS: Final = np.uint64(60_000_000_000)
_LAST_MINUTE: Final = 0xFFFFFFFF // 60
"""A DateTime ends in 2106; what is later is counted then."""

Integers = NDArray[Any]


def derived_rows(found: CallsOfBatch) -> list[DerivedRows]:
    """The rows that a piece adds to the tables."""
    rows = []
    if len(found.edges):
        rows.append(_minutes(found))
    if len(found.halves):
        rows.append(_halves(found))
    return rows


def _minute_of(times: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The minute in which each time lies, in seconds since 1970."""
    minutes = np.minimum((times // _MINUTE_NS).astype(np.int64), _LAST_MINUTE)
    return minutes * 60


def _minutes(found: CallsOfBatch) -> DerivedRows:
    edges = found.edges
    minutes = _minute_of(edges["start"])
    first_minute = int(minutes.min())
    fields = ("workspace", "client", "server", "connection", "node")
    codes = [(minutes - first_minute) // 60, *(edges[field].astype(np.int64) for field in fields)]
    names = len(found.names)
    sizes = [(int(minutes.max()) - first_minute) // 60 + 1, len(found.workspaces), names, names, len(CONNECTIONS), len(NODES)]
    group, first = combined(codes, sizes)
    count = len(first)
    weight = edges["weight"]
    columns = [
        NativeColumn("Workspace", _SYMBOL, Strings(found.workspaces, edges["workspace"][first])),
        NativeColumn("Minute", "DateTime", minutes[first]),
        NativeColumn("Client", _SYMBOL, Strings(found.names, edges["client"][first])),
        NativeColumn("Server", _SYMBOL, Strings(found.names, edges["server"][first])),
        NativeColumn("ConnectionType", _SYMBOL, Strings(CONNECTIONS, edges["connection"][first])),
        NativeColumn("Node", _SYMBOL, Strings(NODES, edges["node"][first])),
        NativeColumn("Calls", "Float64", np.bincount(group, weight, minlength=count)),
        NativeColumn("FailedCalls", "Float64", np.bincount(group, weight * edges["failed"], minlength=count)),
    ]
    node = edges["node"]
    sides = {"Client": node != BY_USER, "Server": (node <= BY_USER) | (node == TO_DATABASE)}
    for side, has_span in sides.items():
        durations = edges[f"{side.lower()}_duration"][has_span]
        columns += _durations(side, group[has_span], count, durations, weight[has_span])
    return DerivedRows(EDGES_TABLE, columns, minutes[first])


def _durations(
    side: str, group: Integers, count: int, durations: NDArray[np.uint64], weights: NDArray[np.float64]
) -> Iterator[NativeColumn]:
    """Columns of how long calls took as one side saw them; 0 or empty for groups that have no spans on that side."""
    least = np.full(count, np.iinfo(np.uint64).max, np.uint64)
    most = np.zeros(count, np.uint64)
    np.minimum.at(least, group, durations)
    np.maximum.at(most, group, durations)
    there = np.bincount(group, minlength=count) > 0
    sketches = sketch.sketches(group, count, durations, weights)
    total = np.bincount(group, weights * durations, minlength=count)
    yield NativeColumn(f"{side}DurationSum", "Float64", total)
    yield NativeColumn(f"{side}DurationMin", "UInt64", np.where(there, least, 0))
    yield NativeColumn(f"{side}DurationMax", "UInt64", most)
    yield NativeColumn(f"{side}DurationSketch", sketch.TYPE, NumberMaps(sketches.counts, sketches.buckets, sketches.weights))


def _halves(found: CallsOfBatch) -> DerivedRows:
    halves: Table = found.halves
    names = ["", *found.names]
    columns = [
        NativeColumn("Workspace", _SYMBOL, Strings(found.workspaces, found.half_workspaces)),
        NativeColumn("Key", "UInt64", halves["key"]),
        NativeColumn("Side", "UInt8", halves["side"]),
        NativeColumn("Service", _SYMBOL, Strings(names, halves["service"] + 1)),
        NativeColumn("Kind", "UInt8", halves["kind"]),
        NativeColumn("Minute", "DateTime", _minute_of(halves["start"])),
        NativeColumn("Duration", "UInt64", halves["duration"]),
        NativeColumn("Weight", "Float64", halves["weight"]),
        NativeColumn("Failed", "Bool", halves["failed"]),
        NativeColumn("Matched", "Bool", halves["matched"]),
        NativeColumn("Peer", _SYMBOL, Strings(names, halves["peer"] - ABSENT)),
    ]
    # Their table is partitioned by when they come, so wherever they lie in time, they are one insert.
    return DerivedRows(HALVES_TABLE, columns, np.zeros(len(halves), np.int64))
