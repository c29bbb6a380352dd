"""A waterfall reduced to what somebody wants to see of it, with what was left out counted where it is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from collector.query.skeleton import Skeleton
from collector.query.store import ERROR
from collector.query.tree import ROOT, Tree
from collector.query.waterfall import Bar


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


class ShownBar(NamedTuple):
    """A bar that is left.

    Attributes:
        omitted: spans below it, and not below another one that is left, which are not shown.
        repeat: what the bar stands for, None for itself.
    """

    bar: Bar
    omitted: int
    repeat: Repeat | None


def reduce_bars(spans: Skeleton, tree: Tree, bars: list[Bar], reduction: Reduction) -> list[ShownBar]:
    """The bars that are left, in drawing order. Cost is linear.

    Args:
        bars: of the whole waterfall.
    """
    if reduction == _NOTHING:
        return [ShownBar(bar, 0, None) for bar in bars]
    bars = _below(bars, reduction)
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
    return [
        ShownBar(bar, omitted.get(bar.row, 0), _repeat(spans, repeats.get(bar.row)))
        for bar in bars
        if bar.row in shown and bar.row not in hidden
    ]


def _below(bars: list[Bar], reduction: Reduction) -> list[Bar]:
    """The bars of one subtree, which stand next to each other."""
    if reduction.below is None:
        return bars
    first = next(index for index, bar in enumerate(bars) if bar.row == reduction.below)
    return bars[first : first + bars[first].descendants + 1]


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


def _repeat(spans: Skeleton, rows: list[int] | None) -> Repeat | None:
    if rows is None:
        return None
    durations = [spans.durations[row] for row in rows]
    return Repeat(len(rows), min(durations), max(durations), sum(durations))
