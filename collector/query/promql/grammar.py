"""The grammar of PromQL, as far as it is served: a text in, a tree of words out, or what is wrong at which line and column."""

from __future__ import annotations

from typing import Final

from collector.query.query_grammar import QueryGrammar

_GRAMMAR: Final = r"""
query: either
?either: both | either OR matching both -> binary
?both: compared | both (AND | UNLESS) matching compared -> binary
?compared: sum | compared COMPARE matching sum -> binary
?sum: product | sum SIGN matching product -> binary
?product: signed | product (TIMES | ATAN2) matching signed -> binary
?signed: power | SIGN signed -> signed
?power: ranged | ranged POWER matching signed -> binary
?ranged: primary | ranged range | ranged offset | ranged at
range: "[" _length (COLON _length?)? "]"
offset: OFFSET SIGN? _length
_length: DURATION | NUMBER
at: AT (SIGN? NUMBER | NAME "(" ")")
?primary: number | text | selector | call | aggregation | "(" either ")" -> bracketed
number: NUMBER | DURATION
text: TEXT
selector: name matchers? | matchers
name: NAME | METRIC
matchers: "{" (_asked ("," _asked)* ","?)? "}"
_asked: matcher | text
matcher: label (EQUAL | COMPARE | MATCH) TEXT
label: TEXT | NAME | AGGREGATION | BY | WITHOUT | ON | IGNORING | BOOL | OFFSET | GROUP | AND | OR | UNLESS | ATAN2
call: NAME "(" (either ("," either)*)? ")"
aggregation: AGGREGATION grouping? "(" either ("," either)* ")" | AGGREGATION "(" either ("," either)* ")" grouping
grouping: (BY | WITHOUT) labels
labels: "(" (label ("," label)* ","?)? ")"
matching: BOOL? ((ON | IGNORING) labels (GROUP labels?)?)?

OR.3: /or(?![\w:])/i
AND.3: /and(?![\w:])/i
UNLESS.3: /unless(?![\w:])/i
ATAN2.3: /atan2(?![\w:])/i
BY.3: /by(?![\w:])/i
WITHOUT.3: /without(?![\w:])/i
ON.3: /on(?![\w:])/i
IGNORING.3: /ignoring(?![\w:])/i
BOOL.3: /bool(?![\w:])/i
OFFSET.3: /offset(?![\w:])/i
GROUP.3: /group_(left|right)(?![\w:])/i
AGGREGATION.3: /(sum|avg|min|max|count|group|stddev|stdvar|topk|bottomk|quantile|count_values)(?![\w:])/i
DURATION.2: /([0-9]+(ms|[smhdwy]))+(?!\w)/
NUMBER.2: /0[xX][0-9a-fA-F]+|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?(?!\w)|(inf|nan)(?![\w:])/i
NAME.1: /[A-Za-z_]\w*(?![\w:])/
METRIC: /[A-Za-z_][\w:]*/
TEXT: /"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])*'|`[^`]*`/
MATCH.1: /=~|!~/
COMPARE.1: /==|!=|<=|>=|<|>/
EQUAL: "="
POWER: "^"
TIMES: /[*\/%]/
SIGN: /[-+]/
COLON: ":"
AT: "@"
%ignore /\s+/
%ignore /#[^\n]*/
"""
_NAMES: Final = {
    "SIGN": "an operator",
    "COMPARE": "a comparison",
    "EQUAL": "=",
    "MATCH": "=~",
    "BY": "by",
    "OFFSET": "offset",
    "DURATION": "a duration such as 5m",
    "NUMBER": "a number",
    "NAME": "a name",
    "TEXT": "a text in quotes",
    "COMMA": ",",
    "LPAR": "(",
    "RPAR": ")",
    "LBRACE": "{",
    "RBRACE": "}",
    "LSQB": "[",
    "RSQB": "]",
    "AT": "@",
    "$END": "the end",
}


def _hint(found: str) -> str:
    match found:
        case '"' | "'" | "`":
            return "; the text has no closing quote"
        case "&" | "|" | "!":
            return "; write and, or, unless"
    return ""


_VALUES: Final = {"NAME", "NUMBER", "LPAR", "AGGREGATION"}
_CONDITIONS: Final = {"COLON", *_VALUES}
"""There are none: these are never possible all at once."""
words_of: Final = QueryGrammar(_GRAMMAR, _NAMES, _CONDITIONS, _VALUES, _hint).words_of
"""The tree of the words of a query. Raises OttlError for what is none."""
