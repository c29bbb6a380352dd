"""How much sooner a trace would have ended if one of its spans had taken no time.

Without the span its parent ends sooner by the span's drag: then it waits for something else. The parent's own parent gains no
more than that, and no more than the parent's drag; and so on up to the root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from collector.query.analysis.critical_path import CriticalPath, Share
from collector.query.tree import ROOT, Tree


class Level(NamedTuple):
    """A span between the one in question and its root, that one first and the root not included.

    Attributes:
        drag: how much sooner its parent could end for its sake at most, nanoseconds.
        saved: how much sooner its parent does end.
        rival: row of the sibling that its parent waits for then, ROOT where it waits for none.
    """

    row: int
    drag: int
    saved: int
    rival: int


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What becomes of a root without the time of the span in `row`.

    Attributes:
        saved: how much sooner the root ends, nanoseconds; 0 for a span off the path.
        levels: from the span up; empty for a root, and for a span that nobody waited for.
        excluded: why nobody waited for the span or one above it, '' when that is not so.
    """

    row: int
    root: int
    saved: int
    levels: list[Level]
    excluded: str


def without_span(path: CriticalPath, tree: Tree, row: int) -> WhatIf:
    """What if the span took no time, by the shares of a path."""
    ancestry = [row]
    while tree.parents[ancestry[-1]] != ROOT:
        ancestry.append(tree.parents[ancestry[-1]])
    root = ancestry[-1]
    excluded = next((path.excluded[member] for member in ancestry if member in path.excluded), "")
    shares = {share.row: share for each in path.roots if each.root == root for share in each.shares}
    if row not in shares:
        return WhatIf(row, root, 0, [], excluded)
    levels = []
    saved = shares[row].drag
    for member in ancestry[:-1]:
        share: Share = shares[member]
        saved = min(saved, share.drag)
        levels.append(Level(member, share.drag, saved, share.rival))
    return WhatIf(row, root, saved, levels, excluded)
