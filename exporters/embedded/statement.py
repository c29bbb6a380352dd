"""What kind of statement a text holds, which format it asks for, and where its data begins.

Not a parser: the engine parses. Only what an HTTP server must know before the engine does is read here, token by token, so that
quotes, comments and brackets never mislead it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exporters.embedded.errors import error

_TOKEN = re.compile(
    rb"""(?P<space>\s+|--[^\n]*|\#[ !][^\n]*|/\*(?:[^*]|\*(?!/))*\*/)
    |(?P<string>'(?:[^'\\]|\\.|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|\xe2\x80\x98.*?\xe2\x80\x99)
    |(?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*"|\xe2\x80\x9c.*?\xe2\x80\x9d)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<number>\d[\w.]*)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_OPENING, _CLOSING = (b"(", b"[", b"{"), (b")", b"]", b"}")
_ROWS = frozenset({b"SELECT", b"WITH", b"FROM", b"("})


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of SQL. `kind` is string, quoted, word, number or sign; `depth` counts the brackets around it."""

    kind: str
    text: bytes
    start: int
    end: int
    depth: int

    def is_word(self, *words: bytes) -> bool:
        return self.kind == "word" and self.text.upper() in words


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT whose rows follow it as data.

    Attributes:
        head: table and columns, to the place where the source of the rows belongs.
        settings: its SETTINGS clause, or nothing.
        format: the data's format.
        data: the rows that stand in the same text.
        query: for `INSERT ... SELECT ... FROM input(...)`: the SELECT; the structure is in `input_structure`.
    """

    head: bytes
    settings: bytes
    format: bytes
    data: bytes
    query: tuple[bytes, bytes] | None = None
    input_structure: bytes = b""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, ready for the engine.

    Attributes:
        text: without the semicolon at its end.
        verb: its first word in capitals, or `(`.
        format: what its FORMAT clause says, or nothing.
        insert: how an INSERT gets its data, if it wants any.
    """

    text: bytes
    verb: bytes
    format: bytes
    insert: Insert | None

    @property
    def returns_rows_of_a_select(self) -> bool:
        """Whether the engine can hand the answer over block by block."""
        return self.verb in _ROWS


def tokens(text: bytes, position: int = 0) -> Iterator[Token]:
    """The tokens of `text` from `position`, without white space and comments."""
    depth = 0
    while match := _TOKEN.match(text, position):
        kind = match.lastgroup if match.lastgroup != "tag" else "string"
        start, position = match.span()
        if kind in (None, "space"):
            continue
        token = match[0]
        if token in _CLOSING:
            depth -= 1
        yield Token(str(kind), token, start, position, depth)
        if token in _OPENING:
            depth += 1


def unread_statement(text: bytes) -> Statement:
    """A statement that somebody else reads."""
    return Statement(text, b"", b"", None)


def read_statement(text: bytes) -> Statement:
    """Read one statement.

    Raises:
        DatabaseError: it is empty (62), it is several (62), or it would make the engine read or write files (344, 358).
    """
    stream = tokens(text)
    first = next(stream, None)
    if first is None or first.text == b";":
        raise error(62, "SYNTAX_ERROR", "Empty query")
    verb = first.text.upper()
    if verb == b"INSERT":
        insert = _read_insert(text, stream)
        if insert is not None:
            return Statement(text, verb, b"", insert)
    answer_format, end = b"", len(text)
    before: list[Token] = [first]
    for token in tokens(text):
        if token.text == b";" and token.depth == 0:
            rest = next(tokens(text, token.end), None)
            if rest is not None:
                where = text[token.start :].decode(errors="replace").rstrip()
                message = (
                    f"Syntax error (Multi-statements are not allowed): failed at position {token.start + 1} (end of query): "
                )
                raise error(62, "SYNTAX_ERROR", f"{message}{where}. ")
            end = token.start
            break
        _refuse_files(before, token)
        if before[-1].is_word(b"FORMAT") and token.kind == "word" and token.depth == 0:
            answer_format = token.text
        before = [*before[-2:], token]
    return Statement(text[:end], verb, answer_format, None)


def _refuse_files(before: list[Token], token: Token) -> None:
    """A server never lets a client's statement name files of its own."""
    if token.kind != "string" or len(before) < 2:
        return
    if before[-2].is_word(b"INTO") and before[-1].is_word(b"OUTFILE"):
        raise error(358, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed")
    if before[-2].is_word(b"FROM") and before[-1].is_word(b"INFILE"):
        raise error(344, "SUPPORT_IS_DISABLED", "FROM INFILE is not allowed")


def _read_insert(text: bytes, stream: Iterator[Token]) -> Insert | None:
    """Where an INSERT's data begins; None if its rows come from the database itself."""
    settings_at: int | None = None
    source: Token | None = None
    infile: list[Token] = []
    named = False
    for token in stream:
        if token.depth or token.text in _CLOSING:
            continue
        _refuse_files(infile, token)
        infile = [*infile[-1:], token]
        if not named:
            # The table may itself be called `values`: a name is whatever follows INTO, TABLE and FUNCTION.
            named = not token.is_word(b"INTO", b"TABLE", b"FUNCTION")
            continue
        if token.is_word(b"SETTINGS") and settings_at is None:
            settings_at = token.start
        elif token.is_word(b"VALUES", b"FORMAT"):
            source = token
            break
        elif token.is_word(b"SELECT", b"WITH", b"WATCH"):
            return _read_insert_from_input(text, token)
    if source is None:
        return None
    head_end = source.start if settings_at is None else settings_at
    settings = text[head_end : source.start]
    if source.is_word(b"VALUES"):
        return Insert(text[:head_end], settings, b"Values", text[source.end :])
    name = next(tokens(text, source.end), None)
    if name is None or name.kind != "word":
        return None
    return Insert(text[:head_end], settings, name.text, text[_data_start(text, name.end) :])


def _read_insert_from_input(text: bytes, select: Token) -> Insert | None:
    """`INSERT INTO t SELECT ... FROM input('structure') ... FORMAT f`: the SELECT reads the data through `input`."""
    called: list[Token] = []
    structure: tuple[Token, Token] | None = None
    recent: list[Token] = []
    for token in tokens(text, select.start):
        if len(recent) > 1 and recent[-2].is_word(b"INPUT") and recent[-1].text == b"(" and token.kind == "string":
            called, structure = [recent[-2]], None
        elif called and structure is None and token.text == b")":
            structure = (called[0], token)
        elif structure and recent and recent[-1].is_word(b"FORMAT") and token.kind == "word" and token.depth == 0:
            opening, closing = structure
            inner = next(tokens(text[: closing.start], opening.end + 1), None)
            described = b"" if inner is None else inner.text
            before, after = text[: opening.start], text[closing.end : recent[-1].start]
            return Insert(b"", b"", token.text, text[_data_start(text, token.end) :], (before, after), described)
        recent = [*recent[-1:], token]
    return None


def _data_start(text: bytes, position: int) -> int:
    """Data begins after one line feed, if only blanks stand before it, else at the first byte that is not a blank."""
    while text[position : position + 1] in (b" ", b"\t", b"\f"):
        position += 1
    if text[position : position + 1] == b"\r":
        position += 1
    return position + (text[position : position + 1] == b"\n")


def with_other_literals(text: bytes, replacements: Mapping[str, str]) -> bytes:
    """The statement with some string literals exchanged; `replacements` are plain texts without quotes or escapes in them."""
    parts, position = [], 0
    for token in tokens(text):
        other = replacements.get(token.text[1:-1].decode(errors="replace")) if token.kind == "string" else None
        if other is not None:
            parts += [text[position : token.start], b"'", other.encode(), b"'"]
            position = token.end
    return b"".join([*parts, text[position:]])


def quote(text: str) -> str:
    """A string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quote_name(name: str) -> str:
    """An identifier."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def assignments(settings: Mapping[str, str]) -> str:
    """What follows SET."""
    return ", ".join(f"{name} = {quote(value)}" for name, value in settings.items())
