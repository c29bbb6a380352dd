"""Which labels fit what is asked of them."""

from __future__ import annotations

from typing import Any

from collector.query.promql.expressions import Matcher
from config.patterns import compile_pattern


def pattern_of(text: str) -> Any:
    """A compiled regular expression that a whole value must fit.

    Raises:
        ValueError: it is none.
    """
    return compile_pattern(f"^(?s:{text})$")


def fits(matcher: Matcher, value: str) -> bool:
    """Whether a label with this value fits."""
    equal = pattern_of(matcher.value).match(value) is not None if "~" in matcher.operator else value == matcher.value
    return equal != matcher.operator.startswith("!")
