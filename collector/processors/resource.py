"""Changes attributes of resources: the processor `resource`."""

from __future__ import annotations

import numpy as np

from collector.processors.actions import Actions
from collector.processors.base import Processed
from config.attribute_actions import ResourceProcessor
from proto.spans import SpanBatch


class ResourceAttributes:
    """Does its actions on all resources."""

    def __init__(self, settings: ResourceProcessor) -> None:
        self._actions = Actions(settings.attributes, "attributes")

    def process(self, batch: SpanBatch) -> Processed:
        """All spans, with the attributes of their resources changed."""
        edited, failures = self._actions.apply(batch, "resources", np.ones(len(batch.resources), np.bool_))
        return Processed(edited, failures=failures)
