"""Sends trace context on only if the service's tracing config wants it."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter, Setter, TextMapPropagator, default_getter, default_setter

from spanhouse_sdk.tracing_config import TracingConfig


class ConfiguredPropagator(TextMapPropagator):
    """A propagator that sets no headers while the config says so, whichever they would be; it reads them at all times.

    Args:
        inner: what it stands in front of.
        current: the config that holds now.
    """

    def __init__(self, inner: TextMapPropagator, current: Callable[[], TracingConfig]) -> None:
        self.inner = inner
        self._current = current

    def extract(self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter) -> Context:
        """The context that a carrier has."""
        return self.inner.extract(carrier, context, getter)

    def inject(self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter) -> None:
        """Write the context to a carrier, or leave that as it is."""
        if self._current().propagate_context:
            self.inner.inject(carrier, context, setter)

    @property
    def fields(self) -> set[str]:
        """Names of the headers that are set."""
        return self.inner.fields
