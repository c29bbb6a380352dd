"""Changes attributes of spans: the processor `attributes`."""

from __future__ import annotations

from collector.processors.actions import Actions
from collector.processors.base import Processed
from collector.processors.selection import Selection
from config.attribute_actions import AttributesProcessor
from proto.spans import SpanBatch


class SpanAttributes:
    """Does its actions on the spans that are chosen."""

    def __init__(self, settings: AttributesProcessor) -> None:
        self._selection = Selection(settings.include, settings.exclude)
        self._actions = Actions(settings.actions, "actions")

    def process(self, batch: SpanBatch) -> Processed:
        """All spans, with the attributes of some changed."""
        edited, failures = self._actions.apply(batch, "spans", self._selection.choose(batch))
        return Processed(edited, failures=failures)
