"""Evaluates conditions and values on all spans, or all events, of a batch at once.

Each part is worked out for what has a value of its own: what is said of resources alone, once for each resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from collector.processors.ottl.calls import call, first_there_is
from collector.processors.ottl.columns import BOOL, FAILED, Column, Mask, apply, of_results
from collector.processors.ottl.comparison import calculate, compare, failed
from collector.processors.ottl.fields import Fields
from collector.processors.ottl.nested import inside
from config.ottl_nodes import (
    Calculation,
    Call,
    Comparison,
    Condition,
    Constant,
    Items,
    Level,
    Logic,
    Negation,
    Node,
    Path,
    Type,
    parts,
)


@dataclass(frozen=True, slots=True)
class Truth:
    """Of which rows a condition holds.

    Attributes:
        holds: where it does; shape (rows,), or (1,) where it is the same for all.
        failed: where it could not be worked out, and so does not hold; of the same shape or (1,).
        failure: why, for one of them.
    """

    holds: Mask
    failed: Mask
    failure: str = ""


def attribute_keys(conditions: Iterable[Condition]) -> Mapping[Level, Sequence[str]]:
    """By what has them, the keys of all attributes that conditions ask for."""
    return keys_of(condition.root for condition in conditions)


def keys_of(nodes: Iterable[Node]) -> Mapping[Level, Sequence[str]]:
    """By what has them, the keys of all attributes that nodes ask for."""
    keys: dict[Level, dict[str, None]] = {}
    for root in nodes:
        for node in parts(root):
            if isinstance(node, Path) and node.name == "attributes" and node.key:
                keys.setdefault(node.level, {})[node.key] = None
    return {level: list(names) for level, names in keys.items()}


class Evaluator:
    """Evaluates conditions on one batch.

    Args:
        batch_fields: of the batch. It must have spans, and events where conditions are about those.
    """

    def __init__(self, batch_fields: Fields) -> None:
        self._fields = batch_fields

    def evaluate(self, condition: Condition) -> Truth:
        """Which spans or events a condition holds for; masks have a row for each."""
        return self.truth(condition.root, condition.level)

    def truth(self, node: Node, level: Level) -> Truth:
        """The same for the rows of a level, which is at least the node's own."""
        truth = self._truth(node, level)
        rows = len(self._fields.table(level))
        return Truth(np.broadcast_to(truth.holds, rows), np.broadcast_to(truth.failed, rows), truth.failure)

    def _truth(self, node: Node, level: Level) -> Truth:
        """The truth of a node for the rows of a level, which is at least its own."""
        if node.level < level and node.level > Level.CONSTANT:
            truth = self._truth(node, node.level)
            rows = self._fields.place(node.level, level)
            holds, missing = (mask if len(mask) == 1 else mask[rows] for mask in (truth.holds, truth.failed))
            return Truth(holds, missing, truth.failure)
        match node:
            case Logic():
                return self._logic(node, level)
            case Negation():
                truth = self._truth(node.term, level)
                return Truth(~truth.holds & ~truth.failed, truth.failed, truth.failure)
            case Comparison():
                left, right = self.column(node.left, level), self.column(node.right, level)
                missing = failed(left, right)
                return Truth(compare(node.operator, left, right) & ~missing, missing, left.failure or right.failure)
        column = self.column(node, level)
        missing = failed(column)
        return Truth((column.types == BOOL) & (column.numbers != 0) & ~missing, missing, column.failure)

    def _logic(self, node: Logic, level: Level) -> Truth:
        """Terms count from left to right, and those behind the one that decides not at all: they may fail as they like."""
        decisive = node.operator == "or"
        undecided: Mask = np.ones(1, np.bool_)
        missing: Mask = np.zeros(1, np.bool_)
        holds: Mask = np.zeros(1, np.bool_)
        failure = ""
        for term in node.terms:
            truth = self._truth(term, level)
            newly = undecided & truth.failed
            if newly.any():
                missing = missing | newly
                failure = failure or truth.failure
            goes_on = ~truth.holds if decisive else truth.holds
            if decisive:
                holds = holds | (undecided & truth.holds)
            undecided = undecided & goes_on & ~truth.failed
            if not undecided.any():
                break
        return Truth(holds if decisive else undecided, missing, failure)

    def column(self, node: Node, level: Level) -> Column:
        """The values of a node for the rows of a level, which is at least its own; one for all where it is the same for all."""
        if node.level < level and node.level > Level.CONSTANT:
            return self.column(node, node.level).take(self._fields.place(node.level, level))
        match node:
            case Constant():
                column = of_results([node.value])
            case Path():
                column = self._fields.column(node)
            case Items():
                column = apply(lambda *values: list(values), [self.column(each, level) for each in node.items])
            case Calculation():
                column = calculate(node.operator, self.column(node.left, level), self.column(node.right, level))
            case Call():
                column = self._call(node, level)
            case _:
                truth = self._truth(node, level)
                types, numbers = np.broadcast_arrays(np.where(truth.failed, FAILED, BOOL), truth.holds.astype(np.int64))
                column = Column(types, numbers, failure=truth.failure)
        return column

    def _call(self, node: Call, level: Level) -> Column:
        if node.function == "IsRootSpan":
            roots = self._fields.is_root
            return Column(np.full(len(roots), BOOL, np.uint8), roots.astype(np.int64))
        first = node.arguments[0]
        if node.function == "Len" and isinstance(first, Path) and _is_count(first):
            return self.column(first, level)
        if node.function == "Coalesce" and isinstance(first, Items):
            # By its columns, as times and durations in a list are ints.
            result = first_there_is([self.column(each, level) for each in first.items])
        else:
            result = call(node.function, [None if each is None else self.column(each, level) for each in node.arguments])
        return apply(lambda value: inside(value, node.inside), [result]) if node.inside else result


def _is_count(path: Path) -> bool:
    """Whether a path's column already says how many there are."""
    return not path.key and path.types <= {Type.MAP, Type.LIST}
