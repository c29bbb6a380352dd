"""What is looked for in calls between services: the settings of the processor `topology`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from config.histogram import BUCKETS, Buckets
from config.section import Section
from config.values import Duration, PositiveCount

_Key = Annotated[str, Field(min_length=1)]


class HalvesInMemory(Section):
    """How long one side of a call waits in memory for the other one, for `/metrics`. In ClickHouse it waits five minutes."""

    ttl: Duration = Duration.parse("30s")
    """It waits this long. Clients and servers send what they have every few seconds, and not at the same time."""
    max_items: Annotated[PositiveCount, Field(le=10_000_000)] = 100_000
    """So many wait at most, each of which takes about 90 bytes; the oldest make room."""


class TopologyProcessor(Section):
    """Finds the calls between services, as the Collector's connector `servicegraph` does: for tables by minute, and for
    `/metrics`. The spans themselves go on as they are."""

    store: HalvesInMemory = HalvesInMemory()
    """Sides of calls that come apart."""
    latency_histogram_buckets: Buckets = BUCKETS
    """Durations of calls up to and with each of these are counted apart in `/metrics`. In ClickHouse there is a sketch."""
    max_series: Annotated[PositiveCount, Field(le=100_000)] = 10_000
    """Most pairs of client and server that are counted apart in `/metrics`: those that come first. A workspace that has fewer
    than its share then still gets more, until there are twice as many. Others are counted together, under the name
    `otel.metric.overflow`."""
    database_name_attributes: tuple[_Key, ...] = ("db.name", "db.namespace", "db.system.name", "db.system")
    """A client with one of these attributes has called a database; the first one that is there names it."""
    virtual_node_peer_attributes: tuple[_Key, ...] = (
        "peer.service",
        "messaging.destination.name",
        "messaging.system",
        "rpc.service",
        "server.address",
        "net.peer.name",
    )
    """What clients and producers have called that has no spans: the first of these attributes that is there names it."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "dimensions": "calls are told apart by client, server and type of connection; red_metrics has dimensions",
        "exponential_histogram_max_size": "leave it out: in ClickHouse every pair has an exponential histogram",
        "cache_loop": "leave it out: series are bounded by max_series",
        "store_expiration_loop": "leave it out: what has waited for store.ttl is looked at with every batch",
        "virtual_node_extra_label": "leave it out: connection_type is virtual_node for them",
        "metrics_flush_interval": "leave it out: /metrics shows what there is",
        "metrics_timestamp_offset": "leave it out: calls are counted in the minute in which they begin",
    }
