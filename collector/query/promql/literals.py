"""Numbers, durations and texts as they are written in PromQL."""

from __future__ import annotations

import re
from typing import Final

_UNITS_NS: Final = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}
_UNITS_NS["w"], _UNITS_NS["y"] = 7 * _UNITS_NS["d"], 365 * _UNITS_NS["d"]
_DURATION: Final = re.compile(r"(\d{1,12})(ms|[smhdwy])", re.ASCII)
_LONGEST_NS: Final = 366 * _UNITS_NS["d"]
_BOUNDS: Final = "must be a duration from 1ms to 366d, such as 5m or 1h30m"
_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_ESCAPED: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"} | {c: c for c in "\\\"'"}


def read_number(text: str) -> float:
    """A number by the grammar's rule for them."""
    return float(int(text, 16)) if text[:2].lower() == "0x" else float(text)


def read_duration(text: str) -> int:
    """Nanoseconds of a duration in Prometheus' form.

    Raises:
        ValueError: it has another form, is nothing, or longer than a year and a day.
    """
    parts = _DURATION.findall(text)
    length = sum(int(number) * _UNITS_NS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not 0 < length <= _LONGEST_NS:
        raise ValueError(_BOUNDS)
    return length


def read_seconds(text: str) -> int:
    """Nanoseconds of a duration that is given as a number of seconds.

    Raises:
        ValueError: it is shorter than a millisecond, or longer than a year and a day.
    """
    length = read_number(text) * 10**9
    if not 10**6 <= length <= _LONGEST_NS:
        raise ValueError(_BOUNDS)
    return round(length)


def read_text(quoted: str) -> str:
    """What stands between quotes; between those that are no backticks, with characters that are escaped.

    Raises:
        ValueError: something escaped is no character.
    """
    quote, text = quoted[0], quoted[1:-1]
    return text if quote == "`" else _ESCAPE.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    code = found[1]
    if code in _ESCAPED:
        return _ESCAPED[code]
    if len(code) == 1:
        raise ValueError(f"\\{code} stands for nothing in a text")
    number = int(code, 8) if code.isdecimal() and len(code) == 3 else int(code[1:], 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise ValueError(f"\\{code} is no character")
    return chr(number)
