"""A trace as it is shown: its times adjusted, its tree, and what a reader should know about it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.query.adjusters import ADJUSTERS, open_ends
from collector.query.clock_skew import find_skews
from collector.query.skeleton import Skeleton
from collector.query.tree import Tree, TreeWarning, build_tree
from proto.spans import Table

LONG_GAP: Final = 3_600 * 10**9
"""Nanoseconds without any span after which one trace id is suspected to stand for two traces."""


@dataclass(frozen=True, slots=True)
class View:
    """What the analysis of a trace works on.

    Attributes:
        spans: with adjusted times.
        skews: by row, see `Skews`; of the times as they were stored.
        warnings: by row.
    """

    spans: Skeleton
    tree: Tree
    skews: NDArray[np.int64]
    warnings: list[TreeWarning]


def view_of(stored: Skeleton, adjusters: Collection[str] = ()) -> View:
    """The trace with those adjusters applied that always are, and the named ones."""
    spans, tree = stored, build_tree(stored)
    skews = find_skews(stored, tree)
    warnings = [*tree.warnings, *skews.warnings, *_more_warnings(stored, tree)]
    for adjuster in ADJUSTERS:
        if adjuster.always or adjuster.name in adjusters:
            adjusted = adjuster.apply(spans, tree)
            if adjusted is not spans:
                spans, tree = adjusted, build_tree(adjusted)
    warnings.sort(key=lambda warning: (warning.row, warning.kind))
    return View(spans, tree, skews.by_row, warnings)


def _more_warnings(spans: Skeleton, tree: Tree) -> list[TreeWarning]:
    table = spans.table
    warnings = [
        TreeWarning(row, "event-outside-span", "An event of the span lies outside of the span's time.")
        for row in np.flatnonzero(table["stray_events"]).tolist()
    ]
    warnings += [
        TreeWarning(row, "no-start", "The span has no start; its parent's, or the earliest below it, is taken.")
        for row in np.flatnonzero(table["start"] == 0).tolist()
    ]
    warnings += [
        TreeWarning(row, "no-end", "The span has no duration although its children last on; it may not have ended.")
        for row in open_ends(spans, tree).tolist()
    ]
    warnings += _long_gaps(table)
    return warnings


def _long_gaps(table: Table) -> Iterator[TreeWarning]:
    rows = np.argsort(table["start"], kind="stable")
    starts = table["start"][rows]
    # How far the spans before one reach; those without a start say nothing.
    ends = np.where(starts > 0, np.maximum(starts, table["end"][rows]), np.uint64(0))
    reached = np.maximum.accumulate(ends)[:-1]
    waits = starts[1:] - np.minimum(reached, starts[1:])
    for place in np.flatnonzero((reached > 0) & (waits > LONG_GAP)).tolist():
        text = f"Before this span there was none for {waits[place] / LONG_GAP:.1f} hours; the trace id may have been used twice."
        yield TreeWarning(int(rows[place + 1]), "long-gap", text)
