"""Drops spans and events for which conditions hold: the processor `filter`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from collector.processors.base import Processed
from collector.processors.ottl.columns import Mask
from collector.processors.ottl.evaluate import Evaluator, attribute_keys
from collector.processors.ottl.fields import Fields
from collector.processors.selection import Selection
from collector.processors.trouble import Trouble
from config.filtering import FilterProcessor
from config.ottl import Condition
from config.ottl_nodes import Level
from proto.spans import SpanBatch, take


class Filter:
    """Drops what its settings say. Spans whose events are all dropped stay."""

    def __init__(self, settings: FilterProcessor) -> None:
        rules = [
            *((f"traces.span[{number}]", each) for number, each in enumerate(settings.traces.span)),
            *((f"traces.spanevent[{number}]", each) for number, each in enumerate(settings.traces.spanevent)),
            *((f"trace_conditions[{number}]", each) for number, each in enumerate(settings.trace_conditions)),
        ]
        self._mode = settings.error_mode
        self._on_spans = _Rules([rule for rule in rules if rule[1].level is Level.SPAN])
        self._on_events = _Rules([rule for rule in rules if rule[1].level is Level.EVENT])
        self._selection = Selection(settings.spans.include, settings.spans.exclude)

    def process(self, batch: SpanBatch) -> Processed:
        """The batch without the spans and events that are dropped."""
        if not len(batch):
            return Processed(batch)
        trouble = Trouble()
        dropped, given_up = self._matched(self._on_spans, Fields(batch, self._on_spans.keys), len(batch), trouble)
        dropped |= ~self._selection.choose(batch)
        stays = ~(dropped | given_up)
        left = batch if stays.all() else batch.select(stays)
        failed = batch.select(given_up)
        if self._on_events.rules and left.spans["events_count"].any():
            left, others = self._without_events(left, trouble)
            # They go nowhere, so how many spans each stands for does not matter.
            failed = replace(failed, spans=np.concatenate([failed.spans, others.spans]), adjusted_count=None)
        return Processed(left, batch.select(dropped), trouble.failures, failed, trouble.reasons)

    def _without_events(self, batch: SpanBatch, trouble: Trouble) -> tuple[SpanBatch, SpanBatch]:
        """The spans with the events that are left, and the spans that are given up with an event."""
        fields = Fields(batch, self._on_events.keys)
        dropped, given_up = self._matched(self._on_events, fields, len(fields.events), trouble)
        fails = np.zeros(len(batch), np.bool_)
        fails[fields.span_of_event[given_up]] = True
        failed = batch.select(fails)
        if not dropped.any():
            return batch.select(~fails) if fails.any() else batch, failed
        counts = np.bincount(fields.span_of_event[~dropped], minlength=len(batch)).astype(np.int32)
        spans = batch.spans.copy()
        spans["events_start"] = np.cumsum(counts) - counts
        spans["events_count"] = counts
        # It is no longer what a request said.
        left = replace(batch, spans=spans, events=take(batch.events, fields.event_rows[~dropped]), origin=None)
        return left.select(~fails) if fails.any() else left, failed

    def _matched(self, rules: _Rules, fields: Fields, rows: int, trouble: Trouble) -> tuple[Mask, Mask]:
        """Rows for which a rule holds, and those that are given up because one before it could not be worked out."""
        matched = np.zeros(rows, np.bool_)
        given_up = np.zeros(rows, np.bool_)
        evaluator = Evaluator(fields)
        for place, condition in rules.rules:
            truth = evaluator.evaluate(condition)
            failed = truth.failed & ~(matched | given_up)
            if failed.any():
                reason = None if self._mode == "silent" else f"{truth.failure}, in {condition}"
                trouble.note(place, int(np.count_nonzero(failed)), reason)
                if self._mode == "propagate":
                    given_up |= failed
            matched |= truth.holds & ~given_up
        return matched, given_up


class _Rules:
    """Conditions about the same, each with the place where it stands in the settings."""

    def __init__(self, rules: Sequence[tuple[str, Condition]]) -> None:
        self.rules = rules
        self.keys = attribute_keys(condition for _, condition in rules)
