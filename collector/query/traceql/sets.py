"""Sets of spans in TraceQL, what is done to them one after the other, and what joins them: both in a trace, or one below, above
or beside the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from collector.query.predicates import EVERY_SPAN, AllOf, AnyOf, HasRelative, Measured, Not, Predicate
from collector.query.span_contrast import Contrast
from collector.query.traceql.conditions import read_condition
from collector.query.traceql.source import Source, Words, joined, words
from collector.query.traceql.stages import Pipeline, call_of

_Relative = Literal["parent", "child", "sibling", "ancestor", "descendant"]
_RELATIVES: Final[dict[str, tuple[_Relative, _Relative]]] = {
    ">": ("parent", "child"),
    "<": ("child", "parent"),
    ">>": ("ancestor", "descendant"),
    "<<": ("descendant", "ancestor"),
    "~": ("sibling", "sibling"),
}
"""What joins two sets → what of a span in the right one is in the left one, and the other way round."""

LARGEST_PREDICATE: Final = 500
"""Comparisons after sets are joined, which a query makes the store do."""


def read_pipeline(source: Source, tree: Words, depth: int = 0, *, serves_metrics: bool = False) -> Pipeline:
    """What sets, or a call, and all that stands behind bars make of the spans. Raises OttlError."""
    first, *rest = map(words, tree.children)
    # A query that begins with a call is about every span.
    where = EVERY_SPAN if first.data == "call" else read_sets(source, first, depth)
    pipeline = Pipeline(source, where, lambda stage: read_sets(source, stage, depth), serves_metrics=serves_metrics)
    for stage in (*([first] if first.data == "call" else []), *(words(each.children[0]) for each in rest)):
        if stage.data == "set":
            pipeline.filter(stage, read_sets(source, stage, depth))
        else:
            pipeline.call(call_of(stage))
    chosen = pipeline.metric.selection if isinstance(pipeline.metric, Contrast) else EVERY_SPAN
    if size_of(AllOf((pipeline.where, chosen))) > LARGEST_PREDICATE:
        raise source.error(tree, "asks for too much at once: sets within sets are looked for again and again")
    return pipeline


def read_sets(source: Source, tree: Words, depth: int = 0) -> Predicate:
    """The predicate of the spans that sets and what joins them return. Raises OttlError."""
    source.check_depth(tree, depth)
    if tree.data == "set":
        if not tree.children:
            return EVERY_SPAN
        inner = words(tree.children[0])
        match inner.data:
            case "sets":
                return read_sets(source, inner, depth + 1)
            case "wrapped":
                return read_pipeline(source, inner, depth + 1).where
        return read_condition(source, inner, depth + 1)
    if len(tree.children) == 1:
        return read_sets(source, words(tree.children[0]), depth + 1)
    if tree.data == "related":
        return _related(source, tree, depth)
    return joined(tree, lambda part: read_sets(source, part, depth + 1), _joined)


def _joined(sign: str, terms: tuple[Predicate, ...]) -> Predicate:
    if sign == "||":
        return _any_of(terms)
    return AllOf((AnyOf(terms), *(HasRelative("anybody", term) for term in terms)))


def _any_of(terms: Sequence[Predicate]) -> Predicate:
    """Any of the terms, without those that only narrow another one: `({ .a } &>> { .b }) || { .a }` needs no `.a` above a `.b`,
    which is far more to look for than the rest."""
    flat = [part for term in terms for part in (term.terms if isinstance(term, AnyOf) else (term,))]
    if size_of(AnyOf(tuple(flat))) > LARGEST_PREDICATE:
        return AnyOf(tuple(terms))
    # By what is written, since 1 and true are equal to Python.
    alternatives = {repr(term) for term in flat}
    kept = [term for term in flat if not (isinstance(term, AllOf) and any(repr(part) in alternatives for part in term.terms))]
    return AnyOf(tuple(kept))


def _related(source: Source, tree: Words, depth: int) -> Predicate:
    found = read_sets(source, words(tree.children[0]), depth + 1)
    for operator, operand in zip(tree.children[1::2], tree.children[2::2], strict=True):
        source.count_relation(tree)
        right = read_sets(source, words(operand), depth + 1)
        how = str(words(operator).children[0])
        there, back = _RELATIVES[how.lstrip("!&")]
        related = HasRelative(there, found)
        if how[0] == "!":
            found = AllOf((right, Not(related)))
        elif how[0] == "&":
            found = AnyOf((AllOf((right, related)), AllOf((found, HasRelative(back, right)))))
        else:
            found = AllOf((right, related))
    return found


def size_of(predicate: Predicate) -> int:
    """How many comparisons the predicate has when it is written out, although parts of it may be the same objects."""
    return _size(predicate, {})


def _size(predicate: Predicate, known: dict[int, int]) -> int:
    if id(predicate) not in known:
        match predicate:
            case AllOf(terms) | AnyOf(terms):
                # What every span fulfils has no terms, and is written out all the same.
                size = max(1, sum(_size(term, known) for term in terms))
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
