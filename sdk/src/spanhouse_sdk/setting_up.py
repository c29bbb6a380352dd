"""Everything in one line: `spanhouse_sdk.setup(service="cart")`, before the application is made."""

from __future__ import annotations

import logging
import os
import sys
import threading
from importlib.metadata import entry_points
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from spanhouse_sdk.ending import PromptlyEndingProcessor
from spanhouse_sdk.propagation import TracePropagator
from spanhouse_sdk.sampler import SpanhouseSampler
from spanhouse_sdk.settings import Settings
from spanhouse_sdk.state import follow
from spanhouse_sdk.xtrace import XTraceResponsePropagator

_log = logging.getLogger("spanhouse_sdk")
_EXPORTERS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
"""Exporters by OTEL_EXPORTER_OTLP_PROTOCOL."""
_lock = threading.Lock()
_provider: TracerProvider | None = None


def setup(
    service: str | None = None,
    *,
    instrument: bool = True,
    fault_injection: bool | None = None,
    exporter: SpanExporter | None = None,
) -> TracerProvider:
    """Make spans of this service, sampled as its tracing config says, and send them to the collector.

    A process does so once: when it is called again, nothing is changed, and what was made is returned. Whatever cannot be had is
    logged, and the service goes on without it.

    Args:
        service: its name; otherwise the environment says it, as for all settings.
        instrument: whether all of OpenTelemetry's instrumentations that are installed are switched on.
        fault_injection: whether failure rules are followed; otherwise the environment says it.
        exporter: what sends spans; otherwise one for OTLP, if it is installed.

    Returns:
        What makes spans: global, unless there was a global one already. It sends what is left when the process ends.
    """
    global _provider
    with _lock:
        if _provider is None:
            _provider = _set_up(Settings.from_environment(service, fault_injection=fault_injection), exporter)
            if instrument:
                _instrument()
        else:
            _log.warning("this process is set up already; another setup changes nothing")
        return _provider


def _set_up(settings: Settings, exporter: SpanExporter | None) -> TracerProvider:
    if not os.environ.get("OTEL_PROPAGATORS"):
        propagate.set_global_textmap(TracePropagator())
    following = follow(settings)
    provider = TracerProvider(
        sampler=SpanhouseSampler(lambda: following.config), resource=Resource.create({SERVICE_NAME: settings.service})
    )
    try:
        exporter = exporter or _exporter()
        if exporter is not None:
            provider.add_span_processor(PromptlyEndingProcessor(exporter))
    except Exception as error:  # noqa: BLE001 - of exporters, whatever they do not like about their settings
        _log.error("no spans are sent, as the exporter cannot be set up: %s", error)
    trace.set_tracer_provider(provider)
    _answer_with_ids()
    return provider


def _exporter() -> SpanExporter | None:
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "grpc"
    found = {each.name: each for each in entry_points(group="opentelemetry_traces_exporter")}
    for name in (_EXPORTERS.get(protocol, protocol), *_EXPORTERS.values()):
        if name in found:
            made: SpanExporter = found[name].load()()
            return made
    _log.warning("no exporter for OTLP is installed, so no spans are sent: pip install 'spanhouse-sdk[otlp]'")
    return None


def answer_with_ids_if_xtrace() -> None:
    """Where OTEL_PROPAGATORS names `xtrace`, tell ids in answers too; `opentelemetry-instrument` calls this when it is done."""
    if "xtrace" in {name.strip() for name in os.environ.get("OTEL_PROPAGATORS", "").split(",")}:
        _answer_with_ids()


def _answer_with_ids() -> None:
    """Let OpenTelemetry's instrumentations tell ids in their answers, if there are any instrumentations."""
    try:
        from opentelemetry.instrumentation.propagators import set_global_response_propagator
    except ImportError:
        return
    set_global_response_propagator(XTraceResponsePropagator())  # type: ignore[no-untyped-call]  # it publishes no types


def _instrument() -> None:
    disabled = {name.strip() for name in os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")}
    for each in entry_points(group="opentelemetry_instrumentor"):
        if each.name in disabled:
            continue
        if each.name == "django" and not _has_settings():
            _log.info("Django's instrumentation is not switched on, as DJANGO_SETTINGS_MODULE is not set yet")
            continue
        try:
            each.load()().instrument(raise_exception_on_conflict=True)
        except Exception as error:  # noqa: BLE001 - of others, whatever they raise; the service goes on without
            level = logging.DEBUG if _is_for_what_is_not_installed(error) else logging.WARNING
            _log.log(level, "the instrumentation %s cannot be switched on: %s", each.name, error)


def _has_settings() -> bool:
    """Whether Django's settings can be had. If not, its instrumentation would set empty ones, with which no service works."""
    module = sys.modules.get("django.conf")
    return bool(os.environ.get("DJANGO_SETTINGS_MODULE")) or (module is not None and module.settings.configured)


def _is_for_what_is_not_installed(error: Exception) -> bool:
    """Whether an instrumentation could not be switched on because the service has not even got the library."""
    # Of OpenTelemetry's DependencyConflictError.
    conflict = getattr(error, "conflict", None)
    if conflict is None:
        return isinstance(error, ModuleNotFoundError)
    return not (conflict.found or getattr(conflict, "found_any", None))
