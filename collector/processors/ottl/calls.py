"""The functions that conditions can call, on Python values; what the configuration has checked is not checked again."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from collector.processors.ottl.columns import (
    BOOL,
    DURATION,
    FAILED,
    FLOAT,
    INT,
    LIST,
    MAP,
    NIL,
    STRING,
    TIME,
    Column,
    Failure,
    apply,
    canonical,
    chosen,
    of_results,
)
from collector.processors.ottl.conversions import as_bool, as_double, as_int, as_string
from collector.processors.ottl.parsing import (
    extract,
    format_pairs,
    format_time,
    parse_int,
    parse_json,
    parse_pairs,
    parse_time,
    parse_url,
)
from collector.processors.ottl.times import PARTS, UNITS, count_units, part_of_time
from config.networks import address_in, network_in
from config.patterns import compile_pattern
from config.values import Duration

_WORDS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_pattern = lru_cache(maxsize=1024)(compile_pattern)


_LEFT_OUT: Final = of_results([None])


def call(function: str, arguments: list[Column | None]) -> Column:
    """The results of a function for columns of its arguments; None stands for one that is left out."""
    given = [_LEFT_OUT if argument is None else argument for argument in arguments]
    while given and given[-1] is _LEFT_OUT:
        given.pop()
    if function in TYPE_TESTS:
        return _has_type(given[0], TYPE_TESTS[function])
    if function in UNITS:
        return count_units(given[0], *UNITS[function])
    if function in PARTS:
        return part_of_time(given[0], PARTS[function])
    if function in _CONVERSIONS:
        code, convert = _CONVERSIONS[function]
        return _convert(given[0], code, convert)
    return apply(_FUNCTIONS[function], given, _RESULTS.get(function))


def first_there_is(columns: Sequence[Column]) -> Column:
    """Of each row the first value that is not nil; what stands behind it may fail as it likes."""
    *others, result = columns
    for column in reversed(others):
        result = chosen(column.types != NIL, column, result)
    return result


def call_on_text(function: str, text: str) -> str:
    """What a function of one text makes of it, which is a text."""
    made: str = _FUNCTIONS[function](text)
    return made


_RESULTS: Final = {"Duration": DURATION, "Time": TIME, "Unix": TIME}
"""Functions whose ints are times or durations."""

TYPE_TESTS: Final = {
    "IsString": STRING,
    "IsInt": INT,
    "IsDouble": FLOAT,
    "IsBool": BOOL,
    "IsMap": MAP,
    "IsList": LIST,
}
"""Functions that tell types apart."""


def _has_type(column: Column, code: Any) -> Column:
    types = column.types.copy()
    # A value that could not be worked out has no type.
    types[types != FAILED] = BOOL
    return Column(types, (column.types == code).astype("int64"), failure=column.failure)


def _convert(column: Column, code: Any, convert: Callable[[Any], Any]) -> Column:
    """Values of another type converted; those that have the type already are let alone, for they can be many."""
    kept = column.types == code
    if kept.all():
        return column
    others = column.types.copy()
    others[kept] = NIL
    result = apply(convert, [Column(others, column.numbers, column.values, column.failure)])
    types, numbers = result.types.copy(), result.numbers.copy()
    types[kept] = code
    numbers[kept] = column.numbers[kept]
    return Column(types, numbers, result.values, result.failure)


_CONVERSIONS: Final[Mapping[str, tuple[Any, Callable[[Any], Any]]]] = {
    "Int": (INT, as_int),
    "Double": (FLOAT, as_double),
    "Bool": (BOOL, as_bool),
}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Failure(f"expected a string, found {_type_name(value)}")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Failure(f"expected an int, found {_type_name(value)}")
    return value


def _type_name(value: Any) -> str:
    names = {bool: "bool", int: "int", float: "float", str: "string", bytes: "bytes", list: "list", dict: "map"}
    return names.get(type(value), "nil")


def _is_match(target: Any, pattern: str) -> bool:
    text = as_string(target)
    return text is not None and _pattern(pattern).search(text) is not None


def _length(target: Any) -> int:
    if isinstance(target, str):
        return len(target.encode())
    if isinstance(target, bytes | list | dict):
        return len(target)
    raise Failure(f"expected a string, bytes, list or map, found {_type_name(target)}")


def _substring(target: Any, start: Any, length: Any) -> str:
    data = _text(target).encode()
    first, count = _number(start), _number(length)
    if first < 0 or count <= 0 or first + count > len(data):
        raise Failure(f"has {len(data)} bytes, and no {count} from byte {first}")
    return data[first : first + count].decode(errors="replace")


def _concat(values: Any, delimiter: Any) -> str:
    texts = map(as_string, _list(values))
    return _text(delimiter).join("<nil>" if each is None else each for each in texts)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Failure(f"expected a list, found {_type_name(value)}")
    return value


def _sorted(target: Any, order: str = "asc") -> Any:
    """A list in order: numbers by size, and where there is anything else that has one, all as texts; else as it is."""
    if not isinstance(target, list) or any(isinstance(each, bytes | list | dict) for each in target):
        return target
    descending = order == "desc"
    if any(isinstance(each, str | bool) or each is None for each in target):
        return sorted((as_string(each) or "" for each in target), reverse=descending)
    if any(isinstance(each, float) for each in target):
        # What is no number comes before all that are.
        return sorted(map(float, target), key=lambda number: (not math.isnan(number), number), reverse=descending)
    return sorted(target, reverse=descending)


def _is_in_networks(target: Any, networks: Any) -> bool:
    address = address_in(_text(target))
    if address is None:
        return False
    try:
        return any(address in network_in(_text(each)) for each in _list(networks))
    except ValueError as error:
        raise Failure(str(error)) from None


def _split(target: Any, delimiter: Any) -> list[str]:
    text, between = _text(target), _text(delimiter)
    return text.split(between) if between else list(text)


def _convert_case(target: Any, case: str) -> str:
    text = _text(target)
    match case:
        case "lower":
            return text.lower()
        case "upper":
            return text.upper()
        case "snake":
            return "_".join(word.lower() for word in _WORDS.findall(text))
    return "".join(word.capitalize() for word in _WORDS.findall(text))


def _contains(target: Any, item: Any) -> bool:
    wanted = canonical(item)
    return any(canonical(each) == wanted for each in _list(target))


def _index(target: Any, value: Any) -> int:
    if isinstance(target, str):
        return target.encode().find(_text(value).encode())
    if isinstance(target, list):
        wanted = canonical(value)
        return next((place for place, each in enumerate(target) if canonical(each) == wanted), -1)
    raise Failure(f"expected a string or a list, found {_type_name(target)}")


def _duration(text: Any) -> int:
    written = _text(text)
    try:
        length = int(Duration.parse(written.removeprefix("-")))
    except ValueError as error:
        raise Failure(str(error)) from None
    return -length if written.startswith("-") else length


def _unix(seconds: Any, nanoseconds: Any = 0) -> int:
    time_ns = _number(seconds) * 1_000_000_000 + _number(nanoseconds)
    if not -(2**63) <= time_ns < 2**63:
        raise Failure("is no time between 1677 and 2262")
    return time_ns


def _fnv(text: Any) -> int:
    """FNV-1a with 64 bits."""
    state = 0xCBF29CE484222325
    for byte in _text(text).encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state


def _hex(target: Any) -> str:
    """Bytes in hexadecimal, and those of a text; of numbers eight bytes, of a boolean one."""
    match target:
        case bytes():
            return target.hex()
        case str():
            return target.encode().hex()
        case bool():
            return "01" if target else "00"
        case int() | float():
            return struct.pack(">q" if isinstance(target, int) else ">d", target).hex()
    raise Failure(f"expected a string, bytes, a number or a bool, found {_type_name(target)}")


def _decoded(text: Any) -> str:
    try:
        return base64.b64decode(_text(text), validate=True).decode(errors="replace")
    except ValueError:
        raise Failure("is not base64") from None


def _map(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Failure(f"expected a map, found {_type_name(value)}")
    return value


def _digest(name: str) -> Callable[[Any], str]:
    return lambda value: hashlib.new(name, _text(value).encode(), usedforsecurity=False).hexdigest()


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "IsMatch": _is_match,
    "IsInCIDR": _is_in_networks,
    "Coalesce": lambda values: next((each for each in _list(values) if each is not None), None),
    "Sort": _sorted,
    "ParseInt": lambda target, base: parse_int(_text(target), _number(base)),
    "HasPrefix": lambda target, prefix: _text(target).startswith(_text(prefix)),
    "HasSuffix": lambda target, suffix: _text(target).endswith(_text(suffix)),
    "ContainsValue": _contains,
    "Len": _length,
    "Index": _index,
    "String": as_string,
    "Concat": _concat,
    "Split": _split,
    "Substring": _substring,
    "ConvertCase": _convert_case,
    "ToLowerCase": lambda target: _text(target).lower(),
    "ToUpperCase": lambda target: _text(target).upper(),
    "ToSnakeCase": lambda target: _convert_case(target, "snake"),
    "ToCamelCase": lambda target: _convert_case(target, "camel"),
    "Trim": lambda target, replacement=" ": _text(target).strip(_text(replacement)),
    "TrimPrefix": lambda target, prefix: _text(target).removeprefix(_text(prefix)),
    "TrimSuffix": lambda target, suffix: _text(target).removesuffix(_text(suffix)),
    "MD5": _digest("md5"),
    "SHA1": _digest("sha1"),
    "SHA256": _digest("sha256"),
    "SHA512": _digest("sha512"),
    "FNV": _fnv,
    "Hex": _hex,
    "Base64Encode": lambda value: base64.b64encode(_text(value).encode()).decode(),
    "Base64Decode": _decoded,
    "Keys": lambda target: list(_map(target)),
    "Values": lambda target: list(_map(target).values()),
    "ParseJSON": lambda target: parse_json(_text(target)),
    "ParseKeyValue": lambda target, delimiter=None, between=None: parse_pairs(
        _text(target), "=" if delimiter is None else delimiter, " " if between is None else between
    ),
    "ToKeyValueString": lambda target, delimiter=None, between=None, in_order=False: format_pairs(
        _map(target), "=" if delimiter is None else delimiter, " " if between is None else between, in_order=bool(in_order)
    ),
    "ExtractPatterns": lambda target, pattern: extract(_text(target), pattern),
    "URL": lambda target: parse_url(_text(target)),
    "Time": lambda target, form: parse_time(_text(target), form),
    "FormatTime": lambda value, form: format_time(_number(value), form),
    "Duration": _duration,
    "Unix": _unix,
    "TraceID": lambda value: value,
    "SpanID": lambda value: value,
}
