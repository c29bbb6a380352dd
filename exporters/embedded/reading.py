"""A reader's statement, read by the engine's own parser: what it makes of the text has to be one statement that reads.

Two things depend on it, which no right prevents: SET ROLE would give a reader's connection its rights back, and the client half
of chDB writes files for INTO OUTFILE before the engine is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from exporters.embedded.engine import Connection
from exporters.embedded.errors import DatabaseError, error
from exporters.embedded.formatting import QUOTED, formatted
from exporters.embedded.policies import check_within_policies
from exporters.embedded.rights import Rights
from exporters.embedded.statement import Statement

_READING: Final = frozenset({b"SELECT", b"WITH", b"SHOW", b"DESCRIBE", b"EXISTS", b"EXPLAIN", b"("})

_FIRST_WORD: Final = re.compile(rb"\w+|\(")
_WRITES_FILE: Final = re.compile(rb"\bINTO\s+OUTFILE\b", re.IGNORECASE)
_SEVERAL: Final = re.compile(rb"\bPARALLEL\s+WITH\b", re.IGNORECASE)
_FORMAT: Final = re.compile(rb".*\bFORMAT\s+(\w+)", re.DOTALL | re.IGNORECASE)


def read_as_reader(connection: Connection, rights: Rights, text: bytes, settings: Mapping[str, str]) -> Statement:
    """Read a statement on the reader's connection, whose settings must be those it was made with.

    Args:
        settings: that come with the statement.

    Raises:
        DatabaseError: 62 if it is no statement or several, 164 if it does more than read, 358 if it writes a file, 497 if it
            could show what others have.
    """
    written = formatted(connection, text)
    words = QUOTED.sub(b"''", written)
    first = _FIRST_WORD.match(words)
    if first is None or first[0].upper() not in _READING or _SEVERAL.search(words):
        raise readonly("execute query")
    if _WRITES_FILE.search(words):
        raise error(358, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed")
    if rights.workspaces is not None:
        check_within_policies(connection, written, settings)
    answer_format = _FORMAT.match(words)
    return Statement(text, first[0].upper(), b"" if answer_format is None else answer_format[1], None)


def readonly(what: str) -> DatabaseError:
    """What a server says to those who may only read."""
    return error(164, "READONLY", f"default: Cannot {what} in readonly mode")
