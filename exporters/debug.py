"""Spans to the daemon's own log, for people who set something up: that they come, or what they hold.

This is the one place where spans become objects on their way: of batches that are written, while somebody looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from exporters.base import PartialSuccess, WholeBatch
from exporters.workspaces import by_workspace
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch

_log = structlog.get_logger(__name__)

Verbosity = Literal["basic", "normal", "detailed"]
Line = dict[str, Any]

_KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUS_CODES: Final = ("unset", "ok", "error")


class LogSampler:
    """Which messages are written, so that a flood of them does not bury the log.

    Args:
        initial: so many in each second.
        thereafter: then every such one within the same second; 0 for none.
        monotonic: the time in seconds, by a clock that never goes back.
    """

    def __init__(self, initial: int, thereafter: int, monotonic: Callable[[], float]) -> None:
        self._initial = initial
        self._thereafter = thereafter
        self._monotonic = monotonic
        self._second = -1
        self._seen = 0

    def chooses(self) -> bool:
        """Whether the message that comes now is written."""
        second = int(self._monotonic())
        if second != self._second:
            self._second, self._seen = second, 0
        self._seen += 1
        later = self._seen - self._initial
        return later <= 0 or (self._thereafter > 0 and later % self._thereafter == 0)


@dataclass(frozen=True, slots=True)
class Report(WholeBatch):
    """What the log is to say of a batch.

    Attributes:
        exporter: id of the exporter.
        lines: of its spans, as many as are told.
        is_written: whether anything is said at all.
        executor: threads in which it is written.
    """

    exporter: str
    lines: Sequence[Line]
    is_written: bool
    executor: Executor

    @property
    def nbytes(self) -> int:
        """Nothing goes over a wire."""
        return 0

    async def send(self, timeout_s: float) -> PartialSuccess | None:
        """Write the lines, in a thread: whoever reads them may be slow."""
        if self.is_written:
            await asyncio.get_running_loop().run_in_executor(self.executor, self._write)
        return None

    def _write(self) -> None:
        log = structlog.get_logger(__name__, exporter=self.exporter)
        log.info("batch", spans=self.spans, services=len(self.owners))
        for line in self.lines:
            log.info("span", **line)


class DebugExporter:
    """Writes batches to the log.

    Args:
        name: id of the exporter.
        verbosity: what is told of a batch: its numbers, the names and attributes of its spans, or all that they hold.
        sampler: which batches are written.
        executor: threads in which lines are made and written.
    """

    def __init__(self, name: str, verbosity: Verbosity, sampler: LogSampler, executor: Executor) -> None:
        self._name = name
        self._verbosity = verbosity
        self._sampler = sampler
        self._executor = executor

    async def open(self) -> None:
        """There is nothing to make ready."""

    async def close(self) -> None:
        """There is nothing to end."""

    async def prepare(self, batch: SpanBatch, name: str) -> Sequence[Report]:
        """One report of the whole batch."""
        is_written = self._sampler.chooses()
        lines: list[Line] = []
        if is_written and self._verbosity != "basic":
            lines = await asyncio.get_running_loop().run_in_executor(self._executor, self._lines, batch)
        return [Report(batch, name, self._name, lines, is_written, self._executor)]

    def _lines(self, batch: SpanBatch) -> list[Line]:
        lines: list[Line] = []
        for workspace, spans in by_workspace(batch):
            try:
                request = ExportTraceServiceRequest.FromString(encode_request(spans))
            except DecodeError:
                # The library reads less deeply nested values than we take.
                _log.warning("spans_not_shown", exporter=self._name, spans=len(spans), reason="values are nested too deeply")
                continue
            is_detailed = self._verbosity == "detailed"
            lines += ({"workspace": workspace, **line} for line in span_lines(request, is_detailed=is_detailed))
        return lines


def span_lines(request: ExportTraceServiceRequest, *, is_detailed: bool) -> Iterator[Line]:
    """What a line says of each span: what identifies it and its attributes, or all that it holds."""
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope_spans in group.scope_spans:
            for span in scope_spans.spans:
                line = {"service": resource.get("service.name", ""), **_line(span)}
                if is_detailed:
                    line |= _details(span) | {"scope": _scope(scope_spans.scope), "resource": resource}
                yield line


def _line(span: Span) -> Line:
    return {
        "name": span.name,
        "kind": _named(_KINDS, span.kind),
        "status": _named(_STATUS_CODES, span.status.code),
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "duration_ns": span.end_time_unix_nano - span.start_time_unix_nano,
        "attributes": _attributes(span.attributes),
    }


def _details(span: Span) -> Line:
    return {
        "status_message": span.status.message,
        "start_time_unix_nano": span.start_time_unix_nano,
        "trace_state": span.trace_state,
        "flags": span.flags,
        "events": [
            {"name": event.name, "time_unix_nano": event.time_unix_nano, "attributes": _attributes(event.attributes)}
            for event in span.events
        ],
        "links": [
            {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex(), "attributes": _attributes(link.attributes)}
            for link in span.links
        ],
        "dropped": {
            "attributes": span.dropped_attributes_count,
            "events": span.dropped_events_count,
            "links": span.dropped_links_count,
        },
    }


def _scope(scope: InstrumentationScope) -> Line:
    return {"name": scope.name, "version": scope.version, "attributes": _attributes(scope.attributes)}


def _named(names: Sequence[str], number: int) -> str | int:
    """The name of an enumerated value, or the number where it has none."""
    return names[number] if 0 <= number < len(names) else number


def _attributes(attributes: Iterable[KeyValue]) -> Line:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> Any:
    """An attribute's value as it reads in a log; bytes in hexadecimal, None for an empty one."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(each) for each in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case kind:
            return getattr(value, kind)
