"""What happens to spans between receivers and exporters: the `processors` section."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import ValidationInfo, field_validator

from config.attribute_actions import AttributesProcessor, ResourceProcessor
from config.filtering import FilterProcessor
from config.limits import LimitsProcessor
from config.memory_limit import MemoryLimiterProcessor
from config.red_metrics import RedMetricsProcessor
from config.redaction import RedactionProcessor
from config.remote_sampling import AdaptiveSamplingProcessor
from config.sampling import ProbabilisticSampler
from config.section import Section
from config.service_policy import ServicePolicyProcessor
from config.span_names import SpanProcessor
from config.tail_sampling import TailSamplingProcessor
from config.topology import TopologyProcessor
from config.transforming import TransformProcessor
from config.values import Count, Duration, PositiveCount


class BatchProcessor(Section):
    """Gathers the spans of many requests into batches worth sending."""

    send_batch_size: Count = 8192
    """Send a batch once it has this many spans; 0 leaves the decision to `timeout`."""
    send_batch_max_size: Count = 0
    """Split batches above this many spans; 0 never splits by number."""
    max_bytes: PositiveCount = 16_777_216
    """Send a batch once its spans take this many bytes in memory. The Collector has no such key."""
    timeout: Duration = Duration.parse("200ms")
    """Send a batch this long after its first span, whatever its size; 0 sends at once."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "metadata_keys": "spans of all clients share batches",
        "metadata_cardinality_limit": "spans of all clients share batches",
    }

    @field_validator("send_batch_max_size")
    @classmethod
    def _room_for_a_batch(cls, value: int, info: ValidationInfo) -> int:
        if 0 < value < info.data.get("send_batch_size", 0):
            raise ValueError("must be 0 or at least send_batch_size")
        return value


Processor = (
    BatchProcessor
    | MemoryLimiterProcessor
    | FilterProcessor
    | AttributesProcessor
    | ResourceProcessor
    | RedactionProcessor
    | LimitsProcessor
    | SpanProcessor
    | TransformProcessor
    | RedMetricsProcessor
    | TopologyProcessor
    | ServicePolicyProcessor
    | AdaptiveSamplingProcessor
    | ProbabilisticSampler
    | TailSamplingProcessor
)
PROCESSORS: Mapping[str, type[Processor]] = {
    "batch": BatchProcessor,
    "memory_limiter": MemoryLimiterProcessor,
    "filter": FilterProcessor,
    "attributes": AttributesProcessor,
    "resource": ResourceProcessor,
    "redaction": RedactionProcessor,
    "limits": LimitsProcessor,
    "span": SpanProcessor,
    "transform": TransformProcessor,
    "red_metrics": RedMetricsProcessor,
    "topology": TopologyProcessor,
    "service_policy": ServicePolicyProcessor,
    "adaptive_sampling": AdaptiveSamplingProcessor,
    "probabilistic_sampler": ProbabilisticSampler,
    "tail_sampling": TailSamplingProcessor,
}
"""Every processor of this release by its type."""

_IN_FRONT = "leave it out, or run it in a collector in front, which sends OTLP"

REFERENCE_ONLY_PROCESSORS: Mapping[str, str] = {
    "groupbytrace": "leave it out: tail_sampling gathers traces by itself",
    "groupbyattrs": _IN_FRONT,
    "spanmetrics": "use the processor red_metrics",
    "servicegraph": "use the processor topology",
    "k8sattributes": _IN_FRONT,
    "resourcedetection": _IN_FRONT,
    "geoip": _IN_FRONT,
    "schema": _IN_FRONT,
    "remotetap": _IN_FRONT,
    "cumulativetodelta": "spanhouse takes spans only",
    "deltatocumulative": "spanhouse takes spans only",
    "deltatorate": "spanhouse takes spans only",
    "metricstransform": "spanhouse takes spans only",
    "metricsgeneration": "spanhouse takes spans only",
    "interval": "spanhouse takes spans only",
    "logdedup": "spanhouse takes spans only",
    "nop": "leave it out",
}
"""Processors of the OpenTelemetry Collector that this release has not: what to do without them."""
