"""Spans for resolvers of GraphQL, and the operation's name on the request's span, for all servers that are built on graphql-core.

    graphene: schema.execute(query, middleware=[ResolverSpans()])
    Ariadne:  GraphQL(schema, http_handler=GraphQLHTTPHandler(middleware=lambda *_: [ResolverSpans()]))

For Strawberry see `spanhouse_sdk.strawberry`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final

from graphql import OperationType, default_field_resolver
from opentelemetry import trace
from opentelemetry.trace import Span

from spanhouse_sdk.serving import request_span

_MOST_CHARACTERS: Final = 200
_CONNECTIONS: Final = ("ws", "wss")


class ResolverSpans:
    """A middleware of graphql-core. Fields that are read from their object and have no resolver of their own get no span."""

    def resolve(self, following: Callable[..., Any], root: Any, info: Any, *arguments: Any, **named: Any) -> Any:
        """Resolve a field."""
        if info.path.prev is None:
            if info.operation.operation is OperationType.SUBSCRIPTION:
                # It is a payload: see `trace_subscriptions`.
                return following(root, info, *arguments, **named)
            _name_operation(request_span(), info)
        if not _has_resolver(info):
            return following(root, info, *arguments, **named)
        span = trace.get_tracer("spanhouse_sdk").start_span(field_name(info), attributes=field_attributes(info))
        try:
            with trace.use_span(span):
                result = following(root, info, *arguments, **named)
        except BaseException:
            span.end()
            raise
        if inspect.isawaitable(result):
            return _awaited(span, result)
        span.end()
        return result


async def _awaited(span: Span, result: Awaitable[Any]) -> Any:
    with trace.use_span(span, end_on_exit=True):
        return await result


def _has_resolver(info: Any) -> bool:
    field = info.parent_type.fields[info.field_name]
    # Strawberry gives all fields a resolver; its own definition knows which have one to speak of.
    definition = (field.extensions or {}).get("strawberry-definition")
    if definition is not None:
        return not definition.is_basic_field
    # Those of Graphene that read an attribute are partial functions.
    default = getattr(getattr(field.resolve, "func", None), "__module__", "") == "graphene.types.resolver"
    return not default and field.resolve not in (None, default_field_resolver)


def _name_operation(span: Span, info: Any) -> None:
    """Say on the request's span what it asks for, unless that is a connection, over which many operations go."""
    known = getattr(span, "attributes", None) or {}
    if span.is_recording() and known.get("url.scheme", known.get("http.scheme")) not in _CONNECTIONS:
        attributes = operation_attributes(info)
        span.update_name(" ".join(attributes.values()))
        span.set_attributes(attributes)


def operation_attributes(info: Any) -> dict[str, str]:
    """The operation's type, and its name if it has one; spans of operations are named by both."""
    operation = info.operation
    attributes = {"graphql.operation.type": operation.operation.value}
    if operation.name:
        attributes["graphql.operation.name"] = operation.name.value[:_MOST_CHARACTERS]
    return attributes


def field_name(info: Any) -> str:
    """How a span of a field is named."""
    return f"{info.parent_type.name}.{info.field_name}"


def field_attributes(info: Any) -> dict[str, str]:
    """What a span of a field says of it."""
    return {
        "graphql.field.name": info.field_name,
        "graphql.field.path": ".".join(map(str, info.path.as_list())),
        "graphql.field.type": str(info.return_type),
    }
