"""What is calculated in TraceQL: constants and what is made of them, and numbers that each span has of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, cast

from lark import Token

from collector.query.predicates import Arithmetic, ArithmeticOperator, Attribute, Field, Number
from collector.query.traceql.source import Source, Words, words
from config.ottl_grammar import read_text
from config.values import Duration

_LARGEST: Final = 2**63 - 1
CALCULATIONS: Final = ("sum", "product", "power", "unary")
"""Rules of the grammar that calculate."""


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
    if tree.data == "literal":
        return _literal(source, tree)
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


def number_of(source: Source, tree: Words) -> Number:
    """The number that words stand for, of each span or always the same.

    Raises:
        OttlError: they stand for no number.
    """
    constant = constant_of(source, tree)
    if constant is not None:
        if isinstance(constant.value, str):
            raise source.error(tree, "expected a number, a duration, or a field with one")
        return constant.value
    if tree.data == "field":
        return "trace duration" if source.subject(tree).of == "trace" else field_number(source, tree)
    if tree.data not in CALCULATIONS:
        raise source.error(tree, "conditions cannot be calculated with")
    source.count_condition(tree)
    if tree.data == "unary":
        return Arithmetic("-", 0, number_of(source, words(tree.children[1])))
    number = number_of(source, words(tree.children[0]))
    for sign, operand in zip(tree.children[1::2], tree.children[2::2], strict=True):
        source.count_condition(tree)
        number = Arithmetic(cast("ArithmeticOperator", str(sign)), number, number_of(source, words(operand)))
    return number


def field_number(source: Source, field: Words) -> Field:
    """The field of spans that words name, whose number is taken. Raises OttlError where it has none, or several."""
    subject = source.subject(field)
    is_number = subject.takes == "duration" or (
        isinstance(subject.field, Attribute) and subject.field.level in ("span", "resource", "span or resource")
    )
    if subject.field is None or subject.of != "span" or not is_number or subject.is_many:
        raise source.error(field, "expected duration or an attribute of spans or resources")
    source.show(field, subject)
    return subject.field


def _literal(source: Source, literal: Words) -> Constant:
    token = cast("Token", literal.children[0])
    match token.type:
        case "TEXT":
            return Constant(str(token)[1:-1] if token.startswith("`") else read_text(source.text, token))
        case "DURATION":
            try:
                return Constant(int(Duration.parse(token)), is_duration=True)
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
