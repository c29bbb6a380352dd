"""Spans for subscriptions of GraphQL: one that lasts as long as the subscription, and below it one for each payload.

    trace_subscriptions(schema)

Middlewares and extensions do not see the sources of payloads, so these are wrapped in the schema, whichever server works with it.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import Any, Final

from graphql import GraphQLSchema
from opentelemetry import trace
from opentelemetry.trace import Span

from spanhouse_sdk.graphql import field_attributes, field_name, operation_attributes

_END: Final = object()


def trace_subscriptions(schema: Any) -> None:
    """Make spans of a schema's subscriptions from now on. Doing so again changes nothing.

    Args:
        schema: of graphql-core (which Ariadne makes), of Strawberry or of Graphene.

    Raises:
        TypeError: it is something else.
    """
    core = getattr(schema, "_schema", None) or getattr(schema, "graphql_schema", schema)
    if not isinstance(core, GraphQLSchema):
        raise TypeError(f"schema must be one of graphql-core, Strawberry or Graphene, not {type(schema).__name__}")
    for field in core.subscription_type.fields.values() if core.subscription_type else ():
        if field.subscribe is not None and not isinstance(field.subscribe, _Source):
            field.subscribe = _Source(field.subscribe)


class _Source:
    """Begins a subscription, as `subscribe` would, with a span."""

    def __init__(self, subscribe: Callable[..., Any]) -> None:
        self._subscribe = subscribe

    async def __call__(self, root: Any, info: Any, *arguments: Any, **named: Any) -> Any:
        attributes = operation_attributes(info)
        span = trace.get_tracer("spanhouse_sdk").start_span(" ".join(attributes.values()), attributes=attributes)
        try:
            with trace.use_span(span):
                stream = self._subscribe(root, info, *arguments, **named)
                if inspect.isawaitable(stream):
                    stream = await stream
        except BaseException:
            span.end()
            raise
        if not isinstance(stream, AsyncIterable):
            span.end()
            return stream
        payloads = _payloads(span, stream, info)
        await anext(payloads)
        return payloads


async def _payloads(span: Span, stream: AsyncIterable[Any], info: Any) -> AsyncGenerator[Any, None]:
    tracer = trace.get_tracer("spanhouse_sdk")
    name, attributes, within = field_name(info), field_attributes(info), trace.set_span_in_context(span)
    source = aiter(stream)
    try:
        # Of a generator that has not begun, nothing would be done when it is closed.
        yield None
        while True:
            # The context is attached for one step at a time: each may be a task of its own.
            with trace.use_span(span):
                payload = await anext(source, _END)
            if payload is _END:
                return
            # Until the next one is asked for, this one is worked on and sent.
            delivery = tracer.start_span(name, within, attributes=attributes)
            try:
                yield payload
            finally:
                delivery.end()
    finally:
        span.end()
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()
