"""One propagator for three kinds of headers: the same as a composite of OpenTelemetry's own and `xtrace`, on whatever comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.baggage import get_all, set_baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from spanhouse_sdk.propagation import TracePropagator
from spanhouse_sdk.xtrace import XTracePropagator

COMPOSITE = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator(), XTracePropagator()])
TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("t")
TRACE_IDS, SPAN_IDS, FLAGS = st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1), st.integers(0, 255)
STATES = st.sampled_from([None, TraceState([("ot", "th:8")]), TraceState([("a", "1"), ("b", "2")])])
DIGITS = st.text("0123456789abcdefABCDEF- \t\n٤x", max_size=60)
TRACEPARENTS = (
    st.builds("{:02x}-{:032x}-{:016x}-{:02x}{}".format, st.sampled_from([0, 0, 0, 1, 255]), TRACE_IDS, SPAN_IDS, FLAGS, DIGITS)
    | st.builds("00-{:032x}-{:016x}-{:02x}".format, TRACE_IDS, SPAN_IDS, FLAGS)
    | DIGITS
)
CARRIERS = st.fixed_dictionaries(
    {},
    optional={
        "traceparent": TRACEPARENTS | st.lists(TRACEPARENTS, max_size=2),
        "tracestate": st.sampled_from(
            ["", "ot=th:8", "a=1,b=2", "=,", ["a=1", "b=2"], f"a={'x' * 256}", f"a={'x' * 250},b={'x' * 250},c=12345"]
        ),
        "baggage": st.sampled_from(["user=1", "a=1,b=2", "nonsense", ""]),
        "x-trace-id": st.builds("{:032x}".format, TRACE_IDS) | DIGITS,
        "x-span-id": st.builds("{:016x}".format, SPAN_IDS) | DIGITS,
        "x-parent-span-id": st.builds("{:016x}".format, SPAN_IDS),
    },
)


def seen(context: Context) -> tuple[object, ...]:
    found = trace.get_current_span(context).get_span_context()
    return (*found, dict(found.trace_state), dict(get_all(context)))


@given(CARRIERS)
def test_what_comes_in_is_read_alike(carrier: dict[str, str | list[str]]) -> None:
    before = set_baggage("kept", "1", Context())
    assert seen(TracePropagator().extract(carrier)) == seen(COMPOSITE.extract(carrier))
    assert seen(TracePropagator().extract(carrier, before)) == seen(COMPOSITE.extract(carrier, before))


@given(TRACE_IDS, SPAN_IDS, FLAGS, STATES, st.booleans(), st.booleans())
def test_what_goes_out_is_written_alike(
    trace_id: int, span_id: int, flags: int, state: TraceState | None, recorded: bool, with_baggage: bool
) -> None:
    own = SpanContext(trace_id, span_id, True, TraceFlags(flags), state)
    context = trace.set_span_in_context(NonRecordingSpan(own))
    if recorded:
        context = trace.set_span_in_context(TRACER.start_span("s", context))
    if with_baggage:
        context = set_baggage("user", "a b", context)
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    TracePropagator().inject(ours, context)
    COMPOSITE.inject(theirs, context)
    if not trace.get_current_span(context).get_span_context().is_valid:
        # OpenTelemetry's own writes ids that nobody may read.
        theirs = {name: value for name, value in theirs.items() if name == "baggage"}
    assert ours == theirs
    assert set(ours) <= TracePropagator().fields == COMPOSITE.fields
