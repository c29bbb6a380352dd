"""How requests in the dialects of other systems are read.

Unlike the parameters of our own API, those that are not known are ignored, and an empty text is a field that nobody filled in:
the clients of these dialects send both.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final, TypeVar

from multidict import MultiMapping

from collector.api.parsing import parse_duration, parse_time
from collector.api.problems import BadParameter
from collector.query.store import MAX_TIMESTAMP

T = TypeVar("T")

MICROSECOND: Final = 10**3
MILLISECOND: Final = 10**6
SECOND: Final = 10**9
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR

NAMES_RANGE: Final = 7 * DAY
"""Names of services, operations and attributes are those of so many nanoseconds where a dialect has no time range for them."""
MOST_NAMES: Final = 10_000
"""Names in a list that has no limit of its own."""

_HEX: Final = re.compile(r"[0-9a-fA-F]{1,32}")


def asked(query: MultiMapping[str], parse: Callable[[str], T], default: T, *names: str) -> T:
    """The value of a parameter that has one name, or an older one as well.

    Raises:
        BadParameter: the text is none that `parse` takes.
    """
    for name in names:
        text = query.get(name, "")
        if text:
            return parsed(name, text, parse)
    return default


def parsed(name: str, text: str, parse: Callable[[str], T]) -> T:
    """The value of a parameter's text.

    Raises:
        BadParameter: `parse` has raised a ValueError.
    """
    try:
        return parse(text)
    except ValueError as error:
        raise BadParameter(name, text, str(error)) from error


def required(query: MultiMapping[str], name: str, what: str) -> str:
    """The text of a parameter that must be there.

    Raises:
        BadParameter: it is not.
    """
    text = query.get(name, "")
    if not text:
        raise BadParameter(name, text, f"{what} is needed")
    return text


def whole(minimum: int, maximum: int) -> Callable[[str], int]:
    """Reads a whole number in a range."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,19}", text, re.ASCII) or not minimum <= int(text) <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return int(text)

    return parse


def epoch(unit: int) -> Callable[[str], int]:
    """Reads nanoseconds from a whole number of units, of so many nanoseconds each, since 1970; as well as lengths of time."""
    most = MAX_TIMESTAMP // unit

    def parse(text: str) -> int:
        return whole(0, most)(text) * unit

    return parse


def truth(text: str) -> bool:
    """Reads a flag."""
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError("must be true or false")
    return text.lower() in ("true", "1")


def span_durations(query: MultiMapping[str], shortest: str, longest: str) -> tuple[int | None, int | None]:
    """Both bounds of a duration, in Go's form; nanoseconds.

    Raises:
        BadParameter: one is no duration, or the longest is below the shortest.
    """
    low = asked(query, parse_duration, None, shortest)
    high = asked(query, parse_duration, None, longest)
    if low is not None and high is not None and high < low:
        raise BadParameter(longest, query.get(longest, ""), f"must not be below {shortest}")
    return low, high


def ordered(start: int, end: int, name: str, text: str) -> tuple[int, int]:
    """A time range, nanoseconds.

    Raises:
        BadParameter: it is empty.
    """
    if start >= end:
        raise BadParameter(name, text, "the start must lie before the end")
    return start, end


def rfc3339(text: str) -> int:
    """Nanoseconds since 1970."""
    if "-" not in text:
        raise ValueError("must be a time such as 2026-03-01T12:00:00Z")
    return parse_time(text)


def lenient_trace_id(text: str) -> str:
    """32 hex digits of 1 to 32 of them, or of 8 or 16 bytes in base64.

    Raises:
        ValueError: it is neither, or all zero, which is no id.
    """
    digits = text.strip().lower()
    if not _HEX.fullmatch(digits):
        try:
            raw = base64.b64decode(digits_of_base64(text.strip()), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        digits = raw.hex() if len(raw) in (8, 16) else ""
    if not digits.strip("0"):
        raise ValueError("1 to 32 hexadecimal digits are needed, not all of them zero")
    return digits.zfill(32)


def digits_of_base64(text: str) -> str:
    """Base64 of either alphabet, padded or not, in the one for URLs, padded."""
    text = text.rstrip("=").replace("+", "-").replace("/", "_")
    return text + "=" * (-len(text) % 4)
