"""Values in the language of the search box: which operators and values go with what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, cast

from collector.query.language_fields import Takes
from collector.query.predicates import Operator, Value
from collector.query.store import KINDS, STATUS_CODES
from config.ottl_paths import ENUMS
from config.patterns import compile_pattern
from config.values import Duration

_EQUAL: Final[frozenset[Takes]] = frozenset({"text", "kind", "status", "id", "duration", "count", "anything"})
_ORDERED: Final[frozenset[Takes]] = frozenset({"text", "duration", "count", "anything"})
_MATCHED: Final[frozenset[Takes]] = frozenset({"text", "anything"})
OPERATORS: Final[Mapping[str, frozenset[Takes]]] = {
    **dict.fromkeys(("=", "==", "!=", "in"), _EQUAL),
    **dict.fromkeys(("<", "<=", ">", ">="), _ORDERED),
    **dict.fromkeys(("=~", "!~"), _MATCHED),
}
"""Operators as they are written → with what they go."""

_LARGEST: Final = 2**63 - 1
_ID: Final = re.compile(r"(?:[0-9a-f]{16}){0,2}")


def operator_of(text: str) -> Operator:
    """The operator of predicates that is written so."""
    return cast("Operator", "=" if text == "==" else text)


def value_of(kind: str, text: str, takes: Takes, operator: str) -> Value:
    """The value that stands in a query.

    Args:
        kind: of the word: INT, FLOAT, DURATION, TEXT, BOOL or UPPER.
        text: as written, of a text what it says.

    Raises:
        ValueError: it does not go with that; the text says what would.
    """
    if operator in ("=~", "!~"):
        if kind != "TEXT":
            raise ValueError("expected a pattern in double quotes")
        compile_pattern(text)
        return text
    match takes:
        case "kind":
            return _one_of(KINDS, "SPAN_KIND_", kind, text)
        case "status":
            return _one_of(STATUS_CODES, "STATUS_CODE_", kind, text)
        case "id":
            if kind != "TEXT" or not _ID.fullmatch(text.lower()):
                raise ValueError('expected an id in double quotes, 16 or 32 hexadecimal digits, or "" for none')
            return text.lower()
        case "duration":
            if kind != "DURATION":
                raise ValueError("expected a duration with a unit, such as 250ms or 1.5s")
            return int(Duration.parse(text))
        case "count":
            if kind != "INT":
                raise ValueError("expected a whole number")
            return _whole(text)
        case "text":
            if kind != "TEXT":
                raise ValueError("expected a text, in double quotes if it is not one word")
            return text
    return _anything(kind, text, operator)


def _anything(kind: str, text: str, operator: str) -> Value:
    match kind:
        case "TEXT":
            return text
        case "INT":
            return _whole(text)
        case "FLOAT":
            return float(text)
        case "BOOL":
            if operator not in ("=", "==", "!=", "in"):
                raise ValueError("true and false are compared by =, != and in")
            return text == "true"
        case "DURATION":
            raise ValueError("attributes are numbers or texts, without units")
    raise ValueError("expected a text in double quotes, a number, true or false")


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) > _LARGEST:
        raise ValueError(f"must be at most {_LARGEST}")
    return number


def _one_of(names: Sequence[str], prefix: str, kind: str, text: str) -> str:
    """One of the names: written as such in either case, or as OTTL writes it, as a constant or a number."""
    if kind == "TEXT":
        found = {name.lower(): name for name in names}.get(text.lower())
    else:
        number = ENUMS.get(text, -1) if kind == "UPPER" and text.startswith(prefix) else int(text) if kind == "INT" else -1
        found = names[number] if 0 <= number < len(names) else None
    if found is None:
        raise ValueError(f"expected one of {', '.join(name.lower() for name in names)}")
    return found
