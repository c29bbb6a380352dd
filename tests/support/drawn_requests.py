"""Requests as Hypothesis draws them: attributes wherever there may be some."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.requests import key_values


def drawn_request(draw: st.DrawFn, attributes: st.SearchStrategy[dict[str, Any]]) -> ExportTraceServiceRequest:
    """One or two resources with a scope and up to four numbered spans each, all with attributes as drawn."""
    request, number = ExportTraceServiceRequest(), 0
    for of_resource in draw(st.lists(attributes, min_size=1, max_size=2)):
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.extend(key_values(of_resource))
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.attributes.extend(key_values(draw(attributes)))
        for of_span in draw(st.lists(attributes, min_size=1, max_size=4)):
            number += 1
            ids = {"trace_id": number.to_bytes(16, "big"), "span_id": number.to_bytes(8, "big")}
            scope_spans.spans.add(**ids, name="s", attributes=key_values(of_span))
    return request
