"""spanhouse-sdk: for services whose spans go to spanhouse, as plug-ins of OpenTelemetry.

`setup` does everything at once. With OpenTelemetry's environment variables the parts can be had without it.
"""

from spanhouse_sdk.setting_up import setup
from spanhouse_sdk.state import get_trace_id, get_tracing_config, is_tracing_enabled
from spanhouse_sdk.tracing_config import TracingConfig

__all__ = ["TracingConfig", "get_trace_id", "get_tracing_config", "is_tracing_enabled", "setup"]
