"""ClickHouse's HTTP dialect: values of parameters as text, bodies as columns, and the exceptions that answers carry.

Answers are `JSONColumns`: column-wise, exact for 64-bit integers, strings byte for byte (the JSON formats with metadata would
replace what is not UTF-8), and parsed at C speed. A `Map` would lose duplicate keys in JSON, so queries ask for `mapKeys` and
`mapValues`; nanosecond times are asked for as integers. Very long answers of plain columns are `Native`, of which no object is
made for each value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from proto.native_decode import Column, NativeError, decode_blocks

# DB::Exception, DB::NetException, Coordination::Exception, ...; and those that came out of a library.
_EXCEPTION_TEXT: Final = re.compile(
    r"(?:^|\n|\r)(?:Code: (?P<code>\d+)\. \w+::\w*Exception: |(?:std|Poco)::[Ee]xception\. Code: (?P<foreign>\d+), )(?P<text>.*)",
    re.DOTALL,
)
# Where a disk is at fault, its state stands behind the name.
_EXCEPTION_NAME: Final = re.compile(r"\(([A-Z][A-Z0-9_]*)\)\s*(?:Total space: .*?)?(?:\(version [^)]*\)+)?\s*\Z", re.DOTALL)
_FRAME: Final = b"__exception__"
_RETRYABLE_CODES: Final = frozenset({159, 202, 209, 210, 241, 252, 319, 999})
_TAB_SEPARATED_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\0": "\\0"}
)
_QUOTED_ESCAPES: Final = {**_TAB_SEPARATED_ESCAPES, ord("'"): "\\'"}

QUERY_SETTINGS: Final[Mapping[str, object]] = {
    "default_format": "JSONColumns",
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_validate_utf8": 0,
    "wait_end_of_query": 1,
    "http_write_exception_in_output_format": 0,
}
"""Arguments of a request whose answer `parse_columns` can read."""
NATIVE_SETTINGS: Final[Mapping[str, object]] = {"default_format": "Native", "wait_end_of_query": 1}
"""Arguments of a request whose answer `parse_blocks` can read."""


class ClickHouseError(Exception):
    """The server answered with an exception.

    Attributes:
        code: number of the error, as in `system.errors` (60 is UNKNOWN_TABLE); 0 when the answer held none.
        name: its name, empty when the answer held none.
        message: the server's text without code, name and version.
        status: HTTP status of the answer; 200 when the exception came after the first byte of the result.
    """

    def __init__(self, code: int, name: str, message: str, status: int) -> None:
        super().__init__(code, name, message, status)
        self.code = code
        self.name = name
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"ClickHouse error {self.code} ({self.name or 'unnamed'}): {self.message}"

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later (too many parts, out of memory, time-out, ...)."""
        return self.code in _RETRYABLE_CODES or self.status in (429, 503, 504)


class ClickHouseUnavailable(Exception):
    """No endpoint gave a whole answer.

    Attributes:
        sent: whether a server may have received the request, so that an insert may have been done.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ClickHouseTimeout(ClickHouseUnavailable):
    """No answer within the time allowed; the query was told to stop."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query answered, column by column.

    Attributes:
        columns: name -> values, all of `row_count` length. Strings that are not UTF-8 carry their odd bytes as
            surrogates (`surrogateescape`).
        row_count: number of rows.
    """

    columns: dict[str, list[Any]]
    row_count: int

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows in order, each as name -> value."""
        names = tuple(self.columns)
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def parameter_text(value: object) -> str:
    """Text of a query parameter: escaped as in tab-separated data at the top, as in SQL literals inside arrays.

    Raises:
        TypeError: the value is no str, bool, int, float, None, or list or tuple of these.
    """
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_TAB_SEPARATED_ESCAPES)
    return _literal(value)


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    # Subclasses may print as they like; the number is what counts.
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, str):
        return f"'{value.translate(_QUOTED_ESCAPES)}'"
    if isinstance(value, list | tuple):
        return f"[{','.join(_literal(item) for item in value)}]"
    raise TypeError(f"query parameter of type {type(value).__name__}: str, bool, int, float, None, list or tuple is needed")


def parse_columns(answer: Answer) -> QueryResult:
    """The columns of an answer.

    Raises:
        ClickHouseError: the body ends with an exception, or is not what was asked for.
    """
    try:
        columns = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise_late_exception(answer)
        # Strings of other writers need not be UTF-8; the server passes their bytes on as they are.
        try:
            columns = json.loads(answer.body.decode(errors="surrogateescape"))
        except ValueError as error:
            raise ClickHouseError(0, "", f"the answer is not JSON: {error}", answer.status) from error
    return QueryResult(columns, max(map(len, columns.values()), default=0))


def parse_blocks(answer: Answer) -> dict[str, Column]:
    """The columns of an answer in the Native format; none when it has no rows. Of a large answer it takes a while.

    Raises:
        ClickHouseError: the body ends with an exception, or is not what was asked for.
    """
    try:
        return decode_blocks(answer.body)
    except NativeError as error:
        raise_late_exception(answer)
        raise ClickHouseError(0, "", str(error), answer.status) from error


def raise_late_exception(answer: Answer) -> None:
    """Raise the exception that the body of a 200 ends with, in either of the server's two framings."""
    tag = answer.headers.get("X-ClickHouse-Exception-Tag", "").encode()
    if tag:
        start = answer.body.rfind(b"\r\n" + _FRAME + b"\r\n" + tag + b"\r\n")
        if start >= 0:
            text = answer.body[start + len(_FRAME) + len(tag) + 6 :]
            end = text.rfind(b" " + tag + b"\r\n" + _FRAME)
            # What stands before the tag is the length of the text, on a line of its own.
            raise error_of(answer, text[:end].rpartition(b"\n")[0] if end >= 0 else text)
    found = _EXCEPTION_TEXT.search(answer.body[-65536:].decode(errors="replace"))
    if found:
        raise error_of(answer, found.group(0).encode())


def error_of(answer: Answer, body: bytes) -> ClickHouseError:
    """The exception that the text of `body` tells of."""
    text = body.decode(errors="replace").strip()
    found = _EXCEPTION_TEXT.search(text)
    if not found:
        code = int(answer.headers.get("X-ClickHouse-Exception-Code", 0))
        return ClickHouseError(code, "", text[:2000], answer.status)
    message = found["text"].strip()
    name = _EXCEPTION_NAME.search(message)
    if name:
        message = message[: name.start()].strip()
    return ClickHouseError(int(found["code"] or found["foreign"]), name.group(1) if name else "", message[:2000], answer.status)
