"""Changes spans by statements in OTTL: the processor `transform`.

A statement is done for all rows before the next begins, where the OpenTelemetry Collector takes one row after the other; as rows
do not see each other, that comes to the same. But a resource or scope that spans share, and that is changed for some of them,
becomes several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from collector.processors.base import Processed
from collector.processors.ottl.columns import Mask
from collector.processors.ottl.draft import Draft
from collector.processors.ottl.evaluate import Evaluator, keys_of
from collector.processors.ottl.steps import Step
from collector.processors.trouble import Trouble
from config.ottl_nodes import Level
from config.transforming import StatementGroup, TransformProcessor
from proto.spans import SpanBatch

_PLACE: Final = "trace_statements"


class Transform:
    """Does what its settings say."""

    def __init__(self, settings: TransformProcessor) -> None:
        self._groups = [
            _Group(group, f"{_PLACE}[{number}]", group.error_mode or settings.error_mode)
            for number, group in enumerate(settings.trace_statements)
        ]
        nodes = [node for group in self._groups for node in group.nodes]
        self._keys = dict.fromkeys(Level, ()) | dict(keys_of(nodes))
        self._events = any(node.level is Level.EVENT for node in nodes)

    def process(self, batch: SpanBatch) -> Processed:
        """All spans, changed; without those that are given up because something could not be done for them."""
        if not len(batch):
            return Processed(batch)
        draft = Draft(batch, self._keys, events=self._events)
        given_up = np.zeros(len(batch), np.bool_)
        trouble = Trouble()
        for group in self._groups:
            group.do(draft, given_up, trouble)
        edited = draft.finish()
        if not given_up.any():
            return Processed(edited, failures=trouble.failures, reasons=trouble.reasons)
        return Processed(
            edited.select(~given_up), failures=trouble.failures, failed=batch.select(given_up), reasons=trouble.reasons
        )


class _Group:
    """Statements that have the same conditions."""

    def __init__(self, settings: StatementGroup, place: str, mode: str) -> None:
        self._has_context = settings.context is not None
        self._conditions = [(f"{place}.conditions[{number}]", each) for number, each in enumerate(settings.conditions)]
        is_alone = not self._has_context and not settings.conditions and len(settings.statements) == 1
        self._steps = [
            Step(each, place if is_alone else f"{place}.statements[{number}]") for number, each in enumerate(settings.statements)
        ]
        self._mode = mode
        self.nodes = [condition.root for _, condition in self._conditions]
        self.nodes += [node for step in self._steps for node in step.nodes]
        self._level = max((root.level for root in self.nodes[: len(self._conditions)]), default=Level.CONSTANT)

    def do(self, draft: Draft, given_up: Mask, trouble: Trouble) -> None:
        """Do the statements, and add spans to `given_up` for which something could not be done, if these are to be dropped."""
        if self._has_context:
            draft.forget_kept()
        rows = _Rows(draft, given_up)
        evaluator = Evaluator(draft)

        def note(level: Level, failed: Mask, place: str, failure: str, rule: object) -> None:
            if failed.any():
                reason = None if self._mode == "silent" else f"{failure}, in {rule}"
                trouble.note(place, int(np.count_nonzero(failed)), reason)
                if self._mode == "propagate":
                    rows.give_up(level, failed)

        if self._conditions and not self._choose(rows, evaluator, note):
            return
        for step in self._steps:
            level = max(step.statement.reads, self._level)
            chosen = rows.of(level)
            if step.statement.where is not None and chosen.any():
                truth = evaluator.truth(step.statement.where, level)
                note(level, chosen & truth.failed, step.place, truth.failure, step.statement)
                chosen = chosen & truth.holds
            if chosen.any():
                failed, failure = step.do(draft, evaluator, chosen, level)
                note(level, failed, step.place, failure, step.statement)
        if self._has_context:
            draft.forget_kept()

    def _choose(self, rows: _Rows, evaluator: Evaluator, note: Callable[..., None]) -> bool:
        """Narrow the rows to those for which a condition holds; says whether there are any."""
        level = max(self._level, Level.SPAN)
        holds = np.zeros_like(rows.of(level))
        for place, condition in self._conditions:
            undecided = rows.of(level) & ~holds
            if not undecided.any():
                break
            truth = evaluator.truth(condition.root, level)
            note(level, undecided & truth.failed, place, truth.failure, condition)
            holds |= undecided & truth.holds
        rows.narrow(level, holds)
        return bool(holds.any())


class _Rows:
    """For which rows a group's statements are done.

    Args:
        given_up: spans that are left out, to which more can be added.
    """

    def __init__(self, draft: Draft, given_up: Mask) -> None:
        self._draft = draft
        self._given_up = given_up
        self._spans = np.ones_like(given_up)
        self._events: Mask | None = None

    def of(self, level: Level) -> Mask:
        """The rows of a level; below spans those that have any that is meant."""
        spans = self._spans & ~self._given_up
        if level is not Level.EVENT:
            return self._draft.lower(spans, level)
        events: Mask = spans[self._draft.span_of_event]
        return events if self._events is None else events & self._events

    def narrow(self, level: Level, rows: Mask) -> None:
        """Only these rows of a level are meant, spans or events."""
        if level is Level.EVENT:
            self._events = rows
        else:
            self._spans = rows

    def give_up(self, level: Level, rows: Mask) -> None:
        """Leave spans out: all that these rows of a level belong to, or that belong to them."""
        if level is Level.EVENT:
            self._given_up[self._draft.span_of_event[rows]] = True
        else:
            self._given_up |= rows if level is Level.SPAN else rows[self._draft.place(level, Level.SPAN)]
