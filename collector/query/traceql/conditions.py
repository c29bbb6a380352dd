"""What stands within braces in TraceQL: conditions that hold on one span."""

from __future__ import annotations

from typing import Final, cast

from collector.query.predicates import (
    EVERY_SPAN,
    ROOT,
    Alike,
    AllOf,
    AnyOf,
    Calculated,
    Comparison,
    CountsChildren,
    Exists,
    Field,
    HasRelative,
    Measured,
    Not,
    Operator,
    Predicate,
    Value,
)
from collector.query.store import KINDS, STATUS_CODES
from collector.query.traceql.constants import CALCULATIONS, compare, constant_of
from collector.query.traceql.fields import Place, Subject
from collector.query.traceql.numbers import number_of
from collector.query.traceql.source import Source, Words, joined, words
from config.ottl_grammar import OttlError
from config.patterns import compile_pattern

NOWHERE: Final = AnyOf(())
"""No span fits this."""
_MIRRORED: Final[dict[Operator, Operator]] = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_PATTERNS: Final = ("=~", "!~")
_PATTERN_NEEDED: Final = "{} compares texts with patterns in double quotes"
_CONSTANTS: Final = {"true", "false", "nil", "error", "ok", "unset", *(kind.lower() for kind in KINDS)}


def read_condition(source: Source, tree: Words, depth: int) -> Predicate:
    """The predicate of a span that a part within braces is. Raises OttlError."""
    source.check_depth(tree, depth)
    match tree.data:
        case "comparison":
            return _comparison(source, tree)
        case "not_":
            return _not(source, tree, depth)
        case "either":
            return joined(
                tree,
                lambda part: read_condition(source, part, depth + 1),
                lambda sign, terms: AnyOf(terms) if sign == "||" else AllOf(terms),
            )
    return _alone(source, tree, value=True)


def _not(source: Source, tree: Words, depth: int) -> Predicate:
    operand, *compared = map(words, tree.children[1:])
    if compared:
        raise source.error(
            compared[0], "! binds closer than comparisons; put what is not to hold in parentheses, as in !(.a = 1)"
        )
    if operand.data == "field" and not _is_word(operand):
        return _alone(source, operand, value=False)
    if operand.data == "not_":
        return read_condition(source, words(operand.children[1]), depth + 1)
    return Not(read_condition(source, operand, depth + 1))


def _alone(source: Source, side: Words, *, value: bool) -> Predicate:
    source.count_condition(side)
    if side.data == "field" and side.children[0] in ("true", "false"):
        return EVERY_SPAN if side.children[0] == "true" else NOWHERE
    if side.data != "field" or _is_word(side) or source.subject(side).takes != "anything":
        raise source.error(side, "expected a condition; compare it with something")
    subject = source.subject(side)
    source.show(side, subject)
    return _about(subject, "=", value)


def _comparison(source: Source, tree: Words) -> Predicate:
    source.count_condition(tree)
    left, compared, right = map(words, tree.children)
    operator = cast("Operator", str(compared.children[0]))
    if _is_constant(source, left):
        if _is_constant(source, right):
            return _of_constants(source, left, operator, right)
        if operator in _PATTERNS:
            raise source.error(right, _PATTERN_NEEDED.format(operator))
        left, right, operator = right, left, _MIRRORED.get(operator, operator)
    if left.data in CALCULATIONS or (right.data in CALCULATIONS and not _is_constant(source, right)):
        return _calculated(source, left, operator, right)
    if left.data != "field":
        raise source.error(left, "expected a field, a value or what is calculated of them")
    subject = source.subject(left)
    is_name = right.data == "field" and subject.takes in ("kind", "status") and "." not in str(right.children[0])
    if not _is_constant(source, right) and not is_name:
        return _of_fields(source, left, operator, right)
    source.show(left, subject)
    if right.data == "field" and right.children[0] == "nil":
        return _existence(source, subject, operator, right)
    try:
        value = _value(source, subject, operator, right)
        match subject.takes:
            case "place":
                return _place(cast("Place", subject.place), operator, value)
            case "count":
                return CountsChildren(operator, cast("int", value))
        return _about(subject, operator, value)
    except OttlError:
        raise
    except ValueError as error:
        raise source.error(right, str(error)) from None


def _calculated(source: Source, left: Words, operator: Operator, right: Words) -> Predicate:
    if operator in _PATTERNS:
        raise source.error(right, _PATTERN_NEEDED.format(operator))
    return Calculated(number_of(source, left), operator, number_of(source, right))


