"""A trace as it is shown: its times adjusted, its tree, and what a reader should know about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from collector.query.adjusters import ADJUSTERS, open_ends
from collector.query.clock_skew import find_skews
from collector.query.skeleton import Skeleton
from collector.query.tree import Tree, TreeWarning, build_tree

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
    skews: list[int]
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
    warnings = [
        TreeWarning(row, "event-outside-span", "An event of the span lies outside of the span's time.")
        for row, stray in enumerate(spans.stray_events)
        if stray
    ]
    warnings += [
        TreeWarning(row, "no-start", "The span has no start; its parent's, or the earliest below it, is taken.")
        for row, start in enumerate(spans.starts)
        if not start
    ]
    warnings += [
        TreeWarning(row, "no-end", "The span has no duration although its children last on; it may not have ended.")
        for row in open_ends(spans, tree)
    ]
    reached = 0
    for row in sorted(range(len(spans)), key=spans.starts.__getitem__):
        start = spans.starts[row]
        if reached and start - reached > LONG_GAP:
            hours = (start - reached) / LONG_GAP
            text = f"Before this span there was none for {hours:.1f} hours; the trace id may have been used twice."
            warnings.append(TreeWarning(row, "long-gap", text))
        reached = max(reached, start and max(start, spans.ends[row]))
    return warnings
