"""What this process follows: one service, of one collector."""

from __future__ import annotations

import threading

from opentelemetry import propagate, trace

from spanhouse_sdk.follower import Follower
from spanhouse_sdk.gate import ConfiguredPropagator
from spanhouse_sdk.settings import Settings
from spanhouse_sdk.tracing_config import TracingConfig

_lock = threading.Lock()
_follower: Follower | None = None
_UNKNOWN = TracingConfig()


def follow(settings: Settings) -> Follower:
    """Follow the collector, unless this process does so already; and put its config in front of the global propagator."""
    global _follower
    with _lock:
        if _follower is None:
            _follower = Follower(settings)
            _follower.start()
        propagator = propagate.get_global_textmap()
        if not isinstance(propagator, ConfiguredPropagator):
            propagate.set_global_textmap(ConfiguredPropagator(propagator, get_tracing_config))
        return _follower


def unfollow() -> None:
    """Stop following."""
    global _follower
    with _lock:
        if _follower is not None:
            _follower.stop()
            _follower = None
            propagator = propagate.get_global_textmap()
            if isinstance(propagator, ConfiguredPropagator):
                propagate.set_global_textmap(propagator.inner)


def follower() -> Follower | None:
    """What follows the collector, if anything does."""
    return _follower


def get_tracing_config() -> TracingConfig:
    """What the collector said last about this service; whatever is not known is as by default."""
    following = _follower
    return _UNKNOWN if following is None else following.config


def is_tracing_enabled() -> bool:
    """Whether any spans of this service are kept."""
    return get_tracing_config().enabled


def get_trace_id() -> str | None:
    """The id of the trace that the current span belongs to, 32 hexadecimal digits; None outside of traces."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None
