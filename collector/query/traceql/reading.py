"""What a TraceQL query asks for: text in, a predicate of spans out, or what is wrong or not served, at which line and column.

Everything that concerns several spans of a trace (sets that are joined, parents and children, measures) becomes a predicate of
those spans that the query would return, so that the ordinary search finds them.

read_traceql('{ resource.service.name = "cart" && status = error } | count() > 2')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from lark import Tree

from collector.query.predicates import EVERY_SPAN, AllOf, Field, Predicate
from collector.query.span_contrast import Contrast
from collector.query.span_series import Metric
from collector.query.traceql.constants import Constant, constant_of
from collector.query.traceql.fields import Place
from collector.query.traceql.grammar import metrics_words_of, search_words_of
from collector.query.traceql.sets import read_pipeline
from collector.query.traceql.source import Source, Words, words
from collector.query.traceql.stages import ONLY_NARROWED, RANKS, Kept, Ranked, call_of, read_kept, read_rank
from config.ottl_grammar import OttlError

_MOST_METRICS: Final = 10


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """What is asked for.

    Attributes:
        where: which spans.
        shown: fields that the query names, with the words for them; what is found shows them.
        by: fields by which the spans of a trace are told apart, with the words for them.
        places: what is told besides of where in the trees of their traces the spans stand.
    """

    where: Predicate
    shown: Mapping[str, Field] = field(default_factory=dict)
    by: Mapping[str, Field] = field(default_factory=dict)
    places: Sequence[Place] = ()


@dataclass(frozen=True, slots=True)
class MetricsQuery:
    """Which spans, and what is made of them over time."""

    where: Predicate
    metric: Metric | Contrast


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Series of which not all numbers are kept: what is done to them, one after the other."""

    of: Result
    then: tuple[Ranked | Kept, ...]


@dataclass(frozen=True, slots=True)
class Combined:
    """What is calculated of metrics, or of metrics and a number: of series with the same labels, at each step."""

    operator: Literal["+", "-", "*", "/"]
    left: Result
    right: Result


Result = MetricsQuery | Narrowed | Combined | float
"""What makes series."""


def read_traceql(text: str) -> TraceQuery:
    """What a text asks for. Raises OttlError for what cannot be understood or is not served."""
    source = Source(text)
    pipeline = read_pipeline(source, _search_words_of(text))
    return TraceQuery(pipeline.where, source.shown, pipeline.by, source.places)


def read_metrics(text: str) -> Result:
    """Which spans a text asks for, and what to make of them over time. Raises OttlError as `read_traceql`."""
    source = Source(text)
    tree = _query_of(metrics_words_of(text))
    result = _read_result(source, tree, 0)
    if len(metrics_in(result)) > _MOST_METRICS:
        raise source.error(tree, f"there are more than {_MOST_METRICS} metrics")
    if not metrics_in(result):
        raise source.error(tree, "expected a metric, as in {} | rate()")
    if not isinstance(result, MetricsQuery) and any(isinstance(each.metric, Contrast) for each in metrics_in(result)):
        raise source.error(tree, "compare(...) stands last: nothing is made of its series")
    return result


def exemplars_hint(text: str) -> int | bool | None:
    """What a query's hints say of exemplars: how many there are to be, or whether; None where they say nothing.

    Raises:
        OttlError: the text is no query.
    """
    said = _hints_of(text).get("exemplars")
    if said is None:
        return None
    return int(said) if said.isdecimal() else said == "true"


def is_extrapolated(text: str) -> bool:
    """Whether a query's hints say that a span counts for all that it stands for. Raises OttlError as `exemplars_hint`."""
    return _hints_of(text).get("extrapolate") == "true"


def _hints_of(text: str) -> dict[str, str]:
    found = {}
    for hints in metrics_words_of(text).children[1:]:
        for name, _, value in (words(hint).children for hint in words(hints).children):
            found[str(name)] = str(words(value).children[0] if isinstance(value, Tree) else value)
    return found


def metrics_in(result: Result) -> list[MetricsQuery]:
    """All metrics of which something is calculated, from left to right."""
    match result:
        case MetricsQuery():
            return [result]
        case Narrowed():
            return metrics_in(result.of)
        case Combined():
            return metrics_in(result.left) + metrics_in(result.right)
    return []


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


def _search_words_of(text: str) -> Words:
    try:
        return _query_of(search_words_of(text))
    except OttlError:
        if _is_calculated(text):
            raise OttlError(text, 0, "is about metrics, which are asked for elsewhere than traces") from None
        raise


def _is_calculated(text: str) -> bool:
    try:
        return _query_of(metrics_words_of(text)).data != "pipeline"
    except OttlError:
        return False


def _query_of(tree: Words) -> Words:
    """All words of a query but hints, of which none is needed."""
    return words(tree.children[0])


def _read_result(source: Source, tree: Words, depth: int) -> Result:
    source.check_depth(tree, depth)
    match tree.data:
        case "literal" | "unary":
            # A whole number or one with a point.
            return float(cast("Constant", constant_of(source, tree)).value)
        case "total" | "share":
            return _read_combined(source, tree, depth)
        case "narrowed":
            return _read_narrowed(source, tree, depth)
        case "grouped" if words(tree.children[0]).data != "sets":
            return _read_result(source, words(tree.children[0]), depth + 1)
    pipeline = read_pipeline(source, tree, serves_metrics=True)
    if pipeline.metric is None:
        raise OttlError(source.text, tree.meta.end_pos, "expected a metric after a bar, as in {} | rate()")
    result = MetricsQuery(pipeline.where, pipeline.metric)
    return Narrowed(result, tuple(pipeline.then)) if pipeline.then else result


def _read_narrowed(source: Source, tree: Words, depth: int) -> Result:
    first, *rest = map(words, tree.children)
    then: list[Ranked | Kept] = []
    if rest[0].data == "compare":
        compare, compared, *rest = rest
        then.append(read_kept(source, compare, compared))
    for stage in rest:
        inner = words(stage.children[0])
        if inner.data != "call" or (call := call_of(inner)).function not in RANKS:
            raise source.error(inner, ONLY_NARROWED)
        then += read_rank(source, call)
    result = _read_result(source, first, depth + 1)
    if not metrics_in(result):
        raise source.error(first, "expected a metric, as in ({} | rate())")
    return Narrowed(result, tuple(then))


def _read_combined(source: Source, tree: Words, depth: int) -> Result:
    result = _read_result(source, words(tree.children[0]), depth + 1)
    for operator, operand in zip(tree.children[1::2], tree.children[2::2], strict=True):
        source.count_condition(tree)
        right = _read_result(source, words(operand), depth + 1)
        result = Combined(cast("Literal['+', '-', '*', '/']", str(operator)), result, right)
    return result
