"""The grammar of the language of the search box: a text in, a tree of words out, or what is wrong at which line and column."""

from __future__ import annotations

from typing import Final

from collector.query.query_grammar import QueryGrammar
from config.ottl_grammar import SHARED_GRAMMAR

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
DURATION.2: /([0-9]+(\.[0-9]+)?(ns|us|µs|μs|ms|s|m|h))+/
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


def _hint(found: str) -> str:
    match found:
        case "'":
            return "; texts stand in double quotes"
        case '"':
            return "; the text has no closing quote"
        case "&" | "|" | "!":
            return "; write and, or, not"
    return ""


words_of: Final = QueryGrammar(
    _GRAMMAR, _NAMES, {"LOWER", "TEXT", "LPAR", "NOT"}, {"LOWER", "TEXT", "INT", "BOOL"}, _hint
).words_of
"""The tree of the words of a query. Raises OttlError for what is none."""
