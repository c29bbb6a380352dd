"""A waterfall reduced to what somebody wants to see of it, with what was left out counted where it is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.query.skeleton import Skeleton
from collector.query.store import ERROR
from collector.query.tree import ROOT, Tree
from collector.query.waterfall import Bar
from proto.spans import Table


@dataclass(frozen=True, slots=True)
class Reduction:
    """What to show.

    Attributes:
        below: row of the span that is shown with what is below it; None for all roots.
        depth: number of levels below that, or below the roots; None for all.
        minimum_duration: spans that last so many nanoseconds, and their ancestors.
        only_errors: spans that have failed, and their ancestors.
        repeats: so many or more leaves that follow each other below one parent and agree in service, name, kind and status are
            shown as one; None for none.
    """

    below: int | None = None
    depth: int | None = None
    minimum_duration: int = 0
    only_errors: bool = False
    repeats: int | None = None


_NOTHING: Final = Reduction()


class Repeat(NamedTuple):
    """Spans that are shown as one; durations in nanoseconds."""

    spans: int
    minimum: int
    maximum: int
    total: int


@dataclass(frozen=True, slots=True)
class Shown:
    """The bars that are left.

    Attributes:
        table: as `proto.trace_shape.BAR`, in drawing order.
        omitted: for each bar, how many spans below it, and not below another one that is left, are not shown.
        repeats: by row, what a bar stands for that does not stand for itself.
    """

    table: Table
    omitted: NDArray[np.int32]
    repeats: dict[int, Repeat]

    def __len__(self) -> int:
        return len(self.table)


def reduce_bars(spans: Skeleton, tree: Tree, table: Table, reduction: Reduction) -> Shown:
    """The bars that are left. Cost is linear.

    Args:
        table: the bars of the whole waterfall.
    """
    if reduction == _NOTHING:
        return Shown(table, np.zeros(len(table), np.int32), {})
    table = _below(table, reduction)
    bars = list(map(Bar._make, table.tolist()))
    shown = _matching(spans, tree, bars, reduction)
    repeats = _repeats(spans, tree, shown, reduction.repeats) if reduction.repeats else {}
    hidden = {row for rows in repeats.values() for row in rows[1:]}
    omitted: dict[int, int] = {}
    nearest: dict[int, int] = {}
    for bar in bars:
        if bar.row in shown:
            nearest[bar.row] = bar.row
        else:
            nearest[bar.row] = nearest.get(tree.parents[bar.row], ROOT)
            omitted[nearest[bar.row]] = omitted.get(nearest[bar.row], 0) + 1
    left = [place for place, bar in enumerate(bars) if bar.row in shown and bar.row not in hidden]
    return Shown(
        table[left],
        np.array([omitted.get(bars[place].row, 0) for place in left], np.int32),
        {row: _repeat(spans, rows) for row, rows in repeats.items()},
    )


def _below(table: Table, reduction: Reduction) -> Table:
    """The bars of one subtree, which stand next to each other."""
    if reduction.below is None:
        return table
    first = int(np.flatnonzero(table["row"] == reduction.below)[0])
    return table[first : first + int(table["descendants"][first]) + 1]


def _matching(spans: Skeleton, tree: Tree, bars: list[Bar], reduction: Reduction) -> set[int]:
    """Rows that fit, and their ancestors among the bars."""
    wanted: set[int] = set()
    # Descendants come before their ancestors here.
    for bar in reversed(bars):
        is_wanted = bar.duration >= reduction.minimum_duration
        if reduction.only_errors:
            is_wanted = is_wanted and spans.status_codes[bar.row] == ERROR
        if is_wanted or bar.row in wanted:
            wanted |= {bar.row, tree.parents[bar.row]}
    top = bars[0].depth if reduction.below is not None else 0
    return {bar.row for bar in bars if bar.row in wanted and (reduction.depth is None or bar.depth - top <= reduction.depth)}


def _repeats(spans: Skeleton, tree: Tree, shown: set[int], least: int) -> dict[int, list[int]]:
    """First row of a run of leaves that agree → all rows of the run."""
    runs = {}
    for siblings in (tree.roots, *(tree.children[row] for row in shown)):
        run: list[int] = []
        for row in [*(sibling for sibling in siblings if sibling in shown), ROOT]:
            if run and (row == ROOT or tree.children[row] or _look(spans, row) != _look(spans, run[0])):
                if len(run) >= least:
                    runs[run[0]] = run
                run = []
            if row != ROOT and not tree.children[row]:
                run.append(row)
    return runs


def _look(spans: Skeleton, row: int) -> tuple[str, str, int, int]:
    return spans.services[row], spans.names[row], spans.kinds[row], spans.status_codes[row]


def _repeat(spans: Skeleton, rows: list[int]) -> Repeat:
    durations = [spans.durations[row] for row in rows]
    return Repeat(len(rows), min(durations), max(durations), sum(durations))
