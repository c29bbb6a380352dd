"""Spans of requests that the daemon itself makes: where their traces begin, and where it shows what failed on purpose.

They take the way of all other spans, from the entry of the pipeline on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector.consumer import Consumer
from collector.errors import CollectorError
from proto.otlp_decode import decode

_log = structlog.get_logger(__name__)

SERVICE: Final = "spanhouse"
"""The service of these spans."""


@dataclass(frozen=True, slots=True)
class OwnSpan:
    """One request, as its client saw it.

    Attributes:
        trace_id, span_id: hexadecimal, as the request bore them.
        start, end: nanoseconds since 1970.
        attributes: key → text or whole number.
        fault: why it failed; empty when it did not.
    """

    trace_id: str
    span_id: str
    name: str
    start: int
    end: int
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    fault: str = ""


class OwnSpans:
    """Gives such spans to the pipeline.

    Args:
        consumer: the entry of the pipeline, which keeps account of what it does not take.
        scope: what part of the daemon has made them.
    """

    def __init__(self, consumer: Consumer, scope: str) -> None:
        self._consumer = consumer
        self._scope = scope
        self._in_trouble = False

    async def tell(self, workspace: str, spans: Iterable[OwnSpan]) -> None:
        """Give spans of a workspace to the pipeline. What that does not take is told of once and lost: these are but notes."""
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.append(_attribute("service.name", SERVICE))
        scope = resource.scope_spans.add()
        scope.scope.name, scope.scope.version = self._scope, version("spanhouse")
        scope.spans.extend(_message(span) for span in spans)
        if not scope.spans:
            return
        try:
            await self._consumer.consume(decode(request.SerializeToString(), workspace).batch)
            self._in_trouble = False
        except CollectorError as error:
            if not self._in_trouble:
                _log.warning("own_spans_not_taken", scope=self._scope, workspace=workspace, error=str(error))
            self._in_trouble = True


def _message(span: OwnSpan) -> Span:
    return Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        name=span.name,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=span.start,
        end_time_unix_nano=span.end,
        attributes=[_attribute(key, value) for key, value in span.attributes.items()],
        status=Status(code=Status.STATUS_CODE_ERROR, message=span.fault) if span.fault else None,
    )


def _attribute(key: str, value: str | int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value))
