"""Lets a process end soon although the collector is away: what is left is tried once, and not for half a minute."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

_log = logging.getLogger("spanhouse_sdk")
_AT_MOST_S: Final = 3.0
"""A collector that is there answers in milliseconds. Without one, each reload while somebody develops waits for this."""


class PromptlyEndingProcessor(BatchSpanProcessor):
    """Sends spans in batches. Once it is shut down it gives up all that is left as soon as one batch has failed.

    OpenTelemetry's own goes on with the next batch, for 30 seconds: longer than those wait who end services. This one takes as
    long as one attempt, which OTEL_EXPORTER_OTLP_TIMEOUT bounds.

    Args:
        exporter: that sends them.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._giving_up = _GivingUp(exporter)
        super().__init__(self._giving_up)

    def shutdown(self) -> None:
        """Send what is left, or give it up, and end."""
        self._giving_up.ends = True
        super().shutdown()  # type: ignore[no-untyped-call]  # it publishes no types
        if self._giving_up.lost:
            _log.warning("%d spans are lost, as the collector did not take them when the process ended", self._giving_up.lost)


class _GivingUp(SpanExporter):
    """Hands on to another exporter, until one batch has failed in the end.

    Attributes:
        ends: whether the process is about to end.
        lost: spans that were not sent since.
    """

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._failed = False
        self.ends = False
        self.lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; also one that has begun before the end, and failed since, is reason to give up."""
        if not (self.ends and self._failed):
            self._failed = True
            if self._inner.export(spans) is SpanExportResult.SUCCESS:
                self._failed = False
                return SpanExportResult.SUCCESS
        if self.ends:
            self.lost += len(spans)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """End the exporter."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Let the exporter send what it holds."""
        return self._inner.force_flush(timeout_millis)


def send_what_is_left() -> None:
    """Send the spans that wait to be sent; for servers that end in a way that leaves nothing of Python's to be done at exit.

    It takes three seconds at most. What makes spans goes on: in tests, an application ends many times.
    """
    flush = getattr(trace.get_tracer_provider(), "force_flush", None)
    if flush is None:
        return
    flushing = threading.Thread(target=flush, name="spanhouse-sdk-flush", daemon=True)
    try:
        flushing.start()
    except RuntimeError as error:
        _log.warning("spans of the last seconds may be lost, as no thread can be started (%s)", error)
        return
    flushing.join(_AT_MOST_S)
    if flushing.is_alive():
        _log.warning("spans of the last seconds may be lost, as the collector does not take them")
