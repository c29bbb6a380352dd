"""The grammar of conditions and statements: text in, a tree of words out, or what is wrong at which line and column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final, Literal

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from config.problems import printable

MOST_CHARACTERS: Final = 10_000
"""The longest condition or statement."""

Whole = Literal["condition", "statement"]
"""What a text may be."""

SHARED_GRAMMAR: Final = r"""
either: both ("or" both)*
both: not_ ("and" not_)*
not_: NOT not_ | comparison
path: step ("." step)*
step: LOWER index*
index: "[" (TEXT | INT) "]"

FLOAT: /[0-9]*\.[0-9]+([eE][-+]?[0-9]+)?/
INT: /[0-9]+/
TEXT: /"(\\.|[^"\\])*"/s
SIGN: "+" | "-"
NOT: "not"
BOOL.1: /(true|false)\b/
NIL: "nil"
UPPER: /[A-Z][A-Za-z0-9_]*/
%ignore /\s+/
"""
"""What other languages of conditions have in common with OTTL: each says itself what a `comparison` and a LOWER are."""

_GRAMMAR: Final = (
    SHARED_GRAMMAR
    + r"""
condition: either
statement: editor ["where" either]
comparison: sum [COMPARE sum]
sum: product (SIGN product)*
product: signed (TIMES signed)*
signed: SIGN signed | value
value: INT | FLOAT | BYTES | TEXT | BOOL | NIL | UPPER | path | call | editor | list | map | "(" either ")"
call: UPPER "(" [argument ("," argument)*] ")" index*
editor: LOWER "(" [argument ("," argument)*] ")"
argument: [LOWER "="] either
list: "[" [either ("," either)*] "]"
map: "{" [entry ("," entry)*] "}"
entry: TEXT ":" either

BYTES: /0x[0-9a-fA-F]*/
COMPARE: "==" | "!=" | "<=" | ">=" | "<" | ">"
TIMES: "*" | "/"
LOWER: /[a-z_][A-Za-z0-9_]*/
"""
)

_NAMES: Final[Mapping[str, str]] = {
    "COMPARE": "a comparison such as ==",
    "SIGN": "+ or -",
    "TIMES": "* or /",
    "AND": '"and"',
    "OR": '"or"',
    "WHERE": '"where"',
    "DOT": ".",
    "COMMA": ",",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "RBRACE": "}",
    "COLON": ":",
    "EQUAL": "=",
    "TEXT": "a text in double quotes",
    "INT": "a whole number",
    "LOWER": "a name",
    "$END": "the end",
}
_STARTS_OF_VALUES: Final = {"INT", "FLOAT", "BYTES", "TEXT", "BOOL", "NIL", "UPPER", "LOWER", "LSQB", "LBRACE", "LPAR"}
_AFTER_VALUES: Final = ("COMPARE", "AND", "OR", "WHERE", "RPAR", "COMMA", "RSQB", "RBRACE", "$END")
_ESCAPE: Final = re.compile(
    r'\\(?:([abfnrtv\\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))', re.DOTALL
)
_LETTERS: Final = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}


class OttlError(ValueError):
    """A condition or a statement cannot be used.

    Attributes:
        line, column: where, from 1.
        message: what is wrong there, and what would be right.
    """

    def __init__(self, text: str, at: int, message: str) -> None:
        self.line = text.count("\n", 0, at) + 1
        self.column = at - text.rfind("\n", 0, at)
        self.message = message
        super().__init__(f"line {self.line}, column {self.column}: {message}")


@cache
def _parser() -> Lark:
    return Lark(
        _GRAMMAR,
        start=["condition", "statement"],
        parser="lalr",
        lexer="basic",
        propagate_positions=True,
        maybe_placeholders=False,
    )


def read_words(text: str, whole: Whole = "condition") -> Tree[Token]:
    """The tree of the words of a condition or a statement. Raises OttlError for what is none."""
    return read_tree(_parser(), text, whole, lambda error: _explained(error, whole), lambda found: _hint(found, whole))


def read_tree(
    parser: Lark, text: str, start: str, explained: Callable[[UnexpectedToken], str], hint: Callable[[str], str]
) -> Tree[Token]:
    """The tree of a text, or what is wrong with it.

    Args:
        start: the rule of the whole.
        explained: what is wrong about a word that stands where it cannot.
        hint: what may have been meant by a character or word, with its punctuation; empty when nothing is known.

    Raises:
        OttlError: the text does not follow the grammar, or is longer than MOST_CHARACTERS.
    """
    if len(text) > MOST_CHARACTERS:
        raise OttlError(text, MOST_CHARACTERS, f"must have at most {MOST_CHARACTERS} characters")
    try:
        return parser.parse(text, start=start)
    except UnexpectedToken as error:
        at = error.token.start_pos if error.token.type != "$END" else len(text.rstrip())
        raise OttlError(text, at or 0, explained(error)) from None
    except UnexpectedCharacters as error:
        found = printable(error.char)
        raise OttlError(text, error.pos_in_stream or 0, f"{found} has no meaning here{hint(error.char)}") from None


def _explained(error: UnexpectedToken, whole: Whole) -> str:
    accepted = error.accepts or set()
    token = error.token
    found = "the end" if token.type == "$END" else printable(str(token))
    if accepted >= _STARTS_OF_VALUES:
        expected = ["a value"]
    elif accepted & {"COMPARE", "SIGN"}:
        # Calculations could follow as well, but are hardly what is missing.
        expected = [_NAMES[each] for each in _AFTER_VALUES if each in accepted]
    else:
        expected = sorted(_NAMES.get(each, each.lower()) for each in accepted)
    listed = ", ".join(expected[:-1])
    hint = _hint(str(token), whole)
    if whole == "statement" and accepted in ({"LOWER"}, {"LPAR"}):
        hint = '; a statement begins with what it does, as in set(span.attributes["key"], "value")'
    return f"expected {listed}{' or ' if listed else ''}{expected[-1]}, found {found}{hint}"


def _hint(found: str, whole: Whole) -> str:
    match found:
        case "=":
            return "; for equality write =="
        case "'":
            return f"; texts stand in double quotes, and in YAML the whole {whole} in single ones"
        case '"':
            return "; the text has no closing quote"
        case "&" | "|" | "!":
            return "; write and, or, not"
        case "where" if whole == "condition":
            return "; a condition stands without where"
    return ""


def read_text(text: str, token: Token) -> str:
    """What a text in quotes says. Raises OttlError for escapes that are none."""
    at = token.start_pos or 0
    pieces = bytearray()
    position = 1
    for match in _ESCAPE.finditer(token, 1, len(token) - 1):
        pieces += token[position : match.start()].encode("utf-8", "surrogatepass")
        letter, byte, short, long, octal, other = match.groups()
        if other is not None:
            shown = printable(f"\\{other}")
            raise OttlError(text, at + match.start(), f"{shown} is no escape in a text; a backslash itself is written \\\\")
        if letter:
            pieces.append(_LETTERS[letter])
        elif byte or octal:
            number = int(byte, 16) if byte else int(octal, 8)
            if number > 255:
                raise OttlError(text, at + match.start(), f"\\{octal} is beyond \\377")
            pieces.append(number)
        else:
            number = int(short or long, 16)
            if number > 0x10FFFF or 0xD800 <= number < 0xE000:
                raise OttlError(text, at + match.start(), f"{match[0]} is no character")
            pieces += chr(number).encode()
        position = match.end()
    pieces += token[position : len(token) - 1].encode("utf-8", "surrogatepass")
    try:
        return pieces.decode()
    except UnicodeDecodeError:
        raise OttlError(text, at, "the text is not UTF-8") from None
