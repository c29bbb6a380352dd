"""What a query in PromQL says, as a tree.

Source: "Querying basics" and "Operators" of the documentation of Prometheus 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

MatchOperator = Literal["=", "!=", "=~", "!~"]
AggregationOperator = Literal[
    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values"
]
Type = Literal["scalar", "vector", "matrix", "string"]
"""What a value is: a number, numbers of series at a time, numbers of series over a time, a text."""

NAME: str = "__name__"
"""The label that is the name of a series."""
COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
SETS: Final = ("and", "or", "unless")

At = int | Literal["start", "end"] | None
"""When something is looked at, whatever the step: nanoseconds since 1970, or the first or the last step of a query."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """What is asked of a label; a label that a series has not is the empty text."""

    label: str
    operator: MatchOperator
    value: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A text: what `label_replace` is told, or a query by itself."""

    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by their labels, of which the name is one.

    Attributes:
        range_ns: so much of the past, nanoseconds; 0 for the value at a time.
        offset_ns: so much earlier.
        at: instead of the time of a step.
    """

    matchers: tuple[Matcher, ...]
    range_ns: int = 0
    offset_ns: int = 0
    at: At = None


@dataclass(frozen=True, slots=True)
class Subquery:
    """What an expression comes to at many times.

    Attributes:
        of: of a vector.
        range_ns: so much of the past, nanoseconds.
        step_ns: between two times, which are whole multiples of it; nanoseconds.
        offset_ns, at: as of a selector.
    """

    of: Expression
    range_ns: int
    step_ns: int
    offset_ns: int = 0
    at: At = None


@dataclass(frozen=True, slots=True)
class Call:
    """A function of FUNCTIONS in `functions`."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Several series made one.

    Attributes:
        parameter: how many, of topk and bottomk; which quantile; under which label count_values tells numbers.
        labels: by which groups are made or, `without`, those that are left away.
    """

    operator: AggregationOperator
    of: Expression
    parameter: Expression | None = None
    labels: tuple[str, ...] = ()
    without: bool = False


@dataclass(frozen=True, slots=True)
class Matching:
    """Which series of the two sides of an operation belong together.

    Attributes:
        labels: in which they must agree or, `ignoring`, all others.
        many: the side of which several may belong to one of the other side; empty for none.
        included: labels that the result takes from the side of the one.
    """

    labels: tuple[str, ...] = ()
    ignoring: bool = True
    many: Literal["", "left", "right"] = ""
    included: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """Two sides and an operator between them.

    Attributes:
        as_number: of a comparison: 0 or 1, instead of leaving out what does not hold (`bool`).
    """

    operator: str
    left: Expression
    right: Expression
    as_number: bool = False
    matching: Matching = Matching()


@dataclass(frozen=True, slots=True)
class Negated:
    """Less than nothing."""

    of: Expression


Expression = Number | Text | Selector | Subquery | Call | Aggregation | Binary | Negated
