"""The grammar of the language of the search box: a text in, a tree of words out, or what is wrong at which line and column."""

from __future__ import annotations

from functools import cache
from typing import Final

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedToken

from config.ottl_grammar import SHARED_GRAMMAR, read_tree
from config.problems import printable

_GRAMMAR: Final = (
    SHARED_GRAMMAR
    + r"""
query: either
comparison: compared | among | call | set | phrase | "(" either ")"
compared: path COMPARE literal
among: path "in" "(" literal ("," literal)* ")"
call: UPPER "(" [path ["," TEXT]] ")"
set: "{" [either] "}"
phrase: TEXT
literal: [SIGN] (INT | FLOAT) | DURATION | TEXT | BOOL | NIL | UPPER | path

COMPARE: /==|=~|!=|!~|<=|>=|<|>|=/
DURATION.2: /(\d+(\.\d+)?(ns|us|µs|μs|ms|s|m|h))+/
LOWER: /[a-z_][A-Za-z0-9_-]*/
"""
)
_NAMES: Final = {
    "COMPARE": "a comparison such as =",
    "IN": '"in"',
    "AND": '"and"',
    "OR": '"or"',
    "DOT": ".",
    "COMMA": ",",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "RBRACE": "}",
    "TEXT": "a text in double quotes",
    "INT": "a whole number",
    "FLOAT": "a number",
    "LOWER": "a name",
    "$END": "the end",
}
_STARTS_OF_CONDITIONS: Final = {"LOWER", "TEXT", "LPAR", "NOT"}
_STARTS_OF_VALUES: Final = {"LOWER", "TEXT", "INT", "BOOL"}


def words_of(text: str) -> Tree[Token]:
    """The tree of the words of a query. Raises OttlError for what is none."""
    return read_tree(_parser(), text, "query", _explained, _hint)


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, start="query", parser="lalr", lexer="basic", propagate_positions=True, maybe_placeholders=False)


def _explained(error: UnexpectedToken) -> str:
    accepted = error.accepts or set()
    found = "the end" if error.token.type == "$END" else printable(str(error.token))
    if accepted >= _STARTS_OF_CONDITIONS:
        expected = ["a condition"]
    elif accepted >= _STARTS_OF_VALUES:
        expected = ["a value"]
    else:
        order = list(_NAMES)
        expected = [_NAMES[name] for name in sorted(accepted & _NAMES.keys(), key=order.index)]
    listed = ", ".join(expected[:-1])
    return f"expected {listed}{' or ' if listed else ''}{expected[-1]}, found {found}{_hint(str(error.token))}"


def _hint(found: str) -> str:
    match found:
        case "'":
            return "; texts stand in double quotes"
        case '"':
            return "; the text has no closing quote"
        case "&" | "|" | "!":
            return "; write and, or, not"
    return ""