def _of_fields(source: Source, left: Words, operator: Operator, right: Words) -> Predicate:
    """Two fields of one span, whose texts are the same, or of which one number is the larger."""
    if right.data != "field":
        raise source.error(right, "expected a field, a value or what is calculated of them")
    if operator not in ("=", "!="):
        return _calculated(source, left, operator, right)
    fields: list[Field] = []
    for side in (left, right):
        subject = source.subject(side)
        if subject.field is None or subject.of != "span" or subject.is_many:
            raise source.error(side, "only fields of one and the same span are compared with each other")
        source.show(side, subject)
        fields.append(subject.field)
    if "duration" in fields:
        return _calculated(source, left, operator, right)
    return Alike(fields[0], operator, fields[1])


def _of_constants(source: Source, left: Words, operator: Operator, right: Words) -> Predicate:
    """A comparison that holds of every span, or of none: what a query has where a choice was written into it."""
    constants = [constant for side in (left, right) if (constant := constant_of(source, side)) is not None]
    holds: bool | None = None
    if len(constants) == 2:
        try:
            holds = compare(constants[0], operator, constants[1])
        except ValueError as error:
            raise source.error(right, str(error)) from None
    elif left.children[0] == right.children[0] == "nil" and operator in ("=", "!="):
        holds = operator == "="
    if holds is None:
        raise source.error(left, "expected a field on one side")
    return EVERY_SPAN if holds else NOWHERE


def _existence(source: Source, subject: Subject, operator: Operator, at: Words) -> Predicate:
    if operator not in ("=", "!="):
        raise source.error(at, "nil, that is nothing, is compared by = and != only")
    # Traces have a duration, and spans their children and a place, all of them.
    found = EVERY_SPAN if subject.field is None else _of(subject, Exists(subject.field))
    return found if operator == "!=" else Not(found)


def _value(source: Source, subject: Subject, operator: Operator, side: Words) -> Value:
    """The value that a field is compared with. Raises ValueError where the two do not go together."""
    value: Value | None
    constant = constant_of(source, side)
    if constant is None:
        word = str(side.children[0])
        names = {"kind": KINDS, "status": STATUS_CODES}.get(subject.takes, ())
        value = next((name for name in names if name.lower() == word), None)
        if subject.takes == "anything" and word in ("true", "false"):
            value = word == "true"
        if value is None:
            raise ValueError(f"expected {_expected(subject)}, found {word}")
        if operator not in ("=", "!="):
            raise ValueError(f"{word} is compared by = and != only")
        return value
    value = constant.value
    if operator in _PATTERNS:
        if not isinstance(value, str) or subject.takes not in ("text", "anything"):
            raise ValueError(_PATTERN_NEEDED.format(operator))
        compile_pattern(value)
        return value
    wanted = {"text": str, "duration": int, "anything": str | int | float, "count": int | float, "place": int}.get(subject.takes)
    is_duration = subject.takes == "duration"
    if wanted is None or not isinstance(value, wanted) or (is_duration and not constant.is_duration):
        raise ValueError(f"expected {_expected(subject)}")
    return value


def _about(subject: Subject, operator: Operator, value: Value) -> Predicate:
    if subject.of == "trace":
        return Measured(EVERY_SPAN, "extent", None, operator, cast("int", value))
    return _of(subject, Comparison(cast("Field", subject.field), operator, value))


def _of(subject: Subject, predicate: Predicate) -> Predicate:
    match subject.of:
        case "parent":
            return HasRelative("parent", predicate)
        case "root":
            return HasRelative("anybody", AllOf((ROOT, predicate)))
    return predicate


def _place(place: Place, operator: Operator, value: Value) -> Predicate:
    """Of places in the tree, whether it is a root's: that is below zero, others are not."""
    if place != "nestedSetParent":
        raise ValueError(f"{place} is told by select({place}) only; sets are joined by >> and << instead")
    if (operator, value) in (("<", 0), ("=", -1), ("<=", -1)):
        return ROOT
    if (operator, value) in ((">=", 0), ("!=", -1), (">", -1), (">", 0)):
        return Not(ROOT)
    raise ValueError("of nestedSetParent only < 0, which finds roots, and >= 0 are served here")


def _expected(subject: Subject) -> str:
    return {
        "text": "a text in double quotes",
        "kind": f"one of {', '.join(KINDS).lower()}",
        "status": f"one of {', '.join(STATUS_CODES).lower()}",
        "duration": "a duration such as 100ms",
        "anything": "a text in double quotes, a number, a duration, true or false",
        "place": "a number",
        "count": "a number",
    }[subject.takes]


def _is_word(side: Words) -> bool:
    return side.data == "field" and str(side.children[0]) in _CONSTANTS


def _is_constant(source: Source, side: Words) -> bool:
    return _is_word(side) or constant_of(source, side) is not None
