"""The sampler: it keeps what the collector would keep, and what it says of that is true."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace.sampling import SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from spanhouse_sdk.sampler import SpanhouseSampler
from spanhouse_sdk.thresholds import NEVER, threshold, threshold_text
from spanhouse_sdk.tracing_config import TracingConfig

from collector.control.policies import Policies
from collector.processors import probability
from collector.processors.service_policy import ServicePolicy
from config.service_policy import ServicePolicyProcessor
from proto.otlp_decode import decode
from tests.support.requests import key_values
from tests.support.tracing_configs import config as config_of

LOW, HIGH = 0x0AF7651916CD43DD8448EB211C80319C, 0x4BF92F3577B34DA6A3CE929D0E0E4736  # randomness 0.2848 and 0.8069
RATES = [0.0, 1.0, 0.75, 0.5, 1 / 3, 0.25, 0.1, 0.05, 0.01, 0.001, 1e-6, 2**-56, 2**-57, 31 / 32]


def parent(trace_id: int, state: str = "", *, remote: bool = True, sampled: bool = True) -> trace.Context:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else 0)
    context = SpanContext(trace_id, 7, remote, flags, TraceState.from_header([state]))
    return trace.set_span_in_context(NonRecordingSpan(context))


def sampled(config: TracingConfig, trace_id: int, context: Any = None, name: str = "s", **attributes: Any) -> SamplingResult:
    attributes = {key.replace("_", "."): value for key, value in attributes.items()}
    return SpanhouseSampler(lambda: config).should_sample(context, trace_id, name, attributes=attributes)


def collector_keeps(rate: float, paths: tuple[str, ...], trace_id: int, state: str, name: str, path: str) -> bool:
    """What the collector does with the same span."""
    policies = Policies([config_of("cart", samplingRate=rate, excludedPaths=paths)])
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "cart"}))
    resource_spans.scope_spans.add().spans.append(
        Span(
            trace_id=trace_id.to_bytes(16, "big"),
            span_id=b"spanspan",
            name=name,
            trace_state=state,
            attributes=key_values({"http.target": path}),
        )
    )
    batch = decode(request.SerializeToString(), "shop").batch
    return len(ServicePolicy(ServicePolicyProcessor(), lambda: policies).process(batch).batch) == 1


@pytest.mark.parametrize("rate", RATES)
def test_thresholds_are_those_of_the_collector(rate: float) -> None:
    if rate < probability.SMALLEST:
        assert threshold(rate) == NEVER
    else:
        expected = probability.threshold(rate, 4)
        assert threshold(rate) == expected
        assert threshold_text(expected) == probability.threshold_text(expected)


@given(st.floats(2**-56, 1))
def test_thresholds_are_those_of_the_collector_for_all_rates(rate: float) -> None:
    assert threshold(rate) == probability.threshold(rate, 4)


@settings(deadline=None, max_examples=60)  # kernels may have to be compiled
@given(
    rate=st.sampled_from(RATES) | st.floats(0, 1),
    paths=st.lists(st.text("/ab*?[]!", min_size=1, max_size=6), max_size=3).map(tuple),
    trace_id=st.integers(1, 2**128 - 1) | st.sampled_from([LOW, HIGH]),
    state=st.sampled_from(
        ["", "ot=rv:00000000000001", "ot=rv:ffffffffffffff", "ot=th:8;rv:c0000000000000", "a=b,ot=k:v", "ot=rv:1"]
    ),
    name=st.text("/ab[]!", min_size=1, max_size=6),
    path=st.text("/ab?", max_size=8),
)
def test_decisions_are_those_of_the_collector(
    rate: float, paths: tuple[str, ...], trace_id: int, state: str, name: str, path: str
) -> None:
    config = TracingConfig(rate, paths)
    attributes = {"http.target": path}
    for context in (parent(trace_id, state), parent(trace_id, state, sampled=False)):
        ours = SpanhouseSampler(lambda: config).should_sample(context, trace_id, name, attributes=attributes)
        assert ours.decision.is_sampled() == collector_keeps(rate, paths, trace_id, state, name, path)
    if not state:
        assert sampled(config, trace_id, None, name, http_target=path).decision.is_sampled() == ours.decision.is_sampled()


@pytest.mark.parametrize(
    ("state", "rate", "left"),
    [
        ("", 0.5, "ot=th:8"),
        ("", 1, ""),
        ("x=1", 1, "ot=th:0,x=1"),
        ("ot=th:8", 1, "ot=th:0"),
        ("", 31 / 32, "ot=th:08"),
        ("x=1,ot=k:v;th:c;rv:ffffffffffffff,y=2", 0.5, "ot=th:8;k:v;rv:ffffffffffffff,x=1,y=2"),
        ("ot=th:zz,x=1", 0.5, "ot=th:zz,x=1"),  # it cannot be read, so it is left alone
        ("ot=" + "k:" + "v" * 254, 0.5, "ot=th:8"),
    ],
)
def test_what_is_kept_says_with_which_threshold(state: str, rate: float, left: str) -> None:
    found = sampled(TracingConfig(rate), HIGH, parent(HIGH, state)).trace_state
    assert (found.to_header() if found else "") == left


def test_what_is_not_kept_has_no_threshold_any_more_and_keeps_its_randomness() -> None:
    found = sampled(TracingConfig(0.5), LOW, parent(LOW, "ot=th:1;rv:00000000000001,x=1")).trace_state
    assert found is not None
    assert found.to_header() == "ot=rv:00000000000001,x=1"
    assert sampled(TracingConfig(0.5), LOW).trace_state is None


def test_spans_inside_follow_their_parent_whatever_has_changed_meanwhile() -> None:
    for config in (TracingConfig(0.0), TracingConfig(1.0), TracingConfig(0.001)):
        assert not sampled(config, HIGH, parent(HIGH, remote=False, sampled=False)).decision.is_recording()
    assert sampled(TracingConfig(0.001), LOW, parent(LOW, "ot=th:1", remote=False)).decision.is_sampled()
    assert not sampled(TracingConfig(0.0), HIGH, parent(HIGH, remote=False)).decision.is_sampled()
    assert not sampled(TracingConfig(1.0, ("SELECT*",)), HIGH, parent(HIGH, remote=False), "SELECT 1").decision.is_sampled()


@pytest.mark.parametrize("paths", [("*a*a*a*a*a*a*a*a*a*a*a*a*b",), tuple("*" * 200 + str(number) for number in range(100))])
def test_globs_take_no_longer_for_being_twisted(paths: tuple[str, ...]) -> None:
    assert sampled(TracingConfig(1.0, paths), HIGH, None, "a" * 20_000).decision.is_sampled()
