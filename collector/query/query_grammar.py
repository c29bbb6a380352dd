"""What languages in which one can search have in common: a grammar, and words for what was expected where it is not followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import cached_property

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedToken

from config.ottl_grammar import read_tree
from config.problems import printable


@dataclass(frozen=True)
class QueryGrammar:
    """The grammar of a language.

    Attributes:
        grammar: in Lark's form; the whole is the rule `query`.
        names: words for its terminals, in the order in which they are told; those without are never told.
        conditions, values: terminals of which all are possible only where a condition or a value begins.
        hint: what may have been meant by a character or word, with its punctuation; empty when nothing is known.
    """

    grammar: str
    names: Mapping[str, str]
    conditions: Set[str]
    values: Set[str]
    hint: Callable[[str], str]

    def words_of(self, text: str) -> Tree[Token]:
        """The tree of the words of a query. Raises OttlError for what is none."""
        return read_tree(self._parser, text, "query", self._explained, self.hint)

    @cached_property
    def _parser(self) -> Lark:
        return Lark(self.grammar, start="query", parser="lalr", lexer="basic", propagate_positions=True, maybe_placeholders=False)

    def _explained(self, error: UnexpectedToken) -> str:
        accepted = error.accepts or set()
        found = "the end" if error.token.type == "$END" else printable(str(error.token))
        if accepted >= self.conditions:
            expected = ["a condition"]
        elif accepted >= self.values:
            expected = ["a value"]
        else:
            expected = [word for name, word in self.names.items() if name in accepted]
        listed = ", ".join(expected[:-1])
        return f"expected {listed}{' or ' if listed else ''}{expected[-1]}, found {found}{self.hint(str(error.token))}"
