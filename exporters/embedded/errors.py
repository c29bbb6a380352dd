"""Errors in ClickHouse's own words: `Code: N. DB::Exception: text. (NAME) (version V)`, and the HTTP status that belongs to N."""

from __future__ import annotations

import re

_CODE = re.compile(r"Code: (\d+)\. DB::")

# Data of an INSERT reaches the engine as a file (see `data`), which is nobody's business but ours; an error that crosses that
# border is also wrapped in itself.
_INNER = re.compile(r"^Code: \d+\. DB::Exception: Code:")
_OF_OUR_FILE = re.compile(
    r": \(in file/uri /proc/self/fd/\d+\)|: While executing File|: data for INSERT was parsed from file|"
    r"(?<=\.) \([A-Z0-9_]+\) \(version [\d.]+\)\.(?= \()| \(version [\d.]+\)\.?(?= \([A-Z0-9_]+\)$)|"
    # Where in our own code a function was refused.
    r"\n\nAt:\n(?:  [^\n]*\n?)+"
)

# What a ClickHouse 26.7 server answers for each code from 1 to 1010; every other code is 500.
_CODES_OF_STATUS = {
    400: (6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676),
    401: (194,),
    403: (192, 193, 512, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (159,),
    411: (381,),
    413: (229,),
    415: (779,),
    501: (48,),
    503: (76, 209, 439),
}
_STATUS_OF_CODE = {code: status for status, codes in _CODES_OF_STATUS.items() for code in codes}

_READONLY_ON_GET = (
    "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
    "You should use method POST for modifying queries."
)


class DatabaseError(Exception):
    """A statement or a request that ClickHouse would refuse.

    Attributes:
        code: ClickHouse's error code.
        text: the complete line that a client reads, without the version and the newline at its end.
        of_session: whether a session had been opened when it happened; only then does the line end with the version.
    """

    def __init__(self, code: int, text: str, *, of_session: bool = True) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.of_session = of_session

    @property
    def status(self) -> int:
        """The HTTP status of an answer that consists of this error."""
        return _STATUS_OF_CODE.get(self.code, 500)

    def on_get(self) -> DatabaseError:
        """The same, with the hint that a server gives to those who try to write with GET."""
        hinted = self.text.replace("Cannot execute query in readonly mode.", _READONLY_ON_GET, 1)
        return DatabaseError(self.code, hinted, of_session=self.of_session)

    def body(self, version: str) -> bytes:
        """The error as a client reads it, UTF-8, one line feed at its end."""
        suffix = f" (version {version})" if self.of_session else ""
        return f"{self.text}{suffix}\n".encode()


def error(code: int, name: str, message: str, *, of_session: bool = True) -> DatabaseError:
    """An error that this face finds by itself, in the engine's form. `message` has no full stop at its end."""
    return DatabaseError(code, f"Code: {code}. DB::Exception: {message}. ({name})", of_session=of_session)


def from_engine(raised: RuntimeError | UnicodeDecodeError) -> DatabaseError:
    """What chDB raised, or would have raised if its text were UTF-8."""
    said = raised.object.decode(errors="replace") if isinstance(raised, UnicodeDecodeError) else str(raised)
    text = _INNER.sub("Code:", _OF_OUR_FILE.sub("", said.strip()))
    found = _CODE.search(text)
    code = int(found[1]) if found else 1001
    if found is None:
        text = f"Code: {code}. DB::Exception: {text}. (STD_EXCEPTION)"
    return DatabaseError(code, text[found.start() :] if found else text)
