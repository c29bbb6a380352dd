"""Texts of parameters, read as values. What is none raises ValueError, which says what would be right."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

from collector.query.store import MAX_TIMESTAMP
from config.values import Duration

_TIMESTAMP: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+\- ]\d{2}:\d{2})", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,19}(?:\.\d{1,9})?", re.ASCII)
# Below: seconds until the year 5138, milliseconds from 1973 on, microseconds from 1973 on; above: nanoseconds.
_EPOCH_UNITS: Final = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))


def parse_time(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time or of a number of seconds, milli-, micro- or nanoseconds.

    The unit of a number follows from its size: below 10^11 seconds (with up to nine decimals), below 10^14 milliseconds, below
    10^17 microseconds, else nanoseconds.

    Raises:
        ValueError: neither form, or outside 1970 to 2262.
    """
    nanoseconds = _epoch(text) if _NUMBER.fullmatch(text) else _rfc3339(text)
    if not 0 <= nanoseconds <= MAX_TIMESTAMP:
        raise ValueError("must lie between 1970-01-01 and 2262-04-11")
    return nanoseconds


def _epoch(text: str) -> int:
    number = Decimal(text)
    scale = next((scale for bound, scale in _EPOCH_UNITS if number < bound), 1)
    return int(number * scale)


def _rfc3339(text: str) -> int:
    found = _TIMESTAMP.fullmatch(text)
    if not found:
        raise ValueError("must be a time such as 2026-03-01T12:00:00Z, or a number of seconds, ms, us or ns since 1970")
    date, time, fraction, zone = found.groups()
    # A plus sign that was not percent-encoded arrives as a space.
    offset = "+00:00" if zone in "Zz" else zone.replace(" ", "+")
    try:
        moment = datetime.fromisoformat(f"{date}T{time}{offset}")
    except ValueError as error:
        raise ValueError(f"is not a time that exists: {error}") from error
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))


def parse_duration(text: str) -> int:
    """Nanoseconds of a length of time in Go's form.

    Raises:
        ValueError: not in that form.
    """
    return int(Duration.parse(text))


def parse_attribute(text: str) -> tuple[str, str]:
    """Key and value of `key=value`; the first equals sign parts them.

    Raises:
        ValueError: no equals sign, or no key before it.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ValueError("must be key=value, such as http.request.method=GET")
    return key, value


def parse_uuid(text: str) -> uuid.UUID:
    """An id.

    Raises:
        ValueError: it is no UUID.
    """
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ValueError("must be a UUID") from None


def parse_tolerance(text: str) -> Fraction:
    """A share from 0 to 1.

    Raises:
        ValueError: not a decimal number, or out of that range.
    """
    if not re.fullmatch(r"[01](?:\.\d{1,9})?", text, re.ASCII) or Fraction(text) > 1:
        raise ValueError("must be a number from 0 to 1, such as 0.01")
    return Fraction(text)


def choice(names: Sequence[str]) -> Callable[[str], str]:
    """Reads one of these names, in either case."""
    by_lower = {name.lower(): name for name in names}

    def parse(text: str) -> str:
        try:
            return by_lower[text.lower()]
        except KeyError:
            raise ValueError(f"must be one of {', '.join(by_lower)}") from None

    return parse


def whole(minimum: int, maximum: int) -> Callable[[str], int]:
    """Reads a whole number from `minimum` to `maximum`, which has nine digits at most."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not minimum <= int(text) <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return int(text)

    return parse
