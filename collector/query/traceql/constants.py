"""Constants in TraceQL: literals, what is calculated of them, and how two of them compare."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from lark import Token

from collector.query.promql.literals import read_duration
from collector.query.traceql.source import Source, Words, words
from config.ottl_grammar import read_text
from config.patterns import compile_pattern
from config.values import Duration

CALCULATIONS: Final = ("sum", "product", "power", "unary")
"""Rules of the grammar that calculate."""
_LARGEST: Final = 2**63 - 1
_NAMED: Final[Mapping[str, int]] = {"minInt": -_LARGEST - 1, "maxInt": _LARGEST}
_LONG_UNITS: Final = re.compile("[dwy]")
COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""How two numbers, or two texts, compare by a sign."""
_PATTERNS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "=~": lambda text, pattern: compile_pattern(pattern).fullmatch(text) is not None,
    "!~": lambda text, pattern: compile_pattern(pattern).fullmatch(text) is None,
}


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal, or what was calculated of literals; durations are nanoseconds."""

    value: str | int | float
    is_duration: bool = False


def constant_of(source: Source, tree: Words) -> Constant | None:
    """The constant that words stand for; None where they depend on the span.

    Raises:
        OttlError: a literal is none, or cannot be calculated with.
    """
    match tree.data:
        case "literal":
            return _literal(source, tree)
        case "field" if str(tree.children[0]) in _NAMED:
            return Constant(_NAMED[str(tree.children[0])])
    if tree.data not in CALCULATIONS:
        return None
    parts = [constant_of(source, words(child)) for child in tree.children if not isinstance(child, Token)]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    numbers = [part.value for part in known if not isinstance(part.value, str)]
    if len(numbers) < len(known):
        raise source.error(tree, "texts cannot be calculated with")
    value = _result(tree, numbers)
    if not math.isfinite(value):
        raise source.error(tree, "is no number that can be compared with")
    is_duration = any(part.is_duration for part in known)
    return Constant(round(value) if is_duration else value, is_duration)


def duration_of(text: str) -> int:
    """Nanoseconds of a duration in Go's form, or in that of Prometheus, which has days, weeks and years.

    Raises:
        ValueError: it has neither.
    """
    return read_duration(text) if _LONG_UNITS.search(text) else int(Duration.parse(text))


def compare(left: Constant, sign: str, right: Constant) -> bool | None:
    """Whether one constant compares so with another; None where the two do not go together.

    Raises:
        ValueError: the right one should be a pattern, and is none.
    """
    are_texts = [isinstance(side.value, str) for side in (left, right)]
    if sign in _PATTERNS:
        return _PATTERNS[sign](str(left.value), str(right.value)) if all(are_texts) else None
    return COMPARISONS[sign](left.value, right.value) if all(are_texts) or not any(are_texts) else None


def _literal(source: Source, literal: Words) -> Constant:
    token = cast("Token", literal.children[0])
    match token.type:
        case "TEXT":
            return Constant(str(token)[1:-1] if token.startswith("`") else read_text(source.text, token))
        case "DURATION":
            try:
                return Constant(duration_of(token), is_duration=True)
            except ValueError as error:
                raise source.error(literal, str(error)) from None
        case "INT":
            if len(token) > len(str(_LARGEST)) or int(token) > _LARGEST:
                raise source.error(literal, f"must be at most {_LARGEST}")
            return Constant(int(token))
    return Constant(float(token))


def _result(tree: Words, numbers: list[int | float]) -> int | float:
    """What a calculation of constants makes; not a number where it makes none."""
    signs = [str(child) for child in tree.children if isinstance(child, Token)]
    if tree.data == "unary":
        return -numbers[0]
    result = numbers[0]
    try:
        for sign, number in zip(signs, numbers[1:], strict=True):
            match sign:
                case "+":
                    result += number
                case "-":
                    result -= number
                case "*":
                    result *= number
                case "/":
                    result /= number
                case "%":
                    result = math.fmod(result, number)
                case _:
                    result = math.pow(result, number)
    except (ArithmeticError, ValueError):
        return math.nan
    return result
