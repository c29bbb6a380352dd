"""The sampler `spanhouse`: keeps what the live tracing config of the service says, as the collector's `service_policy` would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

from spanhouse_sdk.settings import Settings
from spanhouse_sdk.state import follow
from spanhouse_sdk.thresholds import randomness, with_threshold
from spanhouse_sdk.tracing_config import TracingConfig

_DROPPED: Final = SamplingResult(Decision.DROP)


class SpanhouseSampler(Sampler):
    """See the module.

    The trace id decides (or `rv`, where a trace state has one), and not whether the caller has kept the trace: services with
    equal rates keep the same traces, and one with a higher rate keeps all traces that one with a lower rate keeps. Spans within
    the service follow their parent, so that a config that changes meanwhile tears nothing apart; but none are kept of what is
    excluded, or once the service is switched off.

    Args:
        current: the config that holds now.
    """

    def __init__(self, current: Callable[[], TracingConfig]) -> None:
        self._current = current

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Whether a span is kept, and with which trace state."""
        config = self._current()
        parent = get_current_span(parent_context).get_span_context()
        if parent.is_valid and not parent.is_remote:
            if not parent.trace_flags.sampled:
                return SamplingResult(Decision.DROP, None, parent.trace_state) if parent.trace_state else _DROPPED
            if config.enabled and not (config.excluded_paths and config.excludes(name, attributes)):
                return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, parent.trace_state)
        # An empty one says nothing.
        state = (parent.trace_state or None) if parent.is_valid else None
        if (
            config.enabled
            and (not config.threshold or randomness(trace_id, state) >= config.threshold)
            and not (config.excluded_paths and config.excludes(name, attributes))
        ):
            kept = with_threshold(state, config.threshold) if state else config.trace_state
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, kept)
        return SamplingResult(Decision.DROP, None, with_threshold(state, None)) if state else _DROPPED

    def get_description(self) -> str:
        """What is sampled now, for people."""
        return f"SpanhouseSampler{{{self._current().sampling_rate:g}}}"


def sampler_from_environment(_: str | None = None) -> SpanhouseSampler:
    """The sampler as `OTEL_TRACES_SAMPLER=spanhouse` asks for it; its argument is read with the other settings."""
    following = follow(Settings.from_environment())
    return SpanhouseSampler(lambda: following.config)
