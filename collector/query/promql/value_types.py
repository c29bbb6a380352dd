"""What expressions of PromQL come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from collector.query.promql.expressions import (
    Aggregation,
    Binary,
    Call,
    Expression,
    Negated,
    Number,
    Selector,
    Subquery,
    Text,
    Type,
)
from collector.query.promql.functions import FUNCTIONS

TYPE_NAMES: Final[Mapping[Type, str]] = {
    "scalar": "scalar",
    "vector": "instant vector",
    "matrix": "range vector",
    "string": "string",
}
"""As Prometheus calls them."""


def type_of(expression: Expression) -> Type:
    """What an expression comes to."""
    match expression:
        case Number():
            return "scalar"
        case Text():
            return "string"
        case Selector():
            return "matrix" if expression.range_ns else "vector"
        case Subquery():
            return "matrix"
        case Call():
            return FUNCTIONS[expression.function].result
        case Aggregation():
            return "vector"
        case Negated():
            return type_of(expression.of)
        case Binary():
            return "scalar" if type_of(expression.left) == type_of(expression.right) == "scalar" else "vector"
