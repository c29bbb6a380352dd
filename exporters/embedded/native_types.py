"""How many bytes a column takes in a Native block, for every type that can be told from its bytes.

A column has a prefix (dictionary versions and the like, for nested types all of them before the first row) and its rows.
"""

from __future__ import annotations

import re
import struct
from functools import cache

from exporters.embedded.errors import error

_U64 = struct.Struct("<Q")
_FIXED = {
    **{f"{sign}Int{bits}": bits // 8 for bits in (8, 16, 32, 64, 128, 256) for sign in ("", "U")},
    "Float32": 4,
    "Float64": 8,
    "BFloat16": 2,
    "Bool": 1,
    "Nothing": 1,
    "Enum8": 1,
    "Enum16": 2,
    "Date": 2,
    "Date32": 4,
    "DateTime": 4,
    "DateTime64": 8,
    "Time": 4,
    "Time64": 8,
    "UUID": 16,
    "IPv4": 4,
    "IPv6": 16,
    "Decimal32": 4,
    "Decimal64": 8,
    "Decimal128": 16,
    "Decimal256": 32,
}
_SHAPES = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "MultiLineString": "Array(LineString)",
    "Polygon": "Array(Ring)",
    "MultiPolygon": "Array(Polygon)",
}
_ELEMENT_NAME = re.compile(r"(?:`(?:[^`\\]|\\.)*`|[A-Za-z_]\w*) +(?=[A-Za-z])")


class Column:
    """A column without prefix, whose rows take `size` bytes each."""

    def __init__(self, size: int) -> None:
        self._size = size

    def prefix(self, data: bytes, position: int) -> int:
        """The position after the prefix."""
        return position

    def rows(self, data: bytes, position: int, count: int) -> int:
        """The position after `count` rows. Raises IndexError or struct.error beyond the end of `data`."""
        return position + self._size * count


class StringColumn(Column):
    """Strings, each after its length."""

    def rows(self, data: bytes, position: int, count: int) -> int:
        for _ in range(count):
            size = data[position]
            position += 1
            if size > 127:
                size, position = read_varint(data, position - 1)
            position += size
        return position


class NullableColumn(Column):
    """A byte for each row, then the rows, nulls included."""

    def __init__(self, nested: Column) -> None:
        self._nested = nested

    def prefix(self, data: bytes, position: int) -> int:
        return self._nested.prefix(data, position)

    def rows(self, data: bytes, position: int, count: int) -> int:
        return self._nested.rows(data, position + count, count)


class ArrayColumn(Column):
    """Where each row ends, then all elements."""

    def __init__(self, element: Column) -> None:
        self._element = element

    def prefix(self, data: bytes, position: int) -> int:
        return self._element.prefix(data, position)

    def rows(self, data: bytes, position: int, count: int) -> int:
        position += 8 * count
        elements = int(_U64.unpack_from(data, position - 8)[0]) if count else 0
        return self._element.rows(data, position, elements)


class TupleColumn(Column):
    """One column after the other; an empty tuple still takes a byte a row."""

    def __init__(self, elements: list[Column]) -> None:
        self._elements = elements

    def prefix(self, data: bytes, position: int) -> int:
        for element in self._elements:
            position = element.prefix(data, position)
        return position

    def rows(self, data: bytes, position: int, count: int) -> int:
        for element in self._elements:
            position = element.rows(data, position, count)
        return position if self._elements else position + count


class LowCardinalityColumn(Column):
    """A dictionary and indexes into it, in as many rounds as the rows need."""

    _HAS_KEYS = 1 << 9

    def __init__(self, keys: Column) -> None:
        self._keys = keys

    def prefix(self, data: bytes, position: int) -> int:
        return position + 8

    def rows(self, data: bytes, position: int, count: int) -> int:
        while count > 0:
            flags = _U64.unpack_from(data, position)[0]
            position += 8
            if flags & self._HAS_KEYS:
                keys = _U64.unpack_from(data, position)[0]
                position = self._keys.rows(data, position + 8, keys)
            indexes = _U64.unpack_from(data, position)[0]
            if not indexes:
                raise IndexError
            position += 8 + (indexes << (flags & 3))
            count -= indexes
        return position


class VariantColumn(Column):
    """A byte for each row that tells its type (255 for null), then a column for each type."""

    def __init__(self, variants: list[Column]) -> None:
        self._variants = variants

    def prefix(self, data: bytes, position: int) -> int:
        position += 8
        for variant in self._variants:
            position = variant.prefix(data, position)
        return position

    def rows(self, data: bytes, position: int, count: int) -> int:
        tags = data[position : position + count]
        position += count
        for tag, variant in enumerate(self._variants):
            position = variant.rows(data, position, tags.count(tag))
        return position


class JsonTextColumn(StringColumn):
    """JSON as text (`output_format_native_write_json_as_string`), after a version."""

    def prefix(self, data: bytes, position: int) -> int:
        return position + 8


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A variable-length number and the position after it. Raises IndexError."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7


@cache
def column_of(type_name: str) -> Column:
    """The column of a type as ClickHouse writes its name. Raises DatabaseError 48 if its size cannot be told."""
    name, _, rest = type_name.partition("(")
    inner = rest.removesuffix(")")
    arguments = _split(inner) if inner else []
    if name in _SHAPES:
        return column_of(_SHAPES[name])
    if name in _FIXED:
        return Column(_FIXED[name])
    if name.startswith("Interval"):
        return Column(8)
    match name:
        case "String":
            return StringColumn(0)
        case "JSON":
            return JsonTextColumn(0)
        case "FixedString":
            return Column(int(arguments[0]))
        case "Decimal":
            precision = int(arguments[0])
            return Column(next(size for size, digits in ((4, 9), (8, 18), (16, 38), (32, 76)) if precision <= digits))
        case "Nullable":
            return NullableColumn(column_of(arguments[0]))
        case "LowCardinality":
            # Null is an entry of the dictionary, so that its keys are never nullable.
            return LowCardinalityColumn(column_of(re.sub(r"^Nullable\((.*)\)$", r"\1", arguments[0])))
        case "Array":
            return ArrayColumn(column_of(arguments[0]))
        case "Map":
            return ArrayColumn(TupleColumn([column_of(argument) for argument in arguments]))
        case "Tuple":
            return TupleColumn(_elements(arguments))
        case "Nested":
            return ArrayColumn(TupleColumn(_elements(arguments)))
        case "Variant":
            return VariantColumn([column_of(argument) for argument in arguments])
        case "SimpleAggregateFunction":
            return column_of(arguments[1])
    message = f"Type {type_name} in format Native with client_protocol_version; leave that parameter out, or cast the column"
    raise error(48, "NOT_IMPLEMENTED", message)


def _elements(arguments: list[str]) -> list[Column]:
    # With or without names: `Tuple(a Int8, b String)`, `Tuple(Int8, String)`.
    return [column_of(_ELEMENT_NAME.sub("", argument, count=1)) for argument in arguments]


def _split(arguments: str) -> list[str]:
    """The arguments of a type, by the commas outside brackets and quotes."""
    parts, depth, start, quoted = [], 0, 0, ""
    position = 0
    while position < len(arguments):
        character = arguments[position]
        if quoted:
            position += character == "\\"
            quoted = "" if character == quoted else quoted
        elif character in "'`":
            quoted = character
        elif character == "," and depth == 0:
            parts.append(arguments[start:position].strip())
            start = position + 1
        else:
            depth += (character == "(") - (character == ")")
        position += 1
    return [*parts, arguments[start:].strip()]
