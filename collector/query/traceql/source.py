"""A query's text while it is read: where something is wrong in it, and how much it asks for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Final, cast

from lark import Token, Tree

from collector.query.predicates import Field, Predicate
from collector.query.traceql.fields import Place, Subject, subject_of
from config.ottl_grammar import OttlError

Words = Tree[Token]

_DEEPEST: Final = 50
_MOST_CONDITIONS: Final = 100
_MOST_RELATIONS: Final = 20
"""Bounds on what a query makes the store do: parts in parts; comparisons and calculations; sets above, below or beside others."""


class Source:
    """A query's text.

    Attributes:
        text: of the query.
        shown: fields that the query has named so far, with the words for them.
        places: what it wants to be told of where spans stand.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.shown: dict[str, Field] = {}
        self.places: list[Place] = []
        self._conditions = 0
        self._relations = 0

    def error(self, at: Words, message: str) -> OttlError:
        """What is wrong with these words."""
        return OttlError(self.text, at.meta.start_pos, message)

    def check_depth(self, at: Words, depth: int) -> None:
        """Refuse too many parts within each other. Raises OttlError."""
        # A pair of parentheses around sets makes the tree three deeper.
        if depth > 3 * _DEEPEST:
            raise self.error(at, f"more than {_DEEPEST} parts stand within each other")

    def count_condition(self, at: Words) -> None:
        """Refuse one comparison or calculation too many. Raises OttlError."""
        self._conditions += 1
        if self._conditions > _MOST_CONDITIONS:
            raise self.error(at, f"there are more than {_MOST_CONDITIONS} conditions")

    def count_relation(self, at: Words) -> None:
        """Refuse one set too many that is above, below or beside another. Raises OttlError."""
        self._relations += 1
        if self._relations > _MOST_RELATIONS:
            raise self.error(at, f"more than {_MOST_RELATIONS} sets stand above, below or beside each other")

    def subject(self, field: Words) -> Subject:
        """What a field's words mean. Raises OttlError where they mean nothing."""
        try:
            return subject_of(str(field.children[0]))
        except ValueError as error:
            raise self.error(field, str(error)) from None

    def show(self, field: Words, subject: Subject) -> None:
        """What is found shows this field, too, where it is the span's own."""
        if subject.field is not None and subject.of == "span":
            self.shown[str(field.children[0])] = subject.field


def words(child: Words | Token) -> Words:
    """A part of the tree that is a tree."""
    return cast("Words", child)


def joined(tree: Words, read: Callable[[Words], Predicate], join: Callable[[str, tuple[Predicate, ...]], Predicate]) -> Predicate:
    """What parts with && and || between them come to: as in Tempo neither binds closer, and the left one is done first.

    Args:
        read: what a part means.
        join: what several mean between which there is always the same sign.
    """
    first, *rest = tree.children
    found = read(words(first))
    for sign, pairs in groupby(zip(rest[::2], rest[1::2], strict=True), lambda pair: str(pair[0])):
        found = join(sign, (found, *(read(words(part)) for _, part in pairs)))
    return found
