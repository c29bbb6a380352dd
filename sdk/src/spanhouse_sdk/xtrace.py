"""The propagator `xtrace`: trace context in the headers X-Trace-ID, X-Span-ID and X-Parent-Span-ID, and back in those of answers.

Names are written in lower case, as HTTP/2 and gRPC have them. Ids are written as hexadecimal digits and read as such or as UUIDs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags

TRACE_ID: Final = "x-trace-id"
SPAN_ID: Final = "x-span-id"
PARENT_SPAN_ID: Final = "x-parent-span-id"
_AS_WRITTEN: Final = {TRACE_ID: "X-Trace-ID", SPAN_ID: "X-Span-ID", PARENT_SPAN_ID: "X-Parent-Span-ID"}
ASGI_ANSWERS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
"""Types of ASGI's messages that have an answer's headers."""
_TOLD: Final = frozenset({TRACE_ID, TRACE_ID.encode()})
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_SPAN_ID: Final = re.compile(r"[0-9a-f]{16}", re.IGNORECASE | re.ASCII)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_log = logging.getLogger("spanhouse_sdk")
Headers: TypeAlias = tuple[tuple[str, str], ...]


class XTracePropagator(TextMapPropagator):
    """See the module.

    Where a carrier has a valid W3C context too, that counts, whichever propagator comes first. Ids that are malformed, of another
    length or contradictory count as none, so that a trace of its own begins. A trace id alone joins its trace: the parent is
    then X-Parent-Span-ID, and without that the span whose id is the second half of the trace id, which by custom is a root.
    """

    def __init__(self) -> None:
        self._told = False

    def extract(self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter) -> Context:
        """The context that the headers say, unless `context` has one already."""
        if context is None:
            context = Context()
        elif trace.get_current_span(context).get_span_context().is_valid:
            return context
        said = _get(carrier, TRACE_ID, getter)
        if not said:
            return context
        trace_id = _id(said, _TRACE_ID)
        spans = _get(carrier, SPAN_ID, getter) or _get(carrier, PARENT_SPAN_ID, getter)
        span_id = _id(spans, _SPAN_ID) if spans else trace_id and trace_id & 0xFFFF_FFFF_FFFF_FFFF
        if not trace_id or not span_id:
            if not self._told:
                self._told = True
                _log.warning("malformed or contradictory X-Trace headers count as none, such as %.200r, %.200r", said, spans)
            return context
        # Nothing says whether the caller keeps the trace. Whoever names one wants it.
        parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=_SAMPLED)
        return trace.set_span_in_context(NonRecordingSpan(parent), context)

    def inject(self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter) -> None:
        """Write the ids of the current span, and of its parent where it has one."""
        for name, value in ids(trace.get_current_span(context)):
            setter.set(carrier, name, value)

    @property
    def fields(self) -> set[str]:
        """Names of the headers that are set."""
        return {TRACE_ID, SPAN_ID, PARENT_SPAN_ID}


class XTraceResponsePropagator:
    """Writes the same headers to answers: for `set_global_response_propagator` of OpenTelemetry's instrumentations."""

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = default_setter) -> None:
        """Write the ids of the span that a request was worked on in."""
        headers = carrier
        if isinstance(carrier, dict) and "type" in carrier:
            # To ASGI's instrumentation all messages are carriers, also those that have no headers.
            if carrier["type"] not in ASGI_ANSWERS:
                return
            headers = carrier.get("headers")
        # A middleware of ours, which stands further in, has told them already.
        if isinstance(headers, list) and are_told(headers):
            return
        for name, value in ids(trace.get_current_span(context)):
            setter.set(carrier, name, value)


def are_told(headers: Iterable[tuple[Any, Any]]) -> bool:
    """Whether an answer's headers, whose names are text or bytes in lower case, tell ids."""
    # A generator would take several times as long.
    for name, _ in headers:
        if name in _TOLD:
            return True
    return False


def ids(span: Span) -> Headers:
    """Headers with the ids of a span and of its parent; none of a span that has no ids."""
    found = own_ids(span)
    # Spans that are not recorded know of no parent.
    parent = getattr(span, "parent", None)
    return (*found, (PARENT_SPAN_ID, span_id_text(parent.span_id))) if found and parent is not None else found


def trace_id_alone(span: Span) -> Headers:
    """The header with the id of a span's trace."""
    own = span.get_span_context()
    return ((TRACE_ID, trace_id_text(own.trace_id)),) if own.is_valid else ()


def own_ids(span: Span) -> Headers:
    """Headers with the ids of a span and of its trace."""
    own = span.get_span_context()
    return ((TRACE_ID, trace_id_text(own.trace_id)), (SPAN_ID, span_id_text(own.span_id))) if own.is_valid else ()


def trace_id_text(trace_id: int) -> str:
    """A trace id as 32 hexadecimal digits; by way of bytes, as formats take twice as long."""
    return trace_id.to_bytes(16).hex()


def span_id_text(span_id: int) -> str:
    """A span id as 16 hexadecimal digits."""
    return span_id.to_bytes(8).hex()


def _get(carrier: CarrierT, name: str, getter: Getter[CarrierT]) -> list[str] | None:
    found = getter.get(carrier, name)
    # In plain dictionaries, names are as somebody has written them.
    return getter.get(carrier, _AS_WRITTEN[name]) if not found and getter is default_getter else found


def _id(values: list[str], form: re.Pattern[str]) -> int | None:
    """The id that the values say, all of them the same; None where they do not, or it is no id."""
    # Queues have headers of other types, too.
    if not all(isinstance(value, str) for value in values):
        return None
    first = values[0].strip(" \t")
    if not form.fullmatch(first) or any(value.strip(" \t") != first for value in values[1:]):
        return None
    return int(first.replace("-", ""), 16) or None
