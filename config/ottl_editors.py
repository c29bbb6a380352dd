"""Which editors statements can have: what they take, and what their targets can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from config.ottl_functions import ANY, INT, LIST, MAP, STRING, Function, Parameter
from config.ottl_nodes import ATTRIBUTE, Type, Types

NAMING: Final = "set_semconv_span_name"
"""The editor that has no target: it names spans."""
_NOTHING: Final[Types] = frozenset()


def _editor(target: Types, *parameters: Parameter) -> Function:
    return Function((Parameter("target", target, collection=True), *parameters), _NOTHING)


_KEY: Final = Parameter("key", STRING, form="literal")
_PATTERN: Final = Parameter("pattern", STRING, form="pattern")
_REGEX: Final = Parameter("regex", STRING, form="pattern")
_LIMIT: Final = Parameter("limit", INT, form="literal")
_REPLACING: Final = (
    Parameter("replacement", STRING),
    Parameter("function", _NOTHING, optional=True, form="function"),
    Parameter("replacementFormat", STRING, optional=True, form="literal"),
)
_REPLACING_ALL: Final = (Parameter("replacement", STRING, form="literal"), *_REPLACING[1:])

EDITORS: Final[Mapping[str, Function]] = {
    "set": _editor(frozenset(Type), Parameter("value", ANY, collection=True)),
    "delete_key": _editor(MAP, _KEY),
    "delete_matching_keys": _editor(MAP, _PATTERN),
    "delete_index": _editor(LIST, Parameter("startIndex", INT), Parameter("endIndex", INT, optional=True)),
    "keep_keys": _editor(MAP, Parameter("keys", LIST, form="literal")),
    "keep_matching_keys": _editor(MAP, _PATTERN),
    "append": _editor(LIST, Parameter("value", ATTRIBUTE, optional=True), Parameter("values", LIST, optional=True)),
    "merge_maps": _editor(
        MAP,
        Parameter("source", MAP, collection=True),
        Parameter("strategy", STRING, form="literal", choices=("insert", "update", "upsert")),
    ),
    "flatten": _editor(
        MAP, Parameter("prefix", STRING, optional=True, form="literal"), Parameter("depth", INT, optional=True, form="literal")
    ),
    "limit": _editor(MAP, _LIMIT, Parameter("priority_keys", LIST, optional=True, form="literal")),
    "truncate_all": _editor(MAP, _LIMIT),
    "replace_match": _editor(STRING, Parameter("pattern", STRING, form="literal"), *_REPLACING),
    "replace_pattern": _editor(STRING, _REGEX, *_REPLACING),
    "replace_all_matches": _editor(MAP, Parameter("pattern", STRING, form="literal"), *_REPLACING_ALL),
    "replace_all_patterns": _editor(
        MAP, Parameter("mode", STRING, form="literal", choices=("key", "value")), _REGEX, *_REPLACING_ALL
    ),
    "stringify_all": _editor(MAP),
    NAMING: Function(
        (
            Parameter("semconvVersion", STRING, form="literal"),
            Parameter("originalSpanNameAttribute", STRING, optional=True, form="literal"),
        ),
        _NOTHING,
    ),
}
"""By name, every editor."""
