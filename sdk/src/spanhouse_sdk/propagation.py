"""W3C trace context, baggage and X-Trace headers in one propagator: what a composite of three does, in less time."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import CarrierT, Getter, Setter, TextMapPropagator, default_getter, default_setter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from spanhouse_sdk.xtrace import PARENT_SPAN_ID, SPAN_ID, TRACE_ID, XTracePropagator, span_id_text, trace_id_text

_TRACEPARENT: Final = "traceparent"
_TRACESTATE: Final = "tracestate"
_BAGGAGE: Final = "baggage"
_USUAL: Final = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_FLAGS: Final = {f"{flags:02x}": TraceFlags(flags) for flags in range(256)}
_FLAG_TEXTS: Final = tuple(_FLAGS)
_LONGEST_STATE: Final = 256
_REMEMBERED: Final = 256
"""Most trace states say one of the few thresholds that services sample with, and nothing else."""


class TracePropagator(TextMapPropagator):
    """See the module.

    On its way out a call looks for the current span once, and its ids become text once. On the way in, a `traceparent` as nearly
    all are is read here, and all else by OpenTelemetry's own propagators.
    """

    def __init__(self) -> None:
        self._trace_context = TraceContextTextMapPropagator()
        self._baggage = W3CBaggagePropagator()
        self._xtrace = XTracePropagator()

    def extract(self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter) -> Context:
        """The context that the headers say; a valid W3C context goes before X-Trace headers."""
        if context is None:
            context = Context()
        said = getter.get(carrier, _TRACEPARENT)
        usual = _USUAL.fullmatch(said[0]) if said else None
        if usual is not None:
            states = getter.get(carrier, _TRACESTATE)
            if not states or (len(states) == 1 and len(states[0]) <= _LONGEST_STATE):
                trace_id, span_id, flags = usual.groups()
                state = _trace_state(states[0]) if states else None
                parent = SpanContext(int(trace_id, 16), int(span_id, 16), True, _FLAGS[flags], state)
                if parent.is_valid:
                    context = trace.set_span_in_context(NonRecordingSpan(parent), context)
                    return self._baggage.extract(carrier, context, getter) if getter.get(carrier, _BAGGAGE) else context
        context = self._trace_context.extract(carrier, context, getter) if said else context
        return self._baggage.extract(carrier, self._xtrace.extract(carrier, context, getter), getter)

    def inject(self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter) -> None:
        """Write the current span in both forms, and the baggage."""
        if context is None:
            context = get_current()
        span = trace.get_current_span(context)
        own = span.get_span_context()
        if own.is_valid:
            trace_id, span_id = trace_id_text(own.trace_id), span_id_text(own.span_id)
            setter.set(carrier, _TRACEPARENT, f"00-{trace_id}-{span_id}-{_FLAG_TEXTS[own.trace_flags & 0xFF]}")
            if own.trace_state:
                setter.set(carrier, _TRACESTATE, own.trace_state.to_header())
            setter.set(carrier, TRACE_ID, trace_id)
            setter.set(carrier, SPAN_ID, span_id)
            # Spans that are not recorded know of no parent.
            parent = getattr(span, "parent", None)
            if parent is not None:
                setter.set(carrier, PARENT_SPAN_ID, span_id_text(parent.span_id))
            if len(context) == 1:
                # The span is all that there is, so there is no baggage.
                return
        self._baggage.inject(carrier, context, setter)

    @property
    def fields(self) -> set[str]:
        """Names of the headers that are set."""
        return self._trace_context.fields | self._baggage.fields | self._xtrace.fields


@lru_cache(_REMEMBERED)
def _trace_state(header: str) -> TraceState:
    """What a header says; nobody changes trace states once they are made."""
    return TraceState.from_header([header])
