"""The grammar of TraceQL: a text in, a tree of words out, or what is wrong at which line and column."""

from __future__ import annotations

from typing import Final

from collector.query.query_grammar import QueryGrammar

# Rules with a question mark leave no trace where they have one part, so that parentheses make a tree no deeper.
_SEARCH: Final = r"""
query: pipeline hints?
set: "{" [either] "}" | "(" sets ")" | wrapped
wrapped: "(" (sets "|" stage | call) ("|" stage)* ")"
"""
_METRICS: Final = r"""
query: (pipeline | narrowed) hints?
?narrowed: _result [compare sum] ("|" stage)*
_result: total | share | _operand
total: _term ((PLUS | MINUS) _term)+
_term: share | _operand
share: _operand ((STAR | SLASH) _operand)+
_operand: grouped | number
?number: INT -> literal | FLOAT -> literal | FRACTION -> literal | MINUS number -> unary
grouped: "(" sets ("|" stage)+ ")" | "(" narrowed ")"
set: "{" [either] "}" | "(" sets ")"
"""
_BOTH: Final = r"""
hints: "with" "(" hint ("," hint)* ")"
hint: NAME COMPARE (literal | NAME)
pipeline: (sets | call) ("|" stage)*
stage: set | call
call: name "(" [argument ("," argument)*] ")" [by] [compare sum]
name: NAME | BY
argument: sum | set
by: BY "(" field ("," field)* ")"
sets: related ((AND | OR) related)*
related: set (structure set)*
structure: STRUCTURE | ANGLE | NO_MATCH

?either: comparison ((AND | OR) comparison)*
?comparison: sum [compare sum] | NOT negated [compare sum] -> not_
?negated: NOT negated -> not_ | atom
?sum: signed ((PLUS | MINUS) signed)*
?signed: MINUS signed -> unary | product
?product: power ((STAR | SLASH | PERCENT) factor)*
?factor: MINUS factor -> unary | power
?power: atom [CARET exponent]
?exponent: MINUS exponent -> unary | power
?atom: field | literal | "(" either ")"
compare: COMPARE | ANGLE | NO_MATCH
field: ATTRIBUTE | NAME
literal: INT | FLOAT | FRACTION | DURATION | TEXT

COMPARE: /=~|!=|<=|>=|=/
NO_MATCH: "!~"
ANGLE: /[<>]/
STRUCTURE: /&>>|&<<|!>>|!<<|>>|<<|&>|&<|&~|!>|!<|~/
AND: "&&"
OR: "||"
NOT: "!"
BY: "by"
PLUS: "+"
MINUS: "-"
STAR: "*"
SLASH: "/"
PERCENT: "%"
CARET: "^"
ATTRIBUTE.2: /((parent|(parent\.)?(span|resource|event|link|instrumentation))\.|\.)("(\\.|[^"\\])*"|[^\s{}(),=~!<>&|^"`])+/
DURATION.2: /([0-9]+(\.[0-9]+)?(ns|us|µs|μs|ms|[smhdwy]))+/
FRACTION.3: /\.[0-9]+([eE][-+]?[0-9]+)?(?![^\s{}(),=~!<>&|^"`])/
FLOAT: /[0-9]+(\.[0-9]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)/
INT: /[0-9]+/
TEXT: /"(\\.|[^"\\])*"|`[^`]*`/s
NAME: /[A-Za-z_]+(:[A-Za-z]+)?/
COMMENT.4: /\/\/[^\n]*|\/\*.*?\*\//s
%ignore COMMENT
%ignore /\s+/
"""
_NAMES: Final = {
    "COMPARE": "a comparison such as =",
    "BY": "by",
    "AND": "&&",
    "OR": "||",
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


def _hint(found: str) -> str:
    match found:
        case "'":
            return "; texts stand in double quotes"
        case '"':
            return "; the text has no closing quote"
        case "+" | "-" | "*" | "/" | "%" | "^":
            return "; calculate within braces, or with metrics in parentheses, as in ({.a = 1} | rate()) / ({} | rate())"
    return ""


def _grammar(rules: str) -> QueryGrammar:
    return QueryGrammar(rules + _BOTH, _NAMES, {"ATTRIBUTE", "NAME", "TEXT", "NOT"}, {"TEXT", "INT"}, _hint)


search_words_of: Final = _grammar(_SEARCH).words_of
"""The tree of the words of a query for traces. Raises OttlError for what is none."""
metrics_words_of: Final = _grammar(_METRICS).words_of
"""The tree of the words of a query for metrics. Raises OttlError for what is none."""
