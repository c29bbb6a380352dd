"""One line, or environment variables alone, in processes of their own, beside a collector that is away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import Any

REPORT = """
import json
from opentelemetry import propagate, trace
with trace.get_tracer("t").start_as_current_span("s") as span:
    carrier = {}
    propagate.inject(carrier)
    print(json.dumps({
        "headers": sorted(carrier),
        "service": dict(getattr(span, "resource", None).attributes)["service.name"] if span.is_recording() else None,
        "state": span.get_span_context().trace_state.to_header(),
        "propagator": type(propagate.get_global_textmap()).__name__,
    }))
"""


def report(program: str, **environment: str) -> tuple[Any, str]:
    """What a process says of itself, and its log."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SPANHOUSE_"))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program) + REPORT],
        env={**clean, "SPANHOUSE_ENDPOINT": "http://127.0.0.1:1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_setup_is_one_line() -> None:
    told, log = report(
        """
        import spanhouse_sdk
        spanhouse_sdk.setup(service="cart")
        import fastapi, time
        from opentelemetry.instrumentation.propagators import get_global_response_propagator
        assert type(get_global_response_propagator()).__name__ == "XTraceResponsePropagator"
        assert fastapi.FastAPI.__name__ == "_InstrumentedFastAPI"
        assert spanhouse_sdk.is_tracing_enabled()
        assert spanhouse_sdk.get_tracing_config().rule == "unknown"
        assert spanhouse_sdk.get_trace_id() is None
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_BSP_EXPORT_TIMEOUT="100",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    assert told == {
        "headers": ["traceparent", "x-span-id", "x-trace-id"],
        "service": "cart",
        "state": "",
        "propagator": "ConfiguredPropagator",
    }
    assert log.count("cannot be reached") == 1
    # Of instrumentations whose libraries are not installed nothing is said.
    assert "instrument" not in log


def test_environment_variables_are_enough() -> None:
    told, _ = report(
        """
        from opentelemetry.instrumentation.auto_instrumentation import initialize
        initialize()
        from opentelemetry.instrumentation.propagators import get_global_response_propagator
        assert type(get_global_response_propagator()).__name__ == "XTraceResponsePropagator"
        """,
        OTEL_SERVICE_NAME="shop",
        OTEL_TRACES_SAMPLER="spanhouse",
        OTEL_PROPAGATORS="xtrace,tracecontext",
        OTEL_PYTHON_CONFIGURATOR="configurator",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )
    assert told == {
        "headers": ["traceparent", "x-span-id", "x-trace-id"],
        "service": "shop",
        "state": "",
        "propagator": "ConfiguredPropagator",
    }


def test_an_sdk_that_is_disabled_stays_so() -> None:
    told, _ = report('import spanhouse_sdk; spanhouse_sdk.setup("cart", instrument=False)', OTEL_SDK_DISABLED="true")
    assert told["service"] is None
