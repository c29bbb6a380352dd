"""What a TraceQL query asks for: text in, a predicate of spans out, or what is wrong or not served, at which line and column.

Everything that concerns several spans of a trace (sets that are joined, parents and children, measures) becomes a predicate of
those spans that the query would return, so that the ordinary search finds them.

read_traceql('{ resource.service.name = "cart" && status = error } | count() > 2')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from collector.query.predicates import EVERY_SPAN, AllOf, AnyOf, Field, HasRelative, Measured, Not, Predicate
from collector.query.span_series import Metric
from collector.query.traceql.grammar import words_of
from collector.query.traceql.sets import read_sets
from collector.query.traceql.source import Source, words
from collector.query.traceql.stages import Kept, Pipeline, Ranked, call_of
from config.ottl_grammar import OttlError

_LARGEST_PREDICATE: Final = 500
"""Comparisons after sets are joined, which a query makes the store do."""


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """What is asked for.

    Attributes:
        where: which spans.
        shown: fields that the query names, with the words for them; what is found shows them.
        by: fields by which the spans of a trace are told apart, with the words for them.
    """

    where: Predicate
    shown: Mapping[str, Field] = field(default_factory=dict)
    by: Mapping[str, Field] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricsQuery:
    """Which spans, what is made of them over time, and what is done to that one after the other."""

    where: Predicate
    metric: Metric
    then: tuple[Ranked | Kept, ...] = ()


def read_traceql(text: str) -> TraceQuery:
    """What a text asks for. Raises OttlError for what cannot be understood or is not served."""
    source, pipeline = _read(text, serves_metrics=False)
    return TraceQuery(pipeline.where, source.shown, pipeline.by)


def read_metrics(text: str) -> MetricsQuery:
    """Which spans a text asks for, and what to make of them over time. Raises OttlError as `read_traceql`."""
    _, pipeline = _read(text, serves_metrics=True)
    if pipeline.metric is None:
        raise OttlError(text, len(text.rstrip()), "expected a metric after a bar, as in {} | rate()")
    return MetricsQuery(pipeline.where, pipeline.metric, tuple(pipeline.then))


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


def _read(text: str, *, serves_metrics: bool) -> tuple[Source, Pipeline]:
    source = Source(text)
    tree = words(words_of(text).children[0])
    pipeline = Pipeline(source, read_sets(source, words(tree.children[0])), serves_metrics=serves_metrics)
    for child in tree.children[1:]:
        stage = words(words(child).children[0])
        if stage.data == "set":
            pipeline.filter(stage, read_sets(source, stage))
        else:
            pipeline.call(call_of(stage))
    if _size(pipeline.where, {}) > _LARGEST_PREDICATE:
        raise source.error(tree, "asks for too much at once: sets within sets are looked for again and again")
    return source, pipeline


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
