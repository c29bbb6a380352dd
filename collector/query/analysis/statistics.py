"""The spans of a trace by groups: how many, how long, and how much of that was their own time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

from collector.query.skeleton import Skeleton
from collector.query.store import ERROR
from collector.query.tree import Tree

Key = TypeVar("Key", bound=Hashable)


class Group(NamedTuple, Generic[Key]):
    """All spans under one key; nanoseconds. Durations of spans and of those below them overlap, self times do not.

    Attributes:
        total, minimum, maximum: of durations.
        self_total, self_minimum, self_maximum: of self times.
        on_path: how long roots waited for these spans themselves.
    """

    key: Key
    spans: int
    errors: int
    total: int
    minimum: int
    maximum: int
    self_total: int
    self_minimum: int
    self_maximum: int
    on_path: int


class Shape(NamedTuple):
    """How a trace is built.

    Attributes:
        depth: number of levels.
        leaves: spans without children.
        widest: most children of one span.
    """

    depth: int
    roots: int
    missing_parents: int
    leaves: int
    widest: int


def group_spans(spans: Skeleton, keys: Sequence[Key], self_times: Sequence[int], on_path: Sequence[int]) -> list[Group[Key]]:
    """Groups by key, those with the most self time first, equal ones in order of their first span.

    Args:
        keys, self_times, on_path: by row; nanoseconds.
    """
    members: dict[Key, list[int]] = {}
    for row, key in enumerate(keys):
        members.setdefault(key, []).append(row)
    groups = []
    for key, rows in members.items():
        durations = [spans.durations[row] for row in rows]
        own = [self_times[row] for row in rows]
        groups.append(
            Group(
                key,
                spans=len(rows),
                errors=sum(spans.status_codes[row] == ERROR for row in rows),
                total=sum(durations),
                minimum=min(durations),
                maximum=max(durations),
                self_total=sum(own),
                self_minimum=min(own),
                self_maximum=max(own),
                on_path=sum(on_path[row] for row in rows),
            )
        )
    groups.sort(key=lambda group: -group.self_total)
    return groups


def shape_of(tree: Tree) -> Shape:
    """Depth, roots and fan-out of a trace with at least one span."""
    fan_outs = [len(children) for children in tree.children]
    return Shape(
        depth=1 + max(depth for _, depth in tree.walk()),
        roots=len(tree.roots),
        missing_parents=len(tree.missing_parents),
        leaves=fan_outs.count(0),
        widest=max(fan_outs),
    )
