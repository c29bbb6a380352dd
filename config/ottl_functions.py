"""Which functions conditions and statements can call: what they take, and what they give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from config.ottl_nodes import Type, Types

ANY: Final[Types] = frozenset(Type)
BOOL, INT, FLOAT, STRING, BYTES, LIST, MAP, TIME, DURATION = (
    frozenset({each})
    for each in (Type.BOOL, Type.INT, Type.FLOAT, Type.STRING, Type.BYTES, Type.LIST, Type.MAP, Type.TIME, Type.DURATION)
)
_NIL: Final[Types] = frozenset({Type.NIL})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function.

    Attributes:
        name: under which an argument may be given.
        types: that it takes; for others the function fails.
        optional: whether it may be left out.
        form: what it must be: `literal` a value that stands in the text, `pattern` a regular expression that does, `function` the
            name of a function that takes a text and gives one.
        choices: the texts that it may be; any where there are none.
        collection: whether it may be all attributes, events or links together.
    """

    name: str
    types: Types
    optional: bool = False
    form: str = ""
    choices: tuple[str, ...] = ()
    collection: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its parameters, and the types that its result can have."""

    parameters: tuple[Parameter, ...]
    result: Types


def _function(result: Types, *parameters: Parameter) -> Function:
    return Function(parameters, result)


_TARGET: Final = Parameter("target", STRING)
_VALUE: Final = Parameter("value", ANY)
_TYPE_TEST: Final = _function(BOOL, _VALUE)
_DIGEST: Final = _function(STRING, Parameter("value", STRING))
_LENGTH_OF_TIME: Final = Parameter("value", DURATION)
_POINT_IN_TIME: Final = Parameter("value", TIME)
_ORDER: Final = Parameter("order", STRING, optional=True, form="literal", choices=("asc", "desc"))
_TIME_PART: Final = _function(INT, Parameter("time", TIME))
_DELIMITERS: Final = tuple(Parameter(name, STRING, optional=True, form="literal") for name in ("delimiter", "pair_delimiter"))

FUNCTIONS: Final[Mapping[str, Function]] = {
    "IsMatch": _function(BOOL, Parameter("target", ANY), Parameter("pattern", STRING, form="pattern")),
    "IsRootSpan": _function(BOOL),
    "IsString": _TYPE_TEST,
    "IsInt": _TYPE_TEST,
    "IsDouble": _TYPE_TEST,
    "IsBool": _TYPE_TEST,
    "IsMap": _TYPE_TEST,
    "IsList": _TYPE_TEST,
    "HasPrefix": _function(BOOL, _TARGET, Parameter("prefix", STRING)),
    "HasSuffix": _function(BOOL, _TARGET, Parameter("suffix", STRING)),
    "ContainsValue": _function(BOOL, Parameter("target", LIST), Parameter("item", ANY)),
    "IsInCIDR": _function(BOOL, _TARGET, Parameter("networks", LIST)),
    "Len": _function(INT, Parameter("target", STRING | BYTES | LIST | MAP, collection=True)),
    "Index": _function(INT, Parameter("target", STRING | LIST), Parameter("value", ANY)),
    "Int": _function(INT | _NIL, _VALUE),
    "Double": _function(FLOAT | _NIL, _VALUE),
    "Bool": _function(BOOL | _NIL, _VALUE),
    "String": _function(STRING | _NIL, _VALUE),
    "ParseInt": _function(INT, _TARGET, Parameter("base", INT)),
    "Coalesce": _function(ANY, Parameter("values", LIST)),
    "Sort": _function(ANY, Parameter("target", ANY), _ORDER),
    "Concat": _function(STRING, Parameter("vals", LIST), Parameter("delimiter", STRING)),
    "Split": _function(LIST, _TARGET, Parameter("delimiter", STRING)),
    "Substring": _function(STRING, _TARGET, Parameter("start", INT), Parameter("length", INT)),
    "ConvertCase": _function(
        STRING, _TARGET, Parameter("toCase", STRING, form="literal", choices=("lower", "upper", "snake", "camel"))
    ),
    "ToLowerCase": _function(STRING, _TARGET),
    "ToUpperCase": _function(STRING, _TARGET),
    "ToSnakeCase": _function(STRING, _TARGET),
    "ToCamelCase": _function(STRING, _TARGET),
    "Trim": _function(STRING, _TARGET, Parameter("replacement", STRING, optional=True)),
    "TrimPrefix": _function(STRING, _TARGET, Parameter("prefix", STRING)),
    "TrimSuffix": _function(STRING, _TARGET, Parameter("suffix", STRING)),
    "MD5": _DIGEST,
    "SHA1": _DIGEST,
    "SHA256": _DIGEST,
    "SHA512": _DIGEST,
    "FNV": _function(INT, Parameter("value", STRING)),
    "Hex": _function(STRING, Parameter("target", STRING | BYTES | INT | FLOAT | BOOL)),
    "Base64Encode": _function(STRING, Parameter("value", STRING)),
    "Base64Decode": _function(STRING, Parameter("value", STRING)),
    "Keys": _function(LIST, Parameter("target", MAP)),
    "Values": _function(LIST, Parameter("target", MAP)),
    "ParseJSON": _function(MAP | LIST, _TARGET),
    "ParseKeyValue": _function(MAP, _TARGET, *_DELIMITERS),
    "ToKeyValueString": _function(
        STRING,
        Parameter("target", MAP),
        *_DELIMITERS,
        Parameter("sort_output", BOOL, optional=True, form="literal"),
    ),
    "URL": _function(MAP, Parameter("url", STRING)),
    "Time": _function(TIME, _TARGET, Parameter("format", STRING, form="literal")),
    "Unix": _function(TIME, Parameter("seconds", INT), Parameter("nanoseconds", INT, optional=True)),
    "Year": _TIME_PART,
    "Month": _TIME_PART,
    "Day": _TIME_PART,
    "Hour": _TIME_PART,
    "Minute": _TIME_PART,
    "Second": _TIME_PART,
    "Nanosecond": _TIME_PART,
    "Weekday": _TIME_PART,
    "FormatTime": _function(STRING, Parameter("time", TIME), Parameter("format", STRING, form="literal")),
    "ExtractPatterns": _function(MAP, _TARGET, Parameter("pattern", STRING, form="pattern")),
    "Duration": _function(DURATION, Parameter("duration", STRING)),
    "Hours": _function(FLOAT, _LENGTH_OF_TIME),
    "Minutes": _function(FLOAT, _LENGTH_OF_TIME),
    "Seconds": _function(FLOAT, _LENGTH_OF_TIME),
    "Milliseconds": _function(INT, _LENGTH_OF_TIME),
    "Microseconds": _function(INT, _LENGTH_OF_TIME),
    "Nanoseconds": _function(INT, _LENGTH_OF_TIME),
    "UnixNano": _function(INT, _POINT_IN_TIME),
    "UnixMicro": _function(INT, _POINT_IN_TIME),
    "UnixMilli": _function(INT, _POINT_IN_TIME),
    "UnixSeconds": _function(INT, _POINT_IN_TIME),
    "TraceID": _function(BYTES, Parameter("bytes", BYTES, form="literal")),
    "SpanID": _function(BYTES, Parameter("bytes", BYTES, form="literal")),
}
"""By name, every function."""

ID_SIZES: Final[Mapping[str, int]] = {"TraceID": 16, "SpanID": 8}
"""Functions that take exactly so many bytes."""

_NOT_AGAIN: Final = "rules must say the same when a batch is read again from the journal"

_NOT_HERE: Final = "this release does not have it"

ABSENT_FUNCTIONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("Now", "UUID", "UUIDv7"), _NOT_AGAIN),
    "Format": "put the text together with Concat and String",
    "ExtractGrokPatterns": "use ExtractPatterns, with named groups",
    "Decode": "use Base64Decode",
    **dict.fromkeys(("ParseCSV", "ParseXML", "ParseSimplifiedXML", "GetXML", "InsertXML", "RemoveXML", "SliceToMap"), _NOT_HERE),
    **dict.fromkeys(("UserAgent", "IsValidLuhn", "Log", "TruncateTime", "CommunityID", "Murmur3Hash", "XXH3"), _NOT_HERE),
}
"""Functions of the OpenTelemetry Collector that cannot be called here, and why."""
