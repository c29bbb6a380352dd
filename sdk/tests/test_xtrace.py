"""The propagator `xtrace`: what it writes it reads, and what is no id counts as none."""

from __future__ import annotations

import logging
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.baggage import set_baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from spanhouse_sdk import globs
from spanhouse_sdk.gate import ConfiguredPropagator
from spanhouse_sdk.tracing_config import TracingConfig
from spanhouse_sdk.xtrace import XTracePropagator, XTraceResponsePropagator

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OTHER_TRACE, OTHER_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
BOTH = [TraceContextTextMapPropagator(), XTracePropagator()]


def read(carrier: dict[str, str | list[str]], *propagators: object) -> tuple[str, str] | None:
    found = trace.get_current_span(CompositePropagator(propagators or [XTracePropagator()]).extract(carrier)).get_span_context()  # type: ignore[arg-type]
    return (f"{found.trace_id:032x}", f"{found.span_id:016x}") if found.is_valid else None


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
def test_what_is_written_is_read(trace_id: int, span_id: int) -> None:
    context = trace.set_span_in_context(NonRecordingSpan(SpanContext(trace_id, span_id, False, TraceFlags(1))))
    for propagator in (XTracePropagator(), XTraceResponsePropagator()):
        carrier: dict[str, str] = {}
        propagator.inject(carrier, context)
        assert set(carrier) <= XTracePropagator().fields
        assert read(dict(carrier)) == (f"{trace_id:032x}", f"{span_id:016x}")
    as_uuid: dict[str, str | list[str]] = {"X-Trace-ID": str(uuid.UUID(int=trace_id)).upper(), "X-Span-ID": f"{span_id:016X}"}
    assert read(as_uuid) == (f"{trace_id:032x}", f"{span_id:016x}")


def test_a_trace_id_alone_joins_its_trace() -> None:
    assert read({"X-Trace-ID": TRACE}) == (TRACE, TRACE[16:])
    assert read({"X-Trace-ID": TRACE, "X-Parent-Span-ID": SPAN}) == (TRACE, SPAN)
    assert read({"X-Trace-ID": TRACE, "X-Span-ID": SPAN, "X-Parent-Span-ID": OTHER_SPAN}) == (TRACE, SPAN)
    assert read({"X-Trace-ID": TRACE[:16] + "0" * 16}) is None


@pytest.mark.parametrize(
    "carrier",
    [
        {},
        {"x-span-id": SPAN},
        {"x-trace-id": ""},
        {"x-trace-id": "0" * 32, "x-span-id": SPAN},
        {"x-trace-id": TRACE[:16], "x-span-id": SPAN},
        {"x-trace-id": TRACE + "00", "x-span-id": SPAN},
        {"x-trace-id": TRACE, "x-span-id": "0" * 16},
        {"x-trace-id": TRACE, "x-span-id": SPAN + "0"},
        {"x-trace-id": TRACE, "x-span-id": "x" * 100_000},
        {"x-trace-id": "x" * 1_000_000},
        {"x-trace-id": f"{TRACE}\r\nSet-Cookie: a=b"},
        {"x-trace-id": f"{TRACE}\n", "x-span-id": SPAN},
        {"x-trace-id": f"{TRACE},{TRACE}"},
        {"x-trace-id": [TRACE, OTHER_TRACE], "x-span-id": SPAN},
        {"x-trace-id": TRACE, "x-span-id": [SPAN, OTHER_SPAN]},
        {"x-trace-id": "4bf92f35-77b34da6-a3ce929d-0e0e4736"},
        {"x-trace-id": "٤" * 32},
        {"x-trace-id": "{" + str(uuid.UUID(TRACE)) + "}"},
    ],
)
def test_what_is_no_id_counts_as_none(carrier: dict[str, str | list[str]]) -> None:
    assert read(carrier) is None


@given(
    st.dictionaries(st.sampled_from(["x-trace-id", "x-span-id", "x-parent-span-id"]), st.text() | st.lists(st.text(), min_size=1))
)
def test_whatever_comes_nothing_is_raised_and_no_more_than_ids_goes_out(carrier: dict[str, str | list[str]]) -> None:
    context = XTracePropagator().extract(carrier)
    out: dict[str, str] = {}
    XTracePropagator().inject(out, context)
    assert all(value.isalnum() and len(value) in (16, 32) for value in out.values())


def test_the_same_id_twice_is_one() -> None:
    assert read({"x-trace-id": [TRACE, TRACE], "x-span-id": [SPAN, f" {SPAN}\t"]}) == (TRACE, SPAN)


@pytest.mark.parametrize("propagators", [BOTH, BOTH[::-1]])
def test_where_both_are_there_that_of_w3c_counts_if_it_is_valid(propagators: list[object]) -> None:
    ours: dict[str, str | list[str]] = {"x-trace-id": TRACE, "x-span-id": SPAN}
    assert read({**ours, "traceparent": f"00-{OTHER_TRACE}-{OTHER_SPAN}-01"}, *propagators) == (OTHER_TRACE, OTHER_SPAN)
    assert read({**ours, "traceparent": f"00-{OTHER_TRACE}-{OTHER_SPAN}-zz"}, *propagators) == (TRACE, SPAN)


def test_what_is_wrong_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    propagator = XTracePropagator()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            propagator.extract({"x-trace-id": "x" * 5000})
    assert len(caplog.records) == 1
    assert len(caplog.records[0].getMessage()) < 1000


def test_nothing_goes_out_while_the_config_says_so_and_everything_comes_in() -> None:
    config = TracingConfig(propagate_context=False)
    propagator = ConfiguredPropagator(CompositePropagator([TraceContextTextMapPropagator(), XTracePropagator()]), lambda: config)
    context = propagator.extract({"x-trace-id": TRACE, "x-span-id": SPAN})
    out: dict[str, str] = {}
    propagator.inject(out, context)
    assert out == {}
    config = TracingConfig()
    propagator.inject(out, context)
    assert set(out) == {"traceparent", "x-trace-id", "x-span-id"}


@pytest.mark.parametrize("said", [7, b"4bf92f3577b34da6a3ce929d0e0e4736", [None], [TRACE, 7]], ids=range(4))
def test_what_is_no_text_counts_as_none(said: object) -> None:
    for name in ("x-trace-id", "traceparent"):
        gate = ConfiguredPropagator(CompositePropagator(BOTH), TracingConfig)
        found = gate.extract({name: said, "x-span-id": SPAN})  # type: ignore[dict-item]  # as from queues
        assert not trace.get_current_span(found).get_span_context().is_valid


def test_what_cannot_be_written_is_left_out_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    gate = ConfiguredPropagator(CompositePropagator([W3CBaggagePropagator(), XTracePropagator()]), TracingConfig)
    for _ in range(2):
        carrier: dict[str, str] = {}
        gate.inject(carrier, set_baggage("user", "\udcff"))
        assert carrier == {}
    assert len(caplog.records) == 1


def test_long_texts_are_matched_and_not_remembered() -> None:
    before = globs._known.cache_info().currsize
    assert globs.matches(("/health*",), "/health" + "x" * 10_000)
    assert not globs.matches(("/health*",), "/cart" + "x" * 10_000)
    assert globs._known.cache_info().currsize == before
