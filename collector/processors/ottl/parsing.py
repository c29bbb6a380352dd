"""What functions read in texts: JSON, pairs of keys and values, URLs, times; and how times are written. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import orjson

from collector.processors.ottl.columns import Failure
from collector.processors.ottl.conversions import as_string
from config.patterns import compile_pattern

_DEEPEST: Final = 64
_ALIKE: Final = "the two delimiters must differ, and not be empty"
_DIGITS: Final = re.compile(r"[+-]?[0-9a-zA-Z]+")
_PREFIXES: Final = {2: "0b", 8: "0o", 16: "0x"}
"""What Python takes in front of digits, and Go only where it is to say the base."""
_OLD_OCTAL: Final = re.compile(r"[+-]?0[0-7_]*[0-7]")
_QUOTED: Final = {'"', "'"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_pattern = lru_cache(maxsize=1024)(compile_pattern)


def parse_json(text: str) -> Any:
    """The object or array that a text says; whole numbers are floats, too."""
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Failure(f"is no JSON: {error}") from None
    if not isinstance(parsed, list | dict):
        raise Failure("is JSON, but no object and no array")
    return _with_floats(parsed)


def _with_floats(value: Any, depth: int = 0) -> Any:
    """JSON has one kind of number."""
    if depth > _DEEPEST:
        raise Failure(f"has more than {_DEEPEST} levels")
    match value:
        case bool():
            return value
        case int():
            return float(value)
        case list():
            return [_with_floats(each, depth + 1) for each in value]
        case dict():
            return {key: _with_floats(each, depth + 1) for key, each in value.items()}
    return value


def extract(text: str, pattern: str) -> dict[str, Any]:
    """The named groups of a pattern by their names; empty where nothing is found."""
    match = _pattern(pattern).search(text)
    return {name: value or "" for name, value in match.groupdict().items()} if match else {}


def parse_pairs(text: str, delimiter: str, between: str) -> dict[str, Any]:
    """Keys and values with a delimiter in each pair, and another one between pairs. Within quotes neither counts."""
    if not delimiter or not between or delimiter == between:
        raise Failure(_ALIKE)
    entries: dict[str, Any] = {}
    for pair in _split(text, between):
        key, found, value = pair.strip().partition(delimiter)
        if not found:
            raise Failure(f"has no {delimiter} in one of its pairs")
        entries[_bare(key)] = _bare(value)
    return entries


def format_pairs(entries: Mapping[str, Any], delimiter: str, between: str, *, in_order: bool) -> str:
    """Keys and values as `parse_pairs` reads them, in the order of the keys if that is wanted."""
    if not delimiter or not between or delimiter == between:
        raise Failure(_ALIKE)

    def written(value: Any) -> str:
        text = (as_string(value) or "").replace('"', '\\"')
        return f'"{text}"' if between in text or delimiter in text else text

    pairs = sorted(entries.items(), key=itemgetter(0)) if in_order else entries.items()
    return between.join(f"{written(key)}{delimiter}{written(value)}" for key, value in pairs)


def parse_int(text: str, base: int) -> int:
    """The whole number that a text says to a base; to the base 0 its first letters say which, as in 0x1f, 0b1 and 017."""
    failure = Failure(f"is no whole number to the base {base}")
    if base and (not _DIGITS.fullmatch(text) or text.lstrip("+-")[:2].lower() == _PREFIXES.get(base)):
        raise failure
    octal = not base and _OLD_OCTAL.fullmatch(text)
    try:
        number = int(text, 8 if octal else base)
    except ValueError:
        raise failure from None
    if not -(2**63) <= number < 2**63:
        raise Failure("is a number beyond 64 bits")
    return number


def _split(text: str, between: str) -> list[str]:
    """Parts that are not empty; what is between quotes stays together."""
    parts, quote, start = [], "", 0
    place = 0
    while place < len(text):
        if text[place] in _QUOTED and quote in ("", text[place]):
            quote = "" if quote else text[place]
        elif not quote and text.startswith(between, place):
            parts.append(text[start:place])
            place += len(between)
            start = place
            continue
        place += 1
    if quote:
        raise Failure("has a quote without end")
    return [part for part in (*parts, text[start:]) if part.strip()]


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] in _QUOTED and text[-1] == text[0] else text


def parse_url(text: str) -> dict[str, Any]:
    """The parts of a URL, under the names that OpenTelemetry's conventions have for them."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise Failure(f"is no URL: {error}") from None
    path = unquote(parts.path)
    entries = {
        "url.original": text,
        "url.scheme": parts.scheme,
        "url.domain": parts.hostname or "",
        "url.port": port,
        "url.path": path,
        "url.extension": PurePosixPath(path).suffix.removeprefix("."),
        "url.query": parts.query,
        "url.fragment": parts.fragment,
        "url.username": parts.username,
        "url.password": parts.password,
    }
    needed = ("url.original", "url.scheme", "url.domain", "url.path")
    return {key: value for key, value in entries.items() if key in needed or value not in (None, "")}


def parse_time(text: str, form: str) -> int:
    """A point in time, in nanoseconds, that a text says in a form such as %Y-%m-%dT%H:%M:%S%z; in UTC where it says no zone."""
    try:
        found = datetime.strptime(text, form)
    except (ValueError, re.error):
        raise Failure(f"says no time in the form {form}") from None
    since = (found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def format_time(nanoseconds: int, form: str) -> str:
    """A point in time in UTC, in a form as for `parse_time`."""
    try:
        return (_EPOCH + timedelta(microseconds=nanoseconds // 1_000)).strftime(form)
    except (OverflowError, ValueError):
        raise Failure(f"is no time that can be written in the form {form}") from None
