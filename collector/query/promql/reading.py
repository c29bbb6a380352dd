"""What a query in PromQL says: text in, an expression out, or what is wrong or not served, at which line and column.

read_promql('sum by (service_name) (rate(traces_span_metrics_calls_total{status_code="STATUS_CODE_ERROR"}[5m]))')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

from lark import Token, Tree

from collector.query.promql.expressions import (
    COMPARISONS,
    NAME,
    SETS,
    Aggregation,
    AggregationOperator,
    At,
    Binary,
    Call,
    Expression,
    Matcher,
    Matching,
    MatchOperator,
    Negated,
    Number,
    Selector,
    Subquery,
    Text,
    Type,
)
from collector.query.promql.functions import FUNCTIONS, GROWTHS, NOT_SERVED
from collector.query.promql.grammar import words_of
from collector.query.promql.literals import read_duration, read_number, read_seconds, read_text
from collector.query.promql.matchers import fits, pattern_of
from collector.query.promql.value_types import TYPE_NAMES, type_of
from config.ottl_grammar import OttlError
from config.problems import alternatives

STANDING_STEP_NS: Final = 60 * 10**9
"""Between two times at which a counter is looked at where many are asked for, and none is said: the tables know minutes."""

_WITHOUT: Final = "there are no native histograms, and no functions that Prometheus has on trial only"
_DEEPEST: Final = 60
_LATEST_S: Final = 2**32 - 1
_PARAMETERS: Final[Mapping[str, Type]] = {"topk": "scalar", "bottomk": "scalar", "quantile": "scalar", "count_values": "string"}
"""What aggregations take besides."""


def read_promql(text: str) -> Expression:
    """What a text says. Raises OttlError for what cannot be understood or is not served."""
    (whole,) = words_of(text).children
    return _Reader(text).expression(_tree(whole), 0)


def read_selector(text: str) -> Selector:
    """What a text says that must be a selector without a range. Raises OttlError as `read_promql`."""
    found = read_promql(text)
    if not isinstance(found, Selector) or found != Selector(found.matchers):
        raise OttlError(text, 0, 'a selector of series is needed, such as {service_name="cart"}')
    return found


class _Reader:
    """Reads the tree of one text.

    Args:
        text: where faults are pointed at.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def expression(self, tree: Tree[Token], depth: int) -> Expression:
        """The expression that a part of the tree says; every part has the type that it needs."""
        if depth > _DEEPEST:
            raise self._fault(tree, f"parts may be within each other up to {_DEEPEST} deep")
        parts = tree.children
        match tree.data:
            case "number":
                return Number(self._seconds(_token(parts[0])))
            case "text":
                return Text(self._unquoted(_token(parts[0])))
            case "bracketed":
                return self.expression(_tree(parts[0]), depth + 1)
            case "selector":
                return self._selector(tree)
            case "signed":
                of = self._typed(_tree(parts[1]), ("scalar", "vector"), "a sign", depth)
                return Negated(of) if parts[0] == "-" else of
            case "ranged":
                return self._ranged(tree, depth)
            case "call":
                return self._call(tree, depth)
            case "aggregation":
                return self._aggregation(tree, depth)
            case _:
                return self._binary(tree, depth)

    def _typed(self, tree: Tree[Token], types: Sequence[Type], where: str, depth: int) -> Expression:
        found = self.expression(tree, depth + 1)
        if type_of(found) not in types:
            expected = " or ".join(TYPE_NAMES[each] for each in types)
            raise self._fault(tree, f"expected type {expected} in {where}, got {TYPE_NAMES[type_of(found)]}")
        return found

    def _selector(self, tree: Tree[Token]) -> Selector:
        around = map(_tree, tree.children)
        parts = [each for part in around for each in ([part] if part.data == "name" else map(_tree, part.children))]
        matchers = tuple(map(self._matcher, parts))
        if sum(matcher.label == NAME for matcher in matchers) > 1 and any(part.data != "matcher" for part in parts):
            raise self._fault(tree, "the name of the metric must not be set twice")
        if all(fits(matcher, "") for matcher in matchers):
            raise self._fault(tree, "a selector must contain at least one matcher that the empty text does not fit")
        return Selector(matchers)

    def _matcher(self, tree: Tree[Token]) -> Matcher:
        """What is asked of a label; what stands alone, in quotes within braces or before them, is the name of the metric."""
        if tree.data != "matcher":
            return Matcher(NAME, "=", self._word(tree))
        label, operator, text = _tree(tree.children[0]), _token(tree.children[1]), _token(tree.children[2])
        if operator not in ("=", "!=", "=~", "!~"):
            raise self._fault(tree, f"labels are compared by =, !=, =~ and !~, not by {operator}")
        value = self._unquoted(text)
        if "~" in operator:
            try:
                pattern_of(value)
            except ValueError as error:
                raise self._fault(text, str(error)) from None
        return Matcher(self._word(label), cast("MatchOperator", str(operator)), value)

    def _ranged(self, tree: Tree[Token], depth: int) -> Expression:
        of, further = map(_tree, tree.children)
        found = self.expression(of, depth + 1)
        match further.data:
            case "range":
                return self._range(found, further)
            case "offset":
                if isinstance(found, Selector | Subquery) and not found.offset_ns:
                    return replace(found, offset_ns=self._length(further) * _sign(further))
            case _:
                if isinstance(found, Selector | Subquery) and found.at is None:
                    return replace(found, at=self._at(further))
        what = "offset" if further.data == "offset" else "@"
        raise self._fault(further, f"{what} may stand once behind a selector or a subquery only")

    def _range(self, of: Expression, further: Tree[Token]) -> Expression:
        """What a range behind an expression makes of it; one with a colon makes a subquery."""
        durations = [part for part in map(_token, further.children) if part.type != "COLON"]
        if len(further.children) > len(durations):
            if type_of(of) != "vector":
                raise self._fault(further, f"a subquery needs an instant vector, got {TYPE_NAMES[type_of(of)]}")
            length, *steps = map(self._duration, durations)
            return Subquery(of, length, steps[0] if steps else STANDING_STEP_NS)
        if not isinstance(of, Selector) or of.range_ns:
            raise self._fault(further, "a range may stand behind a selector only; that of a subquery has a colon, as in [1h:1m]")
        if of != Selector(of.matchers):
            raise self._fault(further, "offset and @ stand behind the range")
        return Selector(of.matchers, self._duration(durations[0]))

    def _length(self, further: Tree[Token]) -> int:
        return self._duration(_token(further.children[-1]))

    def _duration(self, token: Token) -> int:
        """Nanoseconds of a duration, or of a number of seconds."""
        try:
            return read_seconds(str(token)) if token.type == "NUMBER" else read_duration(str(token))
        except ValueError as error:
            raise self._fault(token, str(error)) from None

    def _seconds(self, token: Token) -> float:
        """A number, or the seconds of a duration."""
        return read_number(str(token)) if token.type == "NUMBER" else self._duration(token) / 10**9

    def _at(self, further: Tree[Token]) -> At:
        """The time that @ says."""
        last = _token(further.children[-1])
        if last.type == "NAME":
            if last not in ("start", "end"):
                raise self._fault(last, "behind @ stands a time in seconds since 1970, start() or end()")
            return cast("At", str(last))
        seconds = read_number(str(last)) * _sign(further)
        if not 0 <= seconds <= _LATEST_S:
            raise self._fault(last, "a time is given in seconds since 1970, from 0 on")
        return round(seconds * 10**9)

    def _call(self, tree: Tree[Token], depth: int) -> Call:
        name = _token(tree.children[0])
        arguments = [_tree(part) for part in tree.children[1:]]
        if name in NOT_SERVED:
            raise self._fault(name, f"the function {str(name)!r} is not served here; {_WITHOUT}")
        if name not in FUNCTIONS:
            hint = alternatives(str(name), list(FUNCTIONS), "served are")
            raise self._fault(name, f"unknown function with name {str(name)!r}; {hint}")
        try:
            types = FUNCTIONS[name].types(len(arguments))
        except ValueError as error:
            raise self._fault(name, f"{error} in call to {str(name)!r}, got {len(arguments)}") from None
        where = f"call to function {str(name)!r}"
        read = [self._typed(argument, (needed,), where, depth) for argument, needed in zip(arguments, types, strict=True)]
        if name in ("label_replace", "label_join"):
            self._check_labels(name, arguments, read)
        return Call(str(name), tuple(read if name in GROWTHS else map(_as_subquery, read)))

    def _check_labels(self, name: Token, trees: Sequence[Tree[Token]], arguments: Sequence[Expression]) -> None:
        texts = [argument.value for argument in arguments[1:] if isinstance(argument, Text)]
        if not texts[0]:
            raise self._fault(trees[1], f"the destination label of {name}() needs a name")
        if name == "label_replace":
            try:
                pattern_of(texts[3])
            except ValueError as error:
                raise self._fault(trees[4], str(error)) from None

    def _aggregation(self, tree: Tree[Token], depth: int) -> Aggregation:
        operator = cast("AggregationOperator", str(tree.children[0]).lower())
        parts = [_tree(part) for part in tree.children[1:]]
        grouping = next((part for part in parts if part.data == "grouping"), None)
        arguments = [part for part in parts if part.data != "grouping"]
        wanted = 2 if operator in _PARAMETERS else 1
        if len(arguments) != wanted:
            raise self._fault(tree, f"wrong number of arguments for aggregate expression {operator}, expected {wanted}")
        where = f"aggregation {operator}"
        parameter = self._typed(arguments[0], (_PARAMETERS[operator],), where, depth) if wanted == 2 else None
        if parameter == Text(""):
            raise self._fault(arguments[0], f"the label of {operator}() needs a name")
        of = self._typed(arguments[-1], ("vector",), where, depth)
        if grouping is None:
            return Aggregation(operator, of, parameter)
        kind, labels = grouping.children
        return Aggregation(operator, of, parameter, self._labels(_tree(labels)), _token(kind).type == "WITHOUT")

    def _binary(self, tree: Tree[Token], depth: int) -> Binary:
        # The power has no name of its own among the words of the tree.
        left, operator_token, matching_words, right = tree.children
        operator = str(operator_token).lower()
        types: Sequence[Type] = ("vector",) if operator in SETS else ("scalar", "vector")
        where = f"operation {operator!r}"
        sides = [self._typed(_tree(side), types, where, depth) for side in (left, right)]
        words = _tree(matching_words).children
        as_number = any(isinstance(word, Token) and word.type == "BOOL" for word in words)
        is_of_scalars = all(type_of(side) == "scalar" for side in sides)
        if as_number and operator not in COMPARISONS:
            raise self._fault(tree, "bool can be used on comparisons only")
        if is_of_scalars and operator in COMPARISONS and not as_number:
            raise self._fault(tree, "comparisons between scalars must use bool")
        matching = self._matching(words)
        if matching != Matching() and any(type_of(side) == "scalar" for side in sides):
            raise self._fault(tree, "labels are matched between instant vectors only")
        if matching.many and operator in SETS:
            raise self._fault(tree, f"no grouping allowed for {operator!r}")
        return Binary(operator, sides[0], sides[1], as_number, matching)

    def _word(self, tree: Tree[Token]) -> str:
        """A name as it is written, or what stands in its quotes."""
        (word,) = map(_token, tree.children)
        return self._unquoted(word) if word.type == "TEXT" else str(word)

    def _labels(self, tree: Tree[Token]) -> tuple[str, ...]:
        return tuple(self._word(_tree(label)) for label in tree.children)

    def _matching(self, words: Sequence[Tree[Token] | Token]) -> Matching:
        kinds = [word.type for word in words if isinstance(word, Token)]
        labels = [self._labels(word) for word in words if isinstance(word, Tree)]
        if not labels:
            return Matching()
        groups = (str(word).lower() for word in words if isinstance(word, Token) and word.type == "GROUP")
        many = next(groups, "").removeprefix("group_")
        included = labels[1] if len(labels) > 1 else ()
        return Matching(labels[0], "IGNORING" in kinds, many, included)  # type: ignore[arg-type]  # one of three texts

    def _unquoted(self, token: Token) -> str:
        try:
            return read_text(str(token))
        except ValueError as error:
            raise self._fault(token, str(error)) from None

    def _fault(self, where: Tree[Token] | Token, message: str) -> OttlError:
        at = where.start_pos if isinstance(where, Token) else getattr(where.meta, "start_pos", 0)
        return OttlError(self._text, at or 0, message)


def _as_subquery(of: Expression) -> Expression:
    """A counter over a time as what it comes to minute by minute; anything else as it is."""
    if isinstance(of, Selector) and of.range_ns:
        return Subquery(Selector(of.matchers), of.range_ns, STANDING_STEP_NS, of.offset_ns, of.at)
    return of


def _sign(further: Tree[Token]) -> int:
    return -1 if any(part == "-" for part in further.children) else 1


def _tree(part: Tree[Token] | Token) -> Tree[Token]:
    return cast("Tree[Token]", part)


def _token(part: Tree[Token] | Token) -> Token:
    return cast("Token", part)
