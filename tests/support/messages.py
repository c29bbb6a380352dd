"""OTLP messages made comparable: a span with its resource and scope as bytes, equal when they mean the same."""

from __future__ import annotations

import base64
from collections.abc import Iterator, MutableSequence
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, TracesData


def canonical_spans(message: ExportTraceServiceRequest | TracesData) -> Iterator[tuple[str, bytes]]:
    """(trace id in hex, bytes) of each span. Entries of nested key-value lists are unordered and unique, and an empty status,
    resource or scope means the same as none."""
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                single = ResourceSpans(schema_url=resource_spans.schema_url)
                single.resource.CopyFrom(resource_spans.resource)
                scope = single.scope_spans.add(schema_url=scope_spans.schema_url)
                scope.scope.CopyFrom(scope_spans.scope)
                copy = scope.spans.add()
                copy.CopyFrom(span)
                if not copy.status.ByteSize():
                    copy.ClearField("status")
                # An absent id is also written as zeros.
                if not any(copy.parent_span_id):
                    copy.parent_span_id = b""
                _sort_nested(single.resource.attributes)
                _sort_nested(scope.scope.attributes)
                _sort_nested(copy.attributes)
                for event in copy.events:
                    _sort_nested(event.attributes)
                for link in copy.links:
                    _sort_nested(link.attributes)
                yield span.trace_id.hex(), single.SerializeToString(deterministic=True)


def _sort_nested(attributes: MutableSequence[KeyValue]) -> None:
    for entry in attributes:
        # A value that is not there means the same as one that is empty.
        entry.value.SetInParent()
        _sort_value(entry.value)


def _sort_value(value: AnyValue) -> None:
    for item in value.array_value.values if value.HasField("array_value") else ():
        _sort_value(item)
    if value.HasField("kvlist_value"):
        unique = {entry.key: entry for entry in value.kvlist_value.values}
        entries = [unique[key] for key in sorted(unique, key=str.encode)]
        for entry in entries:
            _sort_value(entry.value)
        copies = [KeyValue.FromString(entry.SerializeToString()) for entry in entries]
        del value.kvlist_value.values[:]
        value.kvlist_value.values.extend(copies)


def with_base64_ids(node: Any) -> Any:
    """Protobuf's own mapping to JSON, of a document in OTLP's: there ids are in hexadecimal."""
    if isinstance(node, list):
        return [with_base64_ids(item) for item in node]
    if isinstance(node, dict):
        return {
            key: base64.b64encode(bytes.fromhex(value)).decode()
            if key in ("traceId", "spanId", "parentSpanId")
            else with_base64_ids(value)
            for key, value in node.items()
        }
    return node
