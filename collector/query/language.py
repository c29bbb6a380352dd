"""The language of the search box: a text in, what spans and traces must be like out, or what is wrong at which line and column.

It has the grammar of OTTL's conditions where the two overlap, so that the condition of a filter can be searched by. What it adds
are attributes by their plain keys, words without quotes, durations with units, `in`, `=~`, texts to be looked for anywhere, and
braces: `{...} and {...}` asks for a trace that has both spans, where `and` within braces, and without any, is about one span.

read_query('service = checkout and http.response.status_code >= 500 and trace.duration > 2s')
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

from lark import Token, Tree

from collector.query.conditions import Measure, OfTrace
from collector.query.language_fields import Subject, subject_of
from collector.query.language_grammar import words_of
from collector.query.language_values import OPERATORS, operator_of, value_of
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
    Not,
    Operator,
    Predicate,
    Value,
)
from config.ottl_grammar import OttlError, read_text
from config.patterns import compile_pattern

_DEEPEST: Final = 50
_MOST_CONDITIONS: Final = 100
"""Bounds on what a query makes the store do: parts within parts, and comparisons."""

_MESSAGES: Final = (
    "name",
    "status message",
    "event name",
    Attribute("event", "exception.message"),
    Attribute("event", "exception.type"),
    Attribute("event", "message"),
)
"""Where a text without a name is looked for."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a text asks for: of one and the same span, and of its trace as a whole."""

    where: Predicate
    traces: tuple[OfTrace, ...]


def read_query(text: str) -> Query:
    """What a text asks for. Raises OttlError for one that cannot be understood."""
    return _Reader(text).query(words_of(text))


def read_field(text: str) -> Field:
    """The field of a span that a name means.

    Raises:
        ValueError: it means none, or several.
    """
    try:
        where = read_query(f"{text} != nil").where
    except OttlError:
        where = EVERY_SPAN
    match where:
        case Exists(field):
            return field
    raise ValueError('must name one field of spans, such as service, http.route or span["a key"]')


def anywhere(text: str) -> Predicate:
    """That a text stands in the names or messages of a span."""
    return AnyOf(tuple(Comparison(field, "contains ignoring case", text) for field in _MESSAGES))


