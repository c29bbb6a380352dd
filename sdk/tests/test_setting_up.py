"""One line, or environment variables alone, in processes of their own, beside a collector that is away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from spanhouse_sdk.ending import PromptlyEndingProcessor

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
        # Its instrumentation would have made settings up.
        import django.conf
        assert not django.conf.settings.configured
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


def test_another_setup_changes_nothing() -> None:
    told, log = report(
        """
        import spanhouse_sdk, threading
        from spanhouse_sdk import state
        from spanhouse_sdk.tracing_config import TracingConfig
        first = spanhouse_sdk.setup("cart", instrument=False)
        threads = threading.active_count()
        assert spanhouse_sdk.setup("shop", instrument=False) is first
        assert threading.active_count() == threads
        state.follower().config = TracingConfig(propagate_context=False)
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    assert told == {"headers": [], "service": "cart", "state": "", "propagator": "ConfiguredPropagator"}
    assert log.count("set up already") == 1


def test_settings_that_the_exporter_does_not_like_cost_spans_and_not_the_service() -> None:
    told, log = report(
        'import spanhouse_sdk; spanhouse_sdk.setup("cart", instrument=False)',
        OTEL_BSP_MAX_QUEUE_SIZE="100",
    )
    assert told["service"] == "cart"
    assert log.count("no spans are sent") == 1


def test_where_no_thread_can_be_started_what_is_known_holds() -> None:
    told, log = report(
        """
        import os, threading
        import spanhouse_sdk
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        start = threading.Thread.start
        def refuse(thread):
            if thread.name == "spanhouse-sdk":
                raise RuntimeError("can't start new thread")
            start(thread)
        threading.Thread.start = refuse
        # As on Windows.
        del os.register_at_fork
        spanhouse_sdk.setup("cart", instrument=False, exporter=InMemorySpanExporter())
        """
    )
    assert told["service"] == "cart"
    assert log.count("no thread can be started") == 1


UVICORN_ENDED_BY_A_SIGNAL = """
import os, signal, threading
import spanhouse_sdk, uvicorn
from opentelemetry import trace
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from spanhouse_sdk.asgi import TraceMiddleware
class Hanging(ConsoleSpanExporter):
    def export(self, spans):
        threading.Event().wait()
spanhouse_sdk.setup("cart", instrument=False, exporter=EXPORTER(formatter=lambda span: span.name))
class Server(uvicorn.Server):
    async def main_loop(self):
        os.kill(os.getpid(), signal.SIGTERM)
        await super().main_loop()
trace.get_tracer("t").start_span("the last").end()
Server(uvicorn.Config(TraceMiddleware(app), port=0)).run()
"""
FASTAPI = "from fastapi import FastAPI; app = FastAPI()"


def ended_by_a_signal(application: str, exporter: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", application + UVICORN_ENDED_BY_A_SIGNAL.replace("EXPORTER", exporter)],
        env={**os.environ, "SPANHOUSE_ENDPOINT": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGTERM
    return done


@pytest.mark.parametrize(
    "application",
    [
        FASTAPI,
        # It knows of no lifespan.
        "import django.conf, django.core.asgi; django.conf.settings.configure(); app = django.core.asgi.get_asgi_application()",
    ],
    ids=["fastapi", "django"],
)
def test_what_is_left_is_sent_before_uvicorn_ends_by_a_signal(application: str) -> None:
    assert "the last" in ended_by_a_signal(application, "ConsoleSpanExporter").stdout


def test_a_collector_that_never_answers_does_not_keep_uvicorn_from_ending() -> None:
    assert "spans of the last seconds may be lost" in ended_by_a_signal(FASTAPI, "Hanging").stderr


def test_what_is_left_is_given_up_in_the_end_when_one_batch_has_failed() -> None:
    class Away(SpanExporter):
        tried: ClassVar[list[int]] = []
        answer = SpanExportResult.FAILURE

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            self.tried.append(len(spans))
            return self.answer

    for answer, batches in ((SpanExportResult.FAILURE, [512]), (SpanExportResult.SUCCESS, [512, 512, 512, 464])):
        exporter, provider = Away(), TracerProvider(shutdown_on_exit=False)
        exporter.tried.clear()
        exporter.answer = answer
        processor = PromptlyEndingProcessor(exporter)
        span = provider.get_tracer("t").start_span("s")
        span.end()
        # Before its thread has done anything, the queue is as full as it can be.
        with processor._batch_processor._export_lock:
            for _ in range(2000):
                processor.on_end(span)
            processor._giving_up.ends = True
        processor.shutdown()
        assert exporter.tried == batches
        assert processor._giving_up.lost == (2000 if answer is SpanExportResult.FAILURE else 0)
