"""Numbers in TraceQL that each span has of its own, and what is calculated of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from collector.query.predicates import Arithmetic, ArithmeticOperator, Attribute, Field, Number
from collector.query.traceql.constants import CALCULATIONS, constant_of
from collector.query.traceql.source import Source, Words, words

_NEEDED: Final = "expected duration or an attribute of spans or resources"


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


def span_number(source: Source, tree: Words) -> Number:
    """The number that words stand for, which each span has by itself.

    Raises:
        OttlError: they stand for none, for always the same one, or for one of the trace.
    """
    number = number_of(source, tree)
    fields = list(_fields_of(number))
    if not fields or "trace duration" in fields:
        raise source.error(tree, _NEEDED)
    return number


def _fields_of(number: Number) -> Iterator[Field]:
    match number:
        case Arithmetic(_, left, right):
            yield from _fields_of(left)
            yield from _fields_of(right)
        case int() | float():
            return
        case _:
            yield number


def field_number(source: Source, field: Words) -> Field:
    """The field of spans that words name, whose number is taken. Raises OttlError where it has none, or several."""
    subject = source.subject(field)
    is_number = subject.takes == "duration" or (
        isinstance(subject.field, Attribute) and subject.field.level in ("span", "resource", "span or resource")
    )
    if subject.field is None or subject.of != "span" or not is_number or subject.is_many:
        raise source.error(field, _NEEDED)
    source.show(field, subject)
    return subject.field