class _Reader:
    """Turns a tree of words into predicates."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._conditions = 0

    def query(self, words: Tree[Token]) -> Query:
        of_spans: list[Predicate] = []
        of_traces: list[OfTrace] = []
        positive: list[Predicate] = []
        sets: list[Predicate] = []
        for term in self._conjunction(words.children[0], 0):
            kinds = self._kinds(term, 0)
            if kinds == {"span"}:
                of_spans.append(self._span(term, 0))
            elif kinds == {"set"}:
                sets.append(self._sets(term, 0, positive, holds=True))
            elif kinds == {"measure"}:
                of_traces.append(self._measure(term))
            else:
                raise self._error(
                    term,
                    "conditions on one span, in braces, and on the whole trace are joined by and, not by or, not and parentheses;"
                    ' put what is said of a span in braces, as in {status = error} or {name = "x"}',
                )
        if not of_spans and len(sets) == 1 and isinstance(sets[0], HasRelative):
            return Query(sets[0].term, tuple(of_traces))
        if positive and not of_spans:
            # The spans that fit are those that the sets are about, not all spans of the trace.
            of_spans.append(AnyOf(tuple(positive)))
        terms = (*of_spans, *sets)
        return Query(terms[0] if len(terms) == 1 else AllOf(terms), tuple(of_traces))

    def _conjunction(self, tree: Tree[Token] | Token, depth: int) -> Iterator[Tree[Token]]:
        """The parts that `and` joins on the outermost level."""
        tree = _only(tree)
        self._check_depth(tree, depth)
        if tree.data != "both":
            yield tree
            return
        for child in tree.children:
            yield from self._conjunction(child, depth + 1)

    def _kinds(self, tree: Tree[Token], depth: int) -> set[str]:
        """What a term is about, on its outermost level: spans, sets of spans, or measures of traces."""
        tree = _only(tree)
        self._check_depth(tree, depth)
        match tree.data:
            case "set":
                return {"set"}
            case "compared" | "among":
                return {"span" if self._subject(_tree(tree.children[0])).measure is None else "measure"}
            case "either" | "both" | "not_":
                return set().union(*(self._kinds(child, depth + 1) for child in tree.children if isinstance(child, Tree)))
        return {"span"}

    def _span(self, tree: Tree[Token], depth: int) -> Predicate:
        """The predicate of a span that a part of the tree is."""
        tree = _only(tree)
        self._check_depth(tree, depth)
        match tree.data:
            case "either" | "both":
                terms = tuple(self._span(_tree(child), depth + 1) for child in tree.children)
                return AnyOf(terms) if tree.data == "either" else AllOf(terms)
            case "not_":
                return Not(self._span(_tree(tree.children[1]), depth + 1))
            case "set":
                if depth:
                    raise self._error(tree, "braces do not stand within braces")
                return self._span(_tree(tree.children[0]), depth + 1) if tree.children else EVERY_SPAN
            case "phrase":
                self._count(tree)
                return anywhere(read_text(self._text, cast("Token", tree.children[0])))
            case "call":
                return self._call(tree)
        path = _tree(tree.children[0])
        subject = self._subject(path)
        if subject.measure is not None:
            raise self._error(path, "is about the whole trace and stands outside of braces, or, not and parentheses")
        self._count(tree)
        if tree.data == "among":
            for literal in tree.children[2:]:
                self._count(_tree(literal))
            values = [self._value(subject, "in", _tree(literal)) for literal in tree.children[1:]]
            return AnyOf(tuple(Comparison(field, "=", value) for value in values for field in subject.fields))
        operator = str(tree.children[1])
        literal = _tree(tree.children[2])
        if _is_nil(literal):
            return self._existence(subject, operator, literal)
        return self._compared(subject, operator, self._value(subject, operator, literal))

    def _sets(self, tree: Tree[Token], depth: int, positive: list[Predicate], *, holds: bool) -> Predicate:
        """The predicate of a trace that a combination of sets is; those that must be there are added to `positive`."""
        tree = _only(tree)
        self._check_depth(tree, depth)
        match tree.data:
            case "either" | "both":
                terms = tuple(self._sets(_tree(child), depth + 1, positive, holds=holds) for child in tree.children)
                return AnyOf(terms) if tree.data == "either" else AllOf(terms)
            case "not_":
                return Not(self._sets(_tree(tree.children[1]), depth + 1, positive, holds=not holds))
        predicate = self._span(tree, 0)
        if holds:
            positive.append(predicate)
        return HasRelative("anybody", predicate)

    def _measure(self, tree: Tree[Token]) -> OfTrace:
        tree = _only(tree)
        if tree.data != "compared":
            raise self._error(
                tree, "a measure of the whole trace is compared with one value, and joined to other conditions by and"
            )
        path, operator, literal = tree.children
        subject = self._subject(_tree(path))
        self._count(tree)
        if _is_nil(_tree(literal)):
            raise self._error(_tree(literal), "every trace has its measures; compare with a value")
        value = self._value(subject, str(operator), _tree(literal))
        return OfTrace(cast("Measure", subject.measure), operator_of(str(operator)), cast("str | int", value))

    def _compared(self, subject: Subject, operator: str, value: Value) -> Predicate:
        positive: dict[str, Operator] = {"!=": "=", "!~": "=~"}
        terms = tuple(Comparison(field, positive.get(operator, operator_of(operator)), value) for field in subject.fields)
        found = terms[0] if len(terms) == 1 else AnyOf(terms)
        # As in OTTL, what is not there is unequal to everything.
        return Not(found) if operator in positive else found

    def _existence(self, subject: Subject, operator: str, literal: Tree[Token]) -> Predicate:
        if operator not in ("=", "==", "!="):
            raise self._error(literal, "nil, that is nothing, is compared by = and != only")
        terms = tuple(Exists(field) for field in subject.fields)
        found = terms[0] if len(terms) == 1 else AnyOf(terms)
        return found if operator == "!=" else Not(found)

    def _call(self, tree: Tree[Token]) -> Predicate:
        function, *arguments = tree.children
        self._count(tree)
        if function == "IsRootSpan" and not arguments:
            return ROOT
        if function not in ("IsMatch", "HasPrefix") or len(arguments) != 2:
            raise self._error(tree, 'can be IsMatch(name, "pattern"), HasPrefix(name, "text") or IsRootSpan()')
        subject = self._subject(_tree(arguments[0]))
        if subject.takes not in ("text", "anything") or subject.measure is not None:
            raise self._error(_tree(arguments[0]), f"{function} takes texts and attributes")
        token = cast("Token", arguments[1])
        text = read_text(self._text, token)
        operator: Operator = "starts with"
        if function == "IsMatch":
            self._check_pattern(token, text)
            # A pattern of OTTL may match a part, ours must match all.
            operator, text = "=~", f"(?s:.*)(?:{text})(?s:.*)"
        terms = tuple(Comparison(field, operator, text) for field in subject.fields)
        return terms[0] if len(terms) == 1 else AnyOf(terms)

    def _value(self, subject: Subject, operator: str, literal: Tree[Token]) -> Value:
        first = literal.children[0]
        if subject.takes not in OPERATORS[operator]:
            allowed = ", ".join(each for each, takes in OPERATORS.items() if subject.takes in takes)
            raise self._error(literal, f"{operator} is not possible here; use one of {allowed}")
        if isinstance(first, Tree):
            steps = [_tree(step).children for step in first.children]
            if any(len(step) > 1 for step in steps):
                raise self._error(literal, "two fields cannot be compared with each other")
            kind, text = "TEXT", ".".join(str(step[0]) for step in steps)
        else:
            tokens = [cast("Token", child) for child in literal.children]
            kind = tokens[-1].type
            text = read_text(self._text, tokens[0]) if kind == "TEXT" else "".join(tokens)
        try:
            return value_of(kind, text, subject.takes, operator)
        except ValueError as error:
            raise self._error(literal, str(error)) from None

    def _check_pattern(self, token: Token, pattern: str) -> None:
        try:
            compile_pattern(pattern)
        except ValueError as error:
            raise OttlError(self._text, token.start_pos or 0, str(error)) from None

    def _subject(self, path: Tree[Token]) -> Subject:
        steps = []
        for step in path.children:
            name, *indexes = _tree(step).children
            keys = [cast("Token", _tree(index).children[0]) for index in indexes]
            for key in keys:
                if key.type != "TEXT":
                    raise OttlError(self._text, key.start_pos or 0, "keys are texts in double quotes")
            steps.append((str(name), [read_text(self._text, key) for key in keys]))
        try:
            return subject_of(steps)
        except ValueError as error:
            raise self._error(path, str(error)) from None

    def _count(self, tree: Tree[Token]) -> None:
        self._conditions += 1
        if self._conditions > _MOST_CONDITIONS:
            raise self._error(tree, f"there are more than {_MOST_CONDITIONS} conditions")

    def _check_depth(self, tree: Tree[Token], depth: int) -> None:
        if depth > _DEEPEST:
            raise self._error(tree, f"more than {_DEEPEST} parts stand within each other")

    def _error(self, tree: Tree[Token], message: str) -> OttlError:
        return OttlError(self._text, tree.meta.start_pos, message)


def _tree(child: Tree[Token] | Token) -> Tree[Token]:
    return cast("Tree[Token]", child)


def _only(tree: Tree[Token] | Token) -> Tree[Token]:
    """The part that is more than a level of precedence at which nothing happens, or parentheses."""
    tree = _tree(tree)
    while tree.data in ("either", "both", "not_", "comparison") and len(tree.children) == 1:
        tree = _tree(tree.children[0])
    return tree


def _is_nil(literal: Tree[Token]) -> bool:
    return isinstance(literal.children[0], Token) and literal.children[0].type == "NIL"
