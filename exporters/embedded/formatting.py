"""Statements as the engine's own parser writes them: on one line, without comments, and with quotes of two kinds."""

from __future__ import annotations

import re
from typing import Final

from exporters.embedded.engine import Connection
from exporters.embedded.errors import DatabaseError, error

QUOTED: Final = re.compile(rb"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`", re.DOTALL)
"""What stands between quotes, and these."""

# The question to the parser, in its complaint about the text.
_QUESTION: Final = re.compile(r": In scope SELECT formatQuerySingleLine\(.*(?=\. \([A-Z_]+\)$)", re.DOTALL)


def formatted(connection: Connection, text: bytes) -> bytes:
    """One statement. Raises DatabaseError 62 if it is none, or several."""
    try:
        statement = text.decode().replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    except UnicodeDecodeError:
        raise error(62, "SYNTAX_ERROR", "The statement is not UTF-8") from None
    try:
        return connection.run("SELECT formatQuerySingleLine({statement:String})", "TSVRaw", {"statement": statement}).data
    except DatabaseError as refused:
        raise DatabaseError(refused.code, _QUESTION.sub("", refused.text)) from None
