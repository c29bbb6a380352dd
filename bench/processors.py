"""What each processor costs, alone, in CPU microseconds per span, beside the same work done the plain way over protobuf objects.

    python bench/processors.py [--load NAME] [--repetitions N]

Both work on the same requests in the same run: the processor on a batch of all of them, the plain way on their messages, which
are parsed already.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final
from uuid import uuid4

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from bench.ottl import FIVE
from bench.stages import REPETITIONS, asked, cpu_seconds
from collector.control.policies import Policies
from collector.control.tracing_configs import TracingSettings
from collector.control.versions import Stored
from collector.memory import keep_little, resident_bytes
from collector.pipeline.registry import PROCESSORS as BUILDERS
from collector.pipeline.registry import memory_limiter
from collector.processors.base import Processed, Processor
from collector.processors.service_policy import ServicePolicy
from config.memory_limit import MemoryLimiterProcessor
from config.processors import PROCESSORS as MODELS
from config.service_policy import ServicePolicyProcessor
from config.topology import TopologyProcessor
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch

TARGET: Final = 0.4
"""Microseconds per span, for each processor alone."""
SET_TARGET: Final = 1.0
"""The same for a usual set of them."""


@dataclass(frozen=True, slots=True)
class Work:
    """A processor and its plain counterpart.

    Attributes:
        processor: its type in the configuration.
        settings: as in the configuration.
        plainly: does the same to a message.
    """

    processor: str
    settings: Mapping[str, Any]
    plainly: Callable[[ExportTraceServiceRequest], object]

    def build(self) -> Processor:
        settings = MODELS[self.processor].model_validate(self.settings)
        return BUILDERS[type(settings)](settings)


def sampled(request: ExportTraceServiceRequest) -> list[list[Span]]:
    """Half of the spans, by their trace ids."""
    threshold = 1 << 55
    kept = []
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            spans = [span for span in scope_spans.spans if int.from_bytes(span.trace_id[9:], "big") >= threshold]
            for span in spans:
                span.trace_state = "ot=th:8"
            kept.append(spans)
    return kept


def with_five_changes(request: ExportTraceServiceRequest) -> None:
    """Change the attributes of every span as `FIVE_ACTIONS` says."""
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                values = {entry.key: entry.value for entry in span.attributes}
                for key, text in (("deployment", "blue"), ("tenant", "none")):
                    if key not in values:
                        span.attributes.add(key=key).value.string_value = text
                if "client.address" in values and "server.address" in values:
                    values["server.address"].CopyFrom(values["client.address"])
                if "http.response.status_code" in values:
                    status = values["http.response.status_code"]
                    status.string_value = str(status.int_value)
                for position, entry in enumerate(span.attributes):
                    if entry.key == "user_agent.original":
                        del span.attributes[position]
                        break


def with_resources_changed(request: ExportTraceServiceRequest) -> None:
    """Change the attributes of every resource."""
    for resource_spans in request.resource_spans:
        attributes = resource_spans.resource.attributes
        for position, entry in enumerate(attributes):
            if entry.key == "host.name":
                del attributes[position]
                break
        if all(entry.key != "cluster" for entry in attributes):
            attributes.add(key="cluster").value.string_value = "eu-1"


_INTERNAL: Final = re.compile("^(GET|HEAD) /internal/")


def filtered(request: ExportTraceServiceRequest) -> list[list[Span]]:
    """The spans for which none of the conditions `FIVE` holds."""
    left = []
    for resource_spans in request.resource_spans:
        resource = {entry.key: entry.value for entry in resource_spans.resource.attributes}
        is_of_tester = "service.name" in resource and resource["service.name"].string_value == "load-tester"
        for scope_spans in resource_spans.scope_spans:
            kept = [span for span in scope_spans.spans if not is_of_tester and not _is_dropped(span)]
            left.append(kept)
    return left


def _is_dropped(span: Span) -> bool:
    values = {entry.key: entry.value for entry in span.attributes}
    return (
        ("http.route" in values and values["http.route"].string_value == "/healthz")
        or _INTERNAL.search(span.name) is not None
        or (span.kind == Span.SPAN_KIND_INTERNAL and span.end_time_unix_nano - span.start_time_unix_nano < 1_000_000)
        or (
            "server.address" in values
            and values["server.address"].string_value == "localhost"
            and span.status.code != Status.STATUS_CODE_ERROR
        )
    )


def masking(*patterns: str) -> Work:
    """Mask in every text of every span what the patterns find."""
    compiled = [re.compile(pattern) for pattern in patterns]

    def with_masks(request: ExportTraceServiceRequest) -> None:
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    for entry in span.attributes:
                        text = entry.value.string_value
                        for pattern in compiled:
                            if pattern.search(text):
                                entry.value.string_value = text = pattern.sub("****", text)

    return Work("redaction", {"allow_all_keys": True, "blocked_values": patterns}, with_masks)


def limited(request: ExportTraceServiceRequest) -> None:
    """Keep eight attributes of each span, and cut texts above 32 bytes."""
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                span.dropped_attributes_count += max(len(span.attributes) - 8, 0)
                del span.attributes[8:]
                for entry in span.attributes:
                    text = entry.value.string_value.encode()
                    if len(text) > 32:
                        entry.value.string_value = text[:29].decode(errors="ignore") + "…"


@dataclass(frozen=True, slots=True)
class PolicyWork(Work):
    """Tracing configs and a plain counterpart; `settings` are those of the one config, which speaks for every service."""

    def build(self) -> Processor:
        said = TracingSettings.model_validate({"service": "*", **self.settings})
        config = Stored(uuid4(), "default", said, 1, 0, "bench", 0, "bench", deleted=False, write_id=uuid4())
        policies = Policies([config])
        return ServicePolicy(ServicePolicyProcessor(), lambda: policies)


class Admission:
    """Does to a batch what `memory_limiter` does to each of the requests that it came in."""

    def __init__(self, settings: MemoryLimiterProcessor) -> None:
        self._limiter = memory_limiter(settings)

    def process(self, batch: SpanBatch) -> Processed:
        requests = len(batch) // REQUEST_SPANS
        for _ in range(requests):
            self._limiter.check()
            self._limiter.admitted(batch.nbytes // requests)
        return Processed(batch)


@dataclass(frozen=True, slots=True)
class AdmissionWork(Work):
    """A look at the memory before each request."""

    def build(self) -> Processor:
        return Admission(MemoryLimiterProcessor.model_validate(self.settings))


def admitted(_: ExportTraceServiceRequest) -> bool:
    """Whether the process takes little memory."""
    return resident_bytes() < MOST_BYTES


def obeyed(request: ExportTraceServiceRequest) -> list[list[Span]]:
    """Half of the spans, by their trace ids, without those that have an excluded path or name."""
    threshold = 1 << 55
    left = []
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            kept = []
            for span in scope_spans.spans:
                paths = (entry.value.string_value for entry in span.attributes if entry.key in PATHS)
                texts = [span.name, *paths]
                excluded = any(fnmatchcase(text, glob) for text in texts for glob in EXCLUDED)
                if not excluded and int.from_bytes(span.trace_id[9:], "big") >= threshold:
                    span.trace_state = "ot=th:8"
                    kept.append(span)
            left.append(kept)
    return left


def named(request: ExportTraceServiceRequest) -> None:
    """Name each span by its method and route."""
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                values = {entry.key: entry.value.string_value for entry in span.attributes}
                if all(key in values for key in NAMING):
                    span.name = " ".join(values[key] for key in NAMING)


def measured(request: ExportTraceServiceRequest) -> dict[tuple[object, ...], list[Any]]:
    """Spans, durations and a histogram by minute, service, name, kind and status."""
    counted: dict[tuple[object, ...], list[Any]] = {}
    for resource_spans in request.resource_spans:
        service = next(
            (entry.value.string_value for entry in resource_spans.resource.attributes if entry.key == "service.name"), ""
        )
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                duration = max(span.end_time_unix_nano - span.start_time_unix_nano, 0)
                key = (span.start_time_unix_nano // 60_000_000_000, service, span.name, span.kind, span.status.code)
                series = counted.setdefault(key, [0, 0, duration, duration, Counter()])
                series[0] += 1
                series[1] += duration
                series[2] = min(series[2], duration)
                series[3] = max(series[3], duration)
                series[4][math.ceil(32 * math.log2(duration)) if duration else -1] += 1
    return counted


REQUEST_SPANS: Final = 512
MOST_BYTES: Final = 1 << 40
PATHS: Final = ("url.path", "http.route", "http.target")
EXCLUDED: Final = ("/healthz", "/api/currency/*")


def called(request: ExportTraceServiceRequest) -> Counter[tuple[str, str]]:
    """Calls by client and server: parents of other services, what clients name, and servers without a parent."""
    spans = {}
    for resource_spans in request.resource_spans:
        service = next(
            (entry.value.string_value for entry in resource_spans.resource.attributes if entry.key == "service.name"), ""
        )
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                spans[span.trace_id, span.span_id] = (service, span)
    calls: Counter[tuple[str, str]] = Counter()
    for service, span in spans.values():
        parent = spans.get((span.trace_id, span.parent_span_id))
        if parent is not None and parent[0] != service:
            calls[parent[0], service] += 1
        elif span.kind == Span.SPAN_KIND_SERVER and not span.parent_span_id:
            calls["user", service] += 1
        elif span.kind == Span.SPAN_KIND_CLIENT:
            values = {entry.key: entry.value.string_value for entry in span.attributes}
            for key in PEERS:
                if key in values:
                    calls[service, values[key]] += 1
                    break
    return calls


PEERS: Final = (*TopologyProcessor().database_name_attributes, *TopologyProcessor().virtual_node_peer_attributes)
_TOKEN: Final = re.compile("token=[^&]+")


def with_five_statements(request: ExportTraceServiceRequest) -> None:
    """Do to every span what `FIVE_STATEMENTS` says."""
    for resource_spans in request.resource_spans:
        attributes = resource_spans.resource.attributes
        if all(entry.key != "cluster" for entry in attributes):
            attributes.add(key="cluster").value.string_value = "eu-1"
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                values = {entry.key: entry.value for entry in span.attributes}
                if "server.address" in values:
                    span.attributes.add(key="net.peer").value.CopyFrom(values["server.address"])
                    for position, entry in enumerate(span.attributes):
                        if entry.key == "server.address":
                            del span.attributes[position]
                            break
                if "url.path" in values:
                    text = values["url.path"].string_value
                    if _TOKEN.search(text):
                        values["url.path"].string_value = _TOKEN.sub("token=***", text)
                if "http.response.status_code" in values and values["http.response.status_code"].int_value == 404:
                    span.status.code = Status.STATUS_CODE_UNSET


def masked_everywhere(request: ExportTraceServiceRequest) -> None:
    """Mask the numbers of cards in every text of every span."""
    card = re.compile("[0-9]{16}")
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                for entry in span.attributes:
                    if card.search(entry.value.string_value):
                        entry.value.string_value = card.sub("<card>", entry.value.string_value)


NAMING: Final = ("http.request.method", "http.route")
CARD: Final = r"\b[0-9]{16}\b"
ADDRESS: Final = r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"
"""Of the first there is none in the load; of the second one in every span."""
FIVE_ACTIONS: Final = (
    {"action": "upsert", "key": "deployment", "value": "blue"},
    {"action": "insert", "key": "tenant", "value": "none"},
    {"action": "update", "key": "server.address", "from_attribute": "client.address"},
    {"action": "convert", "key": "http.response.status_code", "converted_type": "string"},
    {"action": "delete", "key": "user_agent.original"},
)
FIVE_STATEMENTS: Final = (
    'set(resource.attributes["cluster"], "eu-1") where resource.attributes["cluster"] == nil',
    'set(span.attributes["net.peer"], span.attributes["server.address"])',
    'delete_key(span.attributes, "server.address")',
    'replace_pattern(span.attributes["url.path"], "token=[^&]+", "token=***")',
    'set(span.status.code, STATUS_CODE_UNSET) where span.attributes["http.response.status_code"] == 404',
)
MASKING: Final = 'replace_all_patterns(span.attributes, "value", "[0-9]{16}", "<card>")'
RESOURCE_ACTIONS: Final = (
    {"action": "delete", "key": "host.name"},
    {"action": "insert", "key": "cluster", "value": "eu-1"},
)
WORKS: Final[Mapping[str, Work]] = {
    "memory_limiter": AdmissionWork("memory_limiter", {"check_interval": "1s", "limit_mib": MOST_BYTES >> 20}, admitted),
    "filter, 5 conditions": Work("filter", {"traces": {"span": FIVE}}, filtered),
    "probabilistic_sampler": Work("probabilistic_sampler", {"mode": "equalizing", "sampling_percentage": 50}, sampled),
    "service_policy": PolicyWork("service_policy", {"samplingRate": 0.5, "excludedPaths": EXCLUDED}, obeyed),
    "attributes, 5 actions": Work("attributes", {"actions": FIVE_ACTIONS}, with_five_changes),
    "resource, 2 actions": Work("resource", {"attributes": RESOURCE_ACTIONS}, with_resources_changed),
    "span, 2 attributes": Work("span", {"name": {"from_attributes": NAMING, "separator": " "}}, named),
    "red_metrics": Work("red_metrics", {}, measured),
    "topology": Work("topology", {}, called),
    "transform, 5 statements": Work("transform", {"trace_statements": FIVE_STATEMENTS}, with_five_statements),
    "transform, masking": Work("transform", {"trace_statements": [MASKING]}, masked_everywhere),
    "limits, all reached": Work("limits", {"max_value_bytes": 32, "max_attributes": 8}, limited),
    "limits, none reached": Work("limits", {"max_value_bytes": 65536}, limited),
    "redaction, none found": masking(CARD),
    "redaction, one a span": masking(CARD, ADDRESS),
}

USUAL_SET: Final = ("memory_limiter", "filter, 5 conditions", "attributes, 5 actions", "probabilistic_sampler", "topology")
"""In this order, so that `topology` finds the calls of half of the spans."""


class Chain:
    """Processors one behind the other, each working on what the one before has left."""

    def __init__(self, processors: Sequence[Processor]) -> None:
        self._processors = processors

    def process(self, batch: SpanBatch) -> Processed:
        processed = Processed(batch)
        for processor in self._processors:
            processed = processor.process(processed.batch)
        return processed


def costs(
    processor: Processor,
    plainly: Callable[[ExportTraceServiceRequest], object],
    batch: SpanBatch,
    bodies: list[bytes],
    repetitions: int,
) -> tuple[float, float]:
    """CPU seconds of the processor and of the plain way, which gets messages of its own each time, for it changes them."""
    times = 3
    fresh = iter([[ExportTraceServiceRequest.FromString(body) for body in bodies] for _ in range(times + 1)])
    plain = cpu_seconds(lambda: [plainly(message) for message in next(fresh)], times)
    return cpu_seconds(lambda: processor.process(batch), repetitions), plain


def main() -> None:
    """Print the table."""
    load, repetitions = asked(__doc__, REPETITIONS)
    # As in the daemon: otherwise memory that is used again is mapped anew.
    keep_little()
    bodies = load.bodies()
    batch = concatenate([decode(body).batch for body in bodies])
    print(f"{load.name}: {len(batch):,} spans, µs/span")
    usual = [WORKS[name] for name in USUAL_SET]
    chain = Chain([work.build() for work in usual])
    rows = [(name, work.build(), work.plainly, TARGET) for name, work in WORKS.items()]
    rows.append(("the usual set", chain, lambda message: [work.plainly(message) for work in usual], SET_TARGET))
    for name, processor, plainly, target in rows:
        seconds = costs(processor, plainly, batch, bodies, repetitions)
        cost, plain = (each / len(batch) * 1e6 for each in seconds)
        verdict = "met" if cost <= target else "MISSED"
        print(f"{name:<24} {cost:>7.3f}   plain {plain:>7.3f}   at most {target}: {verdict}")


if __name__ == "__main__":
    main()
