"""Spans for resolvers of Strawberry: `strawberry.Schema(..., extensions=[ResolverSpansExtension])`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from strawberry.extensions import SchemaExtension

from spanhouse_sdk.graphql import ResolverSpans

_SPANS = ResolverSpans()


class ResolverSpansExtension(SchemaExtension):
    """What `spanhouse_sdk.graphql` does, as an extension."""

    def resolve(self, _next: Callable[..., Any], root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
        """Resolve a field."""
        return _SPANS.resolve(_next, root, info, *args, **kwargs)
