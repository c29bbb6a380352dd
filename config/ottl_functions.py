"""Which functions conditions can call: what they take, and what they give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from config.ottl_nodes import Type, Types

_ANY: Final[Types] = frozenset(Type)
_BOOL, _INT, _FLOAT, _STRING, _BYTES, _LIST, _MAP, _TIME, _DURATION = (
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
        form: what it must be: `literal` a value that stands in the text, `pattern` a regular expression that does.
        choices: the texts that it may be; any where there are none.
    """

    name: str
    types: Types
    optional: bool = False
    form: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its parameters, and the types that its result can have."""

    parameters: tuple[Parameter, ...]
    result: Types


def _function(result: Types, *parameters: Parameter) -> Function:
    return Function(parameters, result)


_TARGET: Final = Parameter("target", _STRING)
_VALUE: Final = Parameter("value", _ANY)
_TYPE_TEST: Final = _function(_BOOL, _VALUE)
_DIGEST: Final = _function(_STRING, Parameter("value", _STRING))
_LENGTH_OF_TIME: Final = Parameter("value", _DURATION)
_POINT_IN_TIME: Final = Parameter("value", _TIME)

FUNCTIONS: Final[Mapping[str, Function]] = {
    "IsMatch": _function(_BOOL, Parameter("target", _ANY), Parameter("pattern", _STRING, form="pattern")),
    "IsRootSpan": _function(_BOOL),
    "IsString": _TYPE_TEST,
    "IsInt": _TYPE_TEST,
    "IsDouble": _TYPE_TEST,
    "IsBool": _TYPE_TEST,
    "IsMap": _TYPE_TEST,
    "IsList": _TYPE_TEST,
    "HasPrefix": _function(_BOOL, _TARGET, Parameter("prefix", _STRING)),
    "HasSuffix": _function(_BOOL, _TARGET, Parameter("suffix", _STRING)),
    "ContainsValue": _function(_BOOL, Parameter("target", _LIST), Parameter("item", _ANY)),
    "Len": _function(_INT, Parameter("target", _STRING | _BYTES | _LIST | _MAP)),
    "Index": _function(_INT, Parameter("target", _STRING | _LIST), Parameter("value", _ANY)),
    "Int": _function(_INT | _NIL, _VALUE),
    "Double": _function(_FLOAT | _NIL, _VALUE),
    "Bool": _function(_BOOL | _NIL, _VALUE),
    "String": _function(_STRING | _NIL, _VALUE),
    "Concat": _function(_STRING, Parameter("vals", _LIST), Parameter("delimiter", _STRING)),
    "Split": _function(_LIST, _TARGET, Parameter("delimiter", _STRING)),
    "Substring": _function(_STRING, _TARGET, Parameter("start", _INT), Parameter("length", _INT)),
    "ConvertCase": _function(
        _STRING, _TARGET, Parameter("toCase", _STRING, form="literal", choices=("lower", "upper", "snake", "camel"))
    ),
    "ToLowerCase": _function(_STRING, _TARGET),
    "ToUpperCase": _function(_STRING, _TARGET),
    "Trim": _function(_STRING, _TARGET, Parameter("replacement", _STRING, optional=True)),
    "TrimPrefix": _function(_STRING, _TARGET, Parameter("prefix", _STRING)),
    "TrimSuffix": _function(_STRING, _TARGET, Parameter("suffix", _STRING)),
    "MD5": _DIGEST,
    "SHA1": _DIGEST,
    "SHA256": _DIGEST,
    "SHA512": _DIGEST,
    "FNV": _function(_INT, Parameter("value", _STRING)),
    "ParseJSON": _function(_MAP | _LIST, _TARGET),
    "ExtractPatterns": _function(_MAP, _TARGET, Parameter("pattern", _STRING, form="pattern")),
    "Duration": _function(_DURATION, Parameter("duration", _STRING)),
    "Hours": _function(_FLOAT, _LENGTH_OF_TIME),
    "Minutes": _function(_FLOAT, _LENGTH_OF_TIME),
    "Seconds": _function(_FLOAT, _LENGTH_OF_TIME),
    "Milliseconds": _function(_INT, _LENGTH_OF_TIME),
    "Microseconds": _function(_INT, _LENGTH_OF_TIME),
    "Nanoseconds": _function(_INT, _LENGTH_OF_TIME),
    "UnixNano": _function(_INT, _POINT_IN_TIME),
    "UnixMicro": _function(_INT, _POINT_IN_TIME),
    "UnixMilli": _function(_INT, _POINT_IN_TIME),
    "UnixSeconds": _function(_INT, _POINT_IN_TIME),
    "TraceID": _function(_BYTES, Parameter("bytes", _BYTES, form="literal")),
    "SpanID": _function(_BYTES, Parameter("bytes", _BYTES, form="literal")),
}
"""By name, every function."""

ID_SIZES: Final[Mapping[str, int]] = {"TraceID": 16, "SpanID": 8}
"""Functions that take exactly so many bytes."""

_NOT_AGAIN: Final = "conditions must say the same when a batch is read again from the journal"

ABSENT_FUNCTIONS: Final[Mapping[str, str]] = {"Now": _NOT_AGAIN, "UUID": _NOT_AGAIN, "UUIDv7": _NOT_AGAIN}
"""Functions of the OpenTelemetry Collector that cannot be called here, and why."""
