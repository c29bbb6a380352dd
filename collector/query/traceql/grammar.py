"""The grammar of TraceQL: a text in, a tree of words out, or what is wrong at which line and column."""

from __future__ import annotations

from functools import cache
from typing import Final

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedToken

from config.ottl_grammar import read_tree
from config.problems import printable

_GRAMMAR: Final = r"""
query: pipeline hints?
hints: "with" "(" hint ("," hint)* ")"
hint: NAME COMPARE (literal | NAME)
pipeline: sets ("|" stage)*
stage: set | call
call: name "(" [argument ("," argument)*] ")" [by] [compare literal]
name: NAME | BY
argument: field | literal
by: BY "(" field ("," field)* ")"
sets: joined ("||" joined)*
joined: related ("&&" related)*
related: set (structure set)*
structure: STRUCTURE | ANGLE
set: "{" [either] "}" | "(" sets ")"

either: both ("||" both)*
both: not_ ("&&" not_)*
not_: NOT not_ | "(" either ")" | comparison
comparison: side [compare side]
side: field | literal
compare: COMPARE | ANGLE
field: ATTRIBUTE | NAME
literal: [SIGN] (INT | FLOAT | DURATION) | TEXT

COMPARE: /=~|!~|!=|<=|>=|=/
ANGLE: /[<>]/
STRUCTURE: /&>>|&<<|!>>|!<<|>>|<<|&>|&<|&~|!>|!<|~/
NOT: "!"
BY: "by"
SIGN: "-"
ATTRIBUTE.2: /(parent\.)?(span|resource|event|link|instrumentation)?\.("(\\.|[^"\\])*"|[^\s{}(),=~!<>&|^"`])+/
DURATION.2: /(\d+(\.\d+)?(ns|us|µs|μs|ms|s|m|h))+/
FLOAT: /\d+\.\d*([eE][-+]?\d+)?/
INT: /\d+/
TEXT: /"(\\.|[^"\\])*"|`[^`]*`/s
NAME: /[A-Za-z_]+(:[A-Za-z]+)?/
%ignore /\s+/
"""
_NAMES: Final = {
    "COMPARE": "a comparison such as =",
    "BY": "by",
    "__ANON_1": "&&",
    "__ANON_0": "||",
    "VBAR": "|",
    "COMMA": ",",
    "LPAR": "(",
    "RPAR": ")",
    "LBRACE": "{",
    "RBRACE": "}",
    "TEXT": "a text in double quotes",
    "INT": "a whole number",
    "NAME": "a name",
    "$END": "the end",
}
_STARTS_OF_CONDITIONS: Final = {"ATTRIBUTE", "NAME", "TEXT", "NOT"}
_STARTS_OF_VALUES: Final = {"TEXT", "INT"}


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
    return f"expected {listed}{' or ' if listed else ''}{expected[-1] if expected else 'nothing'}, found {found}"


def _hint(found: str) -> str:
    match found:
        case "'":
            return "; texts stand in double quotes"
        case '"':
            return "; the text has no closing quote"
        case "+" | "*" | "/" | "%" | "^":
            return "; nothing can be calculated here"
    return ""
