"""The one table of components, and what the settings in `collector.yaml` mean for the parts of a pipeline."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

from collector.memory import total_memory_bytes
from collector.pipeline.batching import BatchLimits
from collector.pipeline.connections import Connection, Surroundings, new_sender
from collector.pipeline.memory_limiter import MemoryLimiter
from collector.pipeline.otlp import loadbalancing, otlp, otlphttp
from collector.pipeline.settling import Settling
from collector.processors.adaptive_sampling import AdaptiveSampling
from collector.processors.attributes import SpanAttributes
from collector.processors.base import Processor
from collector.processors.filter import Filter
from collector.processors.limits import Limits
from collector.processors.probabilistic_sampler import Sampler
from collector.processors.red_metrics import RedMetrics
from collector.processors.redaction import Redaction
from collector.processors.resource import ResourceAttributes
from collector.processors.service_policy import ServicePolicy
from collector.processors.span import SpanNames
from collector.processors.topology.processor import Topology
from collector.processors.transform import Transform
from collector.queues.memory import QueueLimits
from collector.tls import client_context, own_listener_context
from config.attribute_actions import AttributesProcessor, ResourceProcessor
from config.debug_exporter import DebugExporter
from config.exporters import ClickHouseExporter
from config.filtering import FilterProcessor
from config.limits import LimitsProcessor
from config.load_balancing import LoadBalancingExporter
from config.memory_limit import MemoryLimiterProcessor
from config.otlp_exporters import OtlpExporter, OtlpHttpExporter
from config.processors import BatchProcessor
from config.red_metrics import RedMetricsProcessor
from config.redaction import RedactionProcessor
from config.remote_sampling import AdaptiveSamplingProcessor
from config.sampling import ProbabilisticSampler
from config.sending import SendingQueue
from config.service_policy import ServicePolicyProcessor
from config.span_names import SpanProcessor
from config.topology import TopologyProcessor
from config.transforming import TransformProcessor
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from exporters.connecting import TlsKeys
from exporters.debug import DebugExporter as Debug
from exporters.debug import LogSampler
from exporters.embedded.limits import ServerLimits

OVERFLOW_WAIT_S: Final = 1.0
"""How long a request waits for room before its sender is asked to come back later, with `block_on_overflow`."""

_MOST_BATCH_BYTES: Final = 1 << 30
"""Joined batches must stay below 2 GiB, and the last request that is added to one may be large."""

_MOST_ASKED: Final = ServerLimits().max_queries * 3 // 4


def clickhouse_client(name: str, settings: ClickHouseExporter, max_connections: int = 100) -> ClickHouseClient:
    """A client of the servers that the exporter of this id writes to.

    Raises:
        TlsError: the files of `tls` cannot be used.
    """
    key = f"exporters.{name}"
    tls: ssl.SSLContext | None = None
    if settings.is_embedded and settings.embedded.tls is not None:
        tls = own_listener_context(settings.embedded.tls, settings.tls, key)
    elif any(url.startswith("https:") for url in settings.urls):
        tls = client_context(settings.tls, f"{key}.tls")
    return ClickHouseClient(
        settings.urls,
        user=settings.username,
        password=settings.password.get_secret_value(),
        database=settings.database,
        settings=settings.connection_params,
        tls=tls,
        tls_keys=TlsKeys(f"{key}.tls", settings.tls.ca_file),
        max_connections=max_connections,
    )


def schema_settings(settings: ClickHouseExporter) -> SchemaSettings:
    """The tables of an exporter, as `exporters.clickhouse.schema` wants them."""
    return SchemaSettings(
        database=settings.database,
        spans_table=settings.traces_table_name,
        ttl_s=int(settings.ttl.seconds),
        history_ttl_s=int(settings.history_ttl.seconds),
        cluster=settings.cluster_name,
        engine=settings.table_engine.name,
        engine_parameters=settings.table_engine.params,
    )


def asking_client(name: str, settings: ClickHouseExporter) -> ClickHouseClient:
    """The same for whoever asks those servers, and stores no spans.

    An embedded one answers so many requests of the daemon at a time and refuses the next. Of these some are left to what is
    stored: a question that finds no connection waits for one, where spans would be turned away.
    """
    return clickhouse_client(name, settings, _MOST_ASKED) if settings.is_embedded else clickhouse_client(name, settings)


def default_batching(queue: SendingQueue) -> BatchProcessor:
    """The batches of a pipeline without a `batch` processor, which its sending queue describes."""
    return BatchProcessor(
        send_batch_size=queue.batch.min_size,
        send_batch_max_size=queue.batch.max_size,
        timeout=queue.batch.flush_timeout,
    )


def queue_limits(settings: SendingQueue, batch_spans: int) -> QueueLimits:
    """The bounds of a queue in memory, in front of batches of so many spans."""
    max_bytes, max_spans = settings.max_bytes, None
    match settings.sizer:
        case "bytes":
            max_bytes = min(max_bytes, settings.queue_size)
        case "items":
            max_spans = settings.queue_size
        case "requests":
            # Counted in batches of full size, whatever the requests were that they came in.
            max_spans = settings.queue_size * batch_spans or None
    return QueueLimits(max_bytes, max_spans, OVERFLOW_WAIT_S if settings.block_on_overflow else 0.0)


def _clickhouse(name: str, settings: ClickHouseExporter, surroundings: Surroundings) -> Connection:
    client = clickhouse_client(name, settings)
    writing = WriterSettings(schema_settings(settings), settings.create_schema, settings.compress, settings.async_insert)
    writer = ClickHouseWriter(client, writing, surroundings.executor)
    settling = Settling(writer.open, client, writing.schema)
    return Connection(new_sender(name, settings, writer, surroundings), client.close, settling)


def _debug(name: str, settings: DebugExporter, surroundings: Surroundings) -> Connection:
    sampler = LogSampler(settings.sampling_initial, settings.sampling_thereafter, surroundings.clock.monotonic)
    exporter = Debug(name, settings.verbosity, sampler, surroundings.executor)
    return Connection(new_sender(name, settings, exporter, surroundings), exporter.close)


def batch_limits(settings: BatchProcessor) -> BatchLimits:
    """How large and how old a batch becomes."""
    return BatchLimits(
        min_spans=settings.send_batch_size,
        max_spans=settings.send_batch_max_size,
        max_bytes=min(settings.max_bytes, _MOST_BATCH_BYTES),
        timeout_s=settings.timeout.seconds,
    )


def memory_limiter(settings: MemoryLimiterProcessor) -> MemoryLimiter:
    """What refuses requests while memory is scarce."""
    soft, hard = settings.limits(total_memory_bytes())
    gc_interval_s = settings.min_gc_interval_when_hard_limited.seconds
    return MemoryLimiter(soft, hard, settings.check_interval.seconds, gc_interval_s)


EXPORTERS: Final[Mapping[type, Callable[[str, Any, Surroundings], Connection]]] = {
    ClickHouseExporter: _clickhouse,
    OtlpExporter: otlp,
    OtlpHttpExporter: otlphttp,
    LoadBalancingExporter: loadbalancing,
    DebugExporter: _debug,
}
"""Type of settings → what builds the exporter, of its id and those settings."""

PROCESSORS: Final[Mapping[type, Callable[[Any], Processor]]] = {
    FilterProcessor: Filter,
    AttributesProcessor: SpanAttributes,
    ResourceProcessor: ResourceAttributes,
    RedactionProcessor: Redaction,
    LimitsProcessor: Limits,
    SpanProcessor: SpanNames,
    TransformProcessor: Transform,
    RedMetricsProcessor: RedMetrics,
    TopologyProcessor: Topology,
    ProbabilisticSampler: Sampler,
    AdaptiveSamplingProcessor: AdaptiveSampling,
}
"""Type of settings → what builds the processor; `batch` is none of them, for batches are cut before spans are processed."""


def new_processor(settings: Any, surroundings: Surroundings) -> Processor:
    """The processor of these settings."""
    if isinstance(settings, ServicePolicyProcessor):
        return ServicePolicy(settings, surroundings.policies)
    return PROCESSORS[type(settings)](settings)
