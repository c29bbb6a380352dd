"""Sends trace context on only if the service's tracing config wants it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter, Setter, TextMapPropagator, default_getter, default_setter

from spanhouse_sdk.tracing_config import TracingConfig

_log = logging.getLogger("spanhouse_sdk")


class ConfiguredPropagator(TextMapPropagator):
    """A propagator that sets no headers while the config says so, whichever they would be; it reads them at all times.

    Headers that make a propagator raise count as none: as requests come from outside, whoever sends them would decide whether
    they are worked on. W3CBaggagePropagator does so with bytes that are no UTF-8, as aiohttp hands them on.

    Args:
        inner: what it stands in front of.
        current: the config that holds now.
    """

    def __init__(self, inner: TextMapPropagator, current: Callable[[], TracingConfig]) -> None:
        self.inner = inner
        self._current = current
        self._told = False

    def extract(self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter) -> Context:
        """The context that a carrier has."""
        try:
            return self.inner.extract(carrier, context, getter)
        except Exception as error:  # noqa: BLE001 - of others, whatever they raise
            self._tell("read", error)
            return Context() if context is None else context

    def inject(self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter) -> None:
        """Write the context to a carrier, or leave that as it is."""
        if self._current().propagate_context:
            try:
                self.inner.inject(carrier, context, setter)
            except Exception as error:  # noqa: BLE001 - of others, whatever they raise
                self._tell("written", error)

    @property
    def fields(self) -> set[str]:
        """Names of the headers that are set."""
        return self.inner.fields

    def _tell(self, what: str, error: Exception) -> None:
        if not self._told:
            self._told = True
            _log.warning("trace context that cannot be %s counts as none (%s: %s)", what, type(error).__name__, error)
