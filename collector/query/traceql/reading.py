"""What a TraceQL query asks for: text in, a predicate of spans out, or what is wrong or not served, at which line and column.

Everything that concerns several spans of a trace (sets that are joined, parents and children, measures) becomes a predicate of
those spans that the query would return, so that the ordinary search finds them.

read_traceql('{ resource.service.name = "cart" && status = error } | count() > 2')
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, cast

from lark import Token, Tree

from collector.query.grouping import is_groupable
from collector.query.predicates import (
    EVERY_SPAN,
    ROOT,
    AllOf,
    AnyOf,
    Attribute,
    Comparison,
    Exists,
    Field,
    HasRelative,
    Measured,
    Not,
    Operator,
    Predicate,
    Value,
)
from collector.query.span_series import METRICS, Metric
from collector.query.store import KINDS, STATUS_CODES
from collector.query.traceql.fields import Subject, subject_of
from collector.query.traceql.grammar import words_of
from config.ottl_grammar import OttlError, read_text
from config.patterns import compile_pattern
from config.values import Duration

_DEEPEST: Final = 50
_MOST_CONDITIONS: Final = 100
_LARGEST_PREDICATE: Final = 500
"""Bounds on what a query makes the store do: parts within parts, comparisons, and comparisons after sets are joined."""
_LARGEST: Final = 2**63 - 1

_MIRRORED: Final[dict[Operator, Operator]] = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_Relative = Literal["parent", "child", "sibling"]
_RELATIVES: Final[dict[str, tuple[_Relative, _Relative]]] = {
    ">": ("parent", "child"),
    "<": ("child", "parent"),
    "~": ("sibling", "sibling"),
}
"""What joins two sets → what of a span in the right one is in the left one, and the other way round."""
_CONSTANTS: Final = {"true", "false", "nil", "error", "ok", "unset", *(kind.lower() for kind in KINDS)}
_MEASURES: Final = ("avg", "min", "max", "sum")
_NOWHERE: Final = AnyOf(())


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """What is asked for.

    Attributes:
        where: which spans.
        shown: fields that the query names, with the words for them; what is found shows them.
    """

    where: Predicate
    shown: dict[str, Field]


def read_traceql(text: str) -> TraceQuery:
    """What a text asks for. Raises OttlError for what cannot be understood or is not served."""
    return _Reader(text).query(words_of(text))


def read_metrics(text: str) -> tuple[Predicate, Metric]:
    """Which spans a text asks for, and what to make of them over time. Raises OttlError as `read_traceql`."""
    reader = _Reader(text, serves_metrics=True)
    query = reader.query(words_of(text))
    if reader.metric is None:
        raise OttlError(text, len(text.rstrip()), "expected a metric after a bar, as in {} | rate()")
    return query.where, reader.metric


def read_unfinished(text: str) -> Predicate:
    """What those conditions of a half-typed filter ask for that can be understood: never an error."""
    try:
        return read_traceql(text).where
    except OttlError:
        pass
    if "||" in text:
        return EVERY_SPAN
    terms = []
    for part in text.strip().strip("{}").split("&&"):
        if not any(sign in part for sign in "=<>"):
            # What stands alone has yet to be compared with something.
            continue
        try:
            terms.append(read_traceql(f"{{{part}}}").where)
        except OttlError:
            continue
    return AllOf(tuple(term for term in terms if term != EVERY_SPAN))


class _Reader:
    """Turns a tree of words into predicates."""

    def __init__(self, text: str, *, serves_metrics: bool = False) -> None:
        self._text = text
        self._serves_metrics = serves_metrics
        self.metric: Metric | None = None
        self._conditions = 0
        self._shown: dict[str, Field] = {}

    def query(self, words: Tree[Token]) -> TraceQuery:
        pipeline = _tree(words.children[0])
        where = self._sets(_tree(pipeline.children[0]), 0)
        for child in pipeline.children[1:]:
            stage = _tree(_tree(child).children[0])
            if self.metric is not None:
                raise self._error(stage, "nothing is served here after a metric")
            where = AllOf((where, self._sets(stage, 0))) if stage.data == "set" else self._stage(where, stage)
        if _size(where, {}) > _LARGEST_PREDICATE:
            raise self._error(pipeline, "asks for too much at once: sets within sets are looked for again and again")
        return TraceQuery(where, self._shown)

    def _stage(self, where: Predicate, call: Tree[Token]) -> Predicate:
        name, *rest = (_tree(child) for child in call.children)
        function = str(name.children[0])
        arguments = [_tree(part.children[0]) for part in rest if part.data == "argument"]
        grouping = next((part for part in rest if part.data == "by"), None)
        compared = [part for part in rest if part.data in ("compare", "literal")]
        if function in METRICS:
            if not self._serves_metrics:
                raise self._error(call, f"{function}() makes metrics, which are asked for elsewhere than traces")
            if compared:
                raise self._error(compared[0], "metrics are not compared here")
            self.metric = self._metric(call, function, arguments, grouping)
            return where
        fields = [argument for argument in arguments if argument.data == "field"]
        is_known = function in ("count", "select", *_MEASURES) and len(fields) == len(arguments) and grouping is None
        if function == "select" and is_known and fields and not compared:
            for field in fields:
                self._show(field, self._subject(field))
            return where
        if not is_known or function == "select" or len(fields) != (0 if function == "count" else 1):
            served = "count(), avg, min, max and sum of a field, and select"
            raise self._error(call, f"{function}(...) is not served here; there are {served}")
        if not compared:
            example = "" if function == "count" else "..."
            raise self._error(call, f"{function}() is compared with a number, as in {function}({example}) > 2")
        operator = cast("Operator", str(compared[0].children[0]))
        if operator in ("=~", "!~"):
            raise self._error(compared[0], f"{operator} compares texts")
        measured = None if function == "count" else self._measured(fields[0])
        value = self._literal(compared[1])
        if not isinstance(value, int | float):
            raise self._error(compared[1], "expected a number or a duration")
        measure = cast("Literal['count', 'avg', 'min', 'max', 'sum']", function)
        return AllOf((where, Measured(where, measure, measured, operator, value)))

    def _metric(self, call: Tree[Token], function: str, arguments: list[Tree[Token]], grouping: Tree[Token] | None) -> Metric:
        by = {}
        for field in (_tree(child) for child in grouping.children[1:]) if grouping else ():
            subject = self._subject(field)
            if subject.field is None or subject.of != "span" or not is_groupable(subject.field):
                raise self._error(
                    field, "spans are grouped by their own names, kinds, statuses and attributes, or their resources'"
                )
            by[str(field.children[0])] = subject.field
        takes_field = function not in ("rate", "count_over_time")
        quantiles = arguments[1:] if function == "quantile_over_time" else []
        if len(arguments) - len(quantiles) != takes_field or (function == "quantile_over_time" and not quantiles):
            raise self._error(call, f"{function} has other arguments, as in {METRICS[function]}")
        if not takes_field:
            return Metric(function, None, (), by)
        if arguments[0].data != "field":
            raise self._error(arguments[0], "expected duration or an attribute of spans or resources")
        return Metric(function, self._measured(arguments[0]), tuple(map(self._quantile, quantiles)), by)

    def _quantile(self, argument: Tree[Token]) -> float:
        try:
            # A number that begins with its point looks like an attribute.
            quantile = float(str(argument.children[-1]))
        except ValueError:
            quantile = -1
        if not 0 <= quantile <= 1:
            raise self._error(argument, "expected a number from 0 to 1")
        return quantile

    def _measured(self, field: Tree[Token]) -> Field:
        """The field of spans whose number is measured."""
        subject = self._subject(field)
        is_number = subject.takes == "duration" or (
            isinstance(subject.field, Attribute) and subject.field.level in ("span", "resource", "span or resource")
        )
        if subject.field is None or subject.of != "span" or not is_number:
            raise self._error(field, "expected duration or an attribute of spans or resources")
        return subject.field

    def _sets(self, tree: Tree[Token], depth: int) -> Predicate:
        """The predicate of the spans that sets and what joins them return."""
        self._check_depth(tree, depth)
        if tree.data == "set":
            if not tree.children:
                return EVERY_SPAN
            inner = _tree(tree.children[0])
            return self._sets(inner, depth + 1) if inner.data == "sets" else self._condition(inner, depth + 1)
        if len(tree.children) == 1:
            return self._sets(_tree(tree.children[0]), depth + 1)
        if tree.data == "related":
            return self._related(tree, depth)
        terms = tuple(self._sets(_tree(child), depth + 1) for child in tree.children)
        if tree.data == "sets":
            return AnyOf(terms)
        return AllOf((AnyOf(terms), *(HasRelative("anybody", term) for term in terms)))

    def _related(self, tree: Tree[Token], depth: int) -> Predicate:
        found = self._sets(_tree(tree.children[0]), depth + 1)
        for operator, operand in zip(tree.children[1::2], tree.children[2::2], strict=True):
            right = self._sets(_tree(operand), depth + 1)
            how = str(_tree(operator).children[0])
            if how[-2:] in (">>", "<<"):
                message = f"{how} is not served here: > finds spans by their parent, < by their children, ~ by their siblings"
                raise self._error(_tree(operator), message)
            there, back = _RELATIVES[how[-1]]
            related = HasRelative(there, found)
            if how[0] == "!":
                found = AllOf((right, Not(related)))
            elif how[0] == "&":
                found = AnyOf((AllOf((right, related)), AllOf((found, HasRelative(back, right)))))
            else:
                found = AllOf((right, related))
        return found

    def _condition(self, tree: Tree[Token], depth: int) -> Predicate:
        """The predicate of a span that a part within braces is."""
        self._check_depth(tree, depth)
        if tree.data == "comparison":
            return self._comparison(tree)
        if len(tree.children) == 1:
            return self._condition(_tree(tree.children[0]), depth + 1)
        if tree.data == "not_":
            return Not(self._condition(_tree(tree.children[1]), depth + 1))
        terms = tuple(self._condition(_tree(child), depth + 1) for child in tree.children)
        return AnyOf(terms) if tree.data == "either" else AllOf(terms)

    def _comparison(self, tree: Tree[Token]) -> Predicate:
        self._conditions += 1
        if self._conditions > _MOST_CONDITIONS:
            raise self._error(tree, f"there are more than {_MOST_CONDITIONS} conditions")
        left, *rest = (
            _tree(_tree(child).children[0]) if _tree(child).data == "side" else _tree(child) for child in tree.children
        )
        if not rest:
            return self._alone(left)
        operator = cast("Operator", str(rest[0].children[0]))
        right = rest[1]
        if _is_constant(left):
            left, right, operator = right, left, _MIRRORED.get(operator, operator)
        if _is_constant(left):
            raise self._error(left, "expected a field on one side")
        subject = self._subject(left)
        is_name = right.data == "field" and subject.takes in ("kind", "status")
        if not _is_constant(right) and not is_name:
            raise self._error(right, "two fields cannot be compared with each other here")
        self._show(left, subject)
        if _is_nil(right):
            return self._existence(subject, operator, right)
        try:
            if subject.takes == "place":
                return _place(operator, self._literal(right))
            return _about(subject, operator, self._value(subject, operator, right))
        except OttlError:
            raise
        except ValueError as error:
            raise self._error(right, str(error)) from None

    def _alone(self, side: Tree[Token]) -> Predicate:
        word = str(side.children[0])
        if side.data == "field" and word in ("true", "false"):
            return EVERY_SPAN if word == "true" else _NOWHERE
        if _is_constant(side) or self._subject(side).takes != "anything":
            raise self._error(side, "expected a condition; compare it with something")
        subject = self._subject(side)
        self._show(side, subject)
        return _about(subject, "=", value=True)

    def _existence(self, subject: Subject, operator: Operator, at: Tree[Token]) -> Predicate:
        if operator not in ("=", "!=") or subject.field is None:
            raise self._error(at, "nil, that is nothing, is compared by = and != with fields of spans only")
        found = _of(subject, Exists(subject.field))
        return found if operator == "!=" else Not(found)

    def _value(self, subject: Subject, operator: Operator, literal: Tree[Token]) -> Value:
        """The value that a field is compared with. Raises ValueError where the two do not go together."""
        value: Value | None
        if literal.data == "field":
            word = str(literal.children[0])
            names = {"kind": KINDS, "status": STATUS_CODES}.get(subject.takes, ())
            value = next((name for name in names if name.lower() == word), None)
            if subject.takes == "anything" and word in ("true", "false"):
                value = word == "true"
            if value is None:
                raise ValueError(f"expected {_expected(subject)}, found {word}")
            if operator not in ("=", "!="):
                raise ValueError(f"{word} is compared by = and != only")
            return value
        value = self._literal(literal)
        if operator in ("=~", "!~"):
            if not isinstance(value, str) or subject.takes not in ("text", "anything"):
                raise ValueError(f"{operator} compares texts with patterns in double quotes")
            compile_pattern(value)
            return value
        wanted = {"text": str, "duration": int, "anything": str | int | float}.get(subject.takes)
        if wanted is None or not isinstance(value, wanted) or (subject.takes == "duration" and not _is_duration(literal)):
            raise ValueError(f"expected {_expected(subject)}")
        return value

    def _literal(self, literal: Tree[Token]) -> str | int | float:
        tokens = [cast("Token", child) for child in literal.children]
        last = tokens[-1]
        sign = -1 if len(tokens) > 1 else 1
        match last.type:
            case "TEXT":
                return str(last)[1:-1] if last.startswith("`") else read_text(self._text, last)
            case "DURATION":
                try:
                    return sign * int(Duration.parse(last))
                except ValueError as error:
                    raise self._error(literal, str(error)) from None
            case "INT":
                if len(last) > len(str(_LARGEST)) or int(last) > _LARGEST:
                    raise self._error(literal, f"must be at most {_LARGEST}")
                return sign * int(last)
            case "FLOAT":
                return sign * float(last)
        raise self._error(literal, "expected a value")

    def _subject(self, field: Tree[Token]) -> Subject:
        try:
            return subject_of(str(field.children[0]))
        except ValueError as error:
            raise self._error(field, str(error)) from None

    def _show(self, field: Tree[Token], subject: Subject) -> None:
        if subject.field is not None and subject.of == "span":
            self._shown[str(field.children[0])] = subject.field

    def _check_depth(self, tree: Tree[Token], depth: int) -> None:
        # A pair of parentheses makes the tree four deeper.
        if depth > 4 * _DEEPEST:
            raise self._error(tree, f"more than {_DEEPEST} parts stand within each other")

    def _error(self, tree: Tree[Token], message: str) -> OttlError:
        return OttlError(self._text, tree.meta.start_pos, message)


def _size(predicate: Predicate, known: dict[int, int]) -> int:
    """How many comparisons the predicate has when it is written out, although parts of it may be the same objects."""
    if id(predicate) not in known:
        match predicate:
            case AllOf(terms) | AnyOf(terms):
                size = sum(_size(term, known) for term in terms)
            case HasRelative("sibling", term):
                size = 3 * _size(term, known)
            case Not(term) | HasRelative(_, term):
                size = _size(term, known)
            case Measured():
                size = 1 + _size(predicate.term, known)
            case _:
                size = 1
        known[id(predicate)] = size
    return known[id(predicate)]


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


def _place(operator: Operator, value: Value) -> Predicate:
    """Of places in the tree, whether it is a root's: that is below zero, others are not."""
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
    }[subject.takes]


def _tree(child: Tree[Token] | Token) -> Tree[Token]:
    return cast("Tree[Token]", child)


def _is_constant(side: Tree[Token]) -> bool:
    return side.data == "literal" or str(side.children[0]) in _CONSTANTS


def _is_nil(side: Tree[Token]) -> bool:
    return side.data == "field" and side.children[0] == "nil"


def _is_duration(literal: Tree[Token]) -> bool:
    return cast("Token", literal.children[-1]).type == "DURATION"
