"""Where a play of services is performed: real SDK tracers, and a clock that the play itself moves on.

A play takes no time. It happened a few seconds ago, each step as long as it says, and its spans are made with those times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import AttributeValue

Attributes = Mapping[str, AttributeValue]


class Failure(Exception):
    """Something in the play goes wrong; the spans it passes through become errors."""


class Actors:
    """A tracer for each service, as if each ran on its own.

    Args:
        processor: makes the span processor of one service.
    """

    def __init__(self, processor: Callable[[], SpanProcessor]) -> None:
        self._processor = processor
        self._providers: dict[str, TracerProvider] = {}

    def tracer(self, service: str) -> Tracer:
        """The tracer of a service, made when it is first asked for."""
        provider = self._providers.get(service)
        if provider is None:
            resource = Resource.create(
                {
                    "service.name": service,
                    "service.namespace": "shop",
                    "service.version": "1.4.2",
                    "service.instance.id": f"{service}-0",
                    "deployment.environment.name": "demo",
                }
            )
            provider = self._providers[service] = TracerProvider(resource=resource, shutdown_on_exit=False)
            provider.add_span_processor(self._processor())
        return provider.get_tracer("shop", "1.4.2")

    def leave(self) -> None:
        """Send what is left, and stop."""
        for provider in self._providers.values():
            provider.shutdown()


class Stage:
    """One play: spans are nested as the code that makes them.

    Args:
        actors: the services' tracers.
        start_ns: when the play begins, nanoseconds since 1970.
        random: what is left to chance.
    """

    def __init__(self, actors: Actors, start_ns: int, random: Random) -> None:
        self._actors = actors
        self._parent: Span | None = None
        self.now_ns = start_ns
        self.random = random

    def work(self, least_ms: float, most_ms: float) -> None:
        """Let time pass: mostly near the least, now and then near the most."""
        share = self.random.betavariate(1.2, 4)
        self.now_ns += int((least_ms + (most_ms - least_ms) * share) * 1_000_000)

    def chance(self, probability: float) -> bool:
        """Whether something happens that happens so often."""
        return self.random.random() < probability

    def risk(self, probability: float, what: str) -> None:
        """Let something go wrong so often. Raises Failure when it does."""
        if self.chance(probability):
            raise Failure(what)

    @contextmanager
    def span(
        self,
        service: str,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[SpanContext] = (),
    ) -> Iterator[Span]:
        """A span around what is done inside, below the span that is open."""
        parent = self._parent
        span = self._actors.tracer(service).start_span(
            name,
            context=set_span_in_context(parent) if parent else None,
            kind=kind,
            attributes=attributes,
            links=[Link(context) for context in links],
            start_time=self.now_ns,
        )
        self._parent = span
        try:
            yield span
        except Failure as failure:
            span.set_status(Status(StatusCode.ERROR, str(failure)))
            raise
        finally:
            self._parent = parent
            span.end(end_time=self.now_ns)

    @contextmanager
    def call(self, caller: str, callee: str, route: str) -> Iterator[Span]:
        """An HTTP request between two services: the caller's span, the network, and the callee's span."""
        method, _, path = route.partition(" ")
        attributes = {"http.request.method": method, "url.path": path, "server.address": callee}
        with self.span(caller, method, SpanKind.CLIENT, attributes) as client:
            self.work(0.2, 3)
            try:
                with self.span(
                    callee, route, SpanKind.SERVER, {"http.request.method": method, "http.route": path, "url.path": path}
                ) as server:
                    try:
                        yield server
                    except Failure:
                        server.set_attribute("http.response.status_code", 500)
                        raise
                    server.set_attribute("http.response.status_code", 200)
            except Failure:
                client.set_attribute("http.response.status_code", 500)
                raise
            client.set_attribute("http.response.status_code", 200)
            self.work(0.2, 1)

    def query(self, service: str, system: str, operation: str, collection: str, least_ms: float, most_ms: float) -> None:
        """A database call that takes so long."""
        attributes = {"db.system.name": system, "db.operation.name": operation, "db.collection.name": collection}
        with self.span(service, f"{operation} {collection}", SpanKind.CLIENT, attributes):
            self.work(least_ms, most_ms)

    def at_once(self, *parts: Callable[[], None]) -> None:
        """Do several things side by side; the slowest decides how long it takes."""
        start = latest = self.now_ns
        for part in parts:
            self.now_ns = start
            part()
            latest = max(latest, self.now_ns)
        self.now_ns = latest
