"""The chain from a root to a leaf with the largest sum of durations.

Often taken for the critical path, which it is not: it knows no order of siblings and no waiting inside of a parent. It is here to
be compared with.
"""

from __future__ import annotations

from typing import NamedTuple

from collector.query.skeleton import Skeleton
from collector.query.tree import Tree


class Chain(NamedTuple):
    """One root's chain: its rows from the root down, and the sum of their durations in nanoseconds."""

    rows: list[int]
    total: int


def find_longest_chains(spans: Skeleton, tree: Tree) -> list[Chain]:
    """The chain of every root; of equal sums the child that starts first. Cost is linear."""
    totals = list(spans.durations)
    following: dict[int, int] = {}
    for row, _ in reversed(list(tree.walk())):
        if tree.children[row]:
            following[row] = max(tree.children[row], key=totals.__getitem__)
            totals[row] += totals[following[row]]
    chains = []
    for root in tree.roots:
        rows = [root]
        while rows[-1] in following:
            rows.append(following[rows[-1]])
        chains.append(Chain(rows, totals[root]))
    return chains
