"""Fixtures: spans that this process makes, and what the SDK is told without asking anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from spanhouse_sdk import state
from spanhouse_sdk.failures import FailureRule
from spanhouse_sdk.follower import Follower
from spanhouse_sdk.gate import ConfiguredPropagator
from spanhouse_sdk.sampler import SpanhouseSampler
from spanhouse_sdk.settings import Settings
from spanhouse_sdk.tracing_config import TracingConfig
from spanhouse_sdk.xtrace import XTracePropagator

# An eye on what a test leaves behind.
from tests.conftest import no_task_left, no_thread_left

__all__ = ["no_task_left", "no_thread_left"]

_EXPORTER = InMemorySpanExporter()


class Told(Follower):
    """Knows what tests say."""

    def __init__(self) -> None:
        super().__init__(Settings("cart", fault_injection=True))

    def say(self, config: TracingConfig | None = None, rules: tuple[FailureRule, ...] = ()) -> None:
        self.config = config or self.config
        self._rules = rules
        self._rules_heard_s = float("inf")


@pytest.fixture(scope="session", autouse=True)
def provider() -> TracerProvider:
    """The process can have one only."""
    provider = TracerProvider(sampler=SpanhouseSampler(state.get_tracing_config))
    provider.add_span_processor(SimpleSpanProcessor(_EXPORTER))
    trace.set_tracer_provider(provider)
    return provider


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """What the SDK knows; tests say it."""
    told = Told()
    parts = [TraceContextTextMapPropagator(), W3CBaggagePropagator(), XTracePropagator()]
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(ConfiguredPropagator(CompositePropagator(parts), state.get_tracing_config))
    monkeypatch.setattr(state, "_follower", told)
    yield told
    propagate.set_global_textmap(before)


@pytest.fixture
def spans(told: Told) -> Callable[[], list[ReadableSpan]]:
    """The spans that were made since the test began, in the order in which they have ended."""
    _EXPORTER.clear()
    return lambda: list(_EXPORTER.get_finished_spans())


@pytest.fixture
def spans_named(spans: Callable[[], list[ReadableSpan]]) -> Callable[[str], list[Any]]:
    """Those with a name."""
    return lambda name: [span for span in spans() if span.name == name]
