"""Finds calls between services: the processor `topology`."""

from __future__ import annotations

from collector.processors.base import Processed
from collector.processors.topology.calls import find_calls
from collector.processors.topology.peers import PeerAttributes
from collector.processors.topology.rows import derived_rows
from collector.service_graph import CallMeasures, GraphSettings
from config.topology import TopologyProcessor
from proto.spans import SpanBatch


class Topology:
    """Lets spans go on as they are; what they tell of calls goes into tables, and to `/metrics`."""

    def __init__(self, settings: TopologyProcessor) -> None:
        self._attributes = PeerAttributes(settings.database_name_attributes, settings.virtual_node_peer_attributes)
        self._graph = GraphSettings(
            tuple(map(int, settings.latency_histogram_buckets)),
            settings.max_series,
            settings.store.max_items,
            settings.store.ttl.seconds,
        )

    def process(self, batch: SpanBatch) -> Processed:
        """The batch as it is, and the calls that it tells of."""
        calls = find_calls(batch, self._attributes)
        return Processed(batch, derived=derived_rows(calls), measured=CallMeasures(self._graph, calls))
