"""Checks the arguments of the functions and editors that conditions and statements have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from lark import Token

from config.networks import network_in
from config.ottl_functions import ABSENT_FUNCTIONS, FUNCTIONS, ID_SIZES, Function, Parameter
from config.ottl_grammar import OttlError
from config.ottl_nodes import ATTRIBUTE, Call, Constant, FunctionName, Level, Node, Path, Type
from config.ottl_paths import CACHE, FIELDS
from config.patterns import compile_pattern
from config.problems import nearest
from config.values import Duration

_DIRECTIVE: Final = re.compile("%[aAbBdfHIjmMpSyYzZ]")
"""What stands for a part of a time, as Python's `datetime` has it."""
_LOOKS_LIKE_GLOB: Final = ("*", "?")


def check_call(text: str, function: Token, arguments: Sequence[tuple[str, Node]], inside: tuple[str | int, ...]) -> Call:
    """The call of a function with these arguments, each with the name that it was given or none. Raises OttlError."""
    at = function.start_pos or 0
    name = str(function)
    signature = signature_of(text, at, name, FUNCTIONS, ABSENT_FUNCTIONS)
    placed = check_arguments(text, at, name, signature, arguments)
    _check_meaning(text, name, placed)
    types = signature.result
    if inside:
        if not types & {Type.LIST, Type.MAP}:
            raise OttlError(text, at, f"{name} gives nothing that has keys")
        types = ATTRIBUTE
    # A span is a root or not, whatever the function's arguments, of which there are none.
    own = Level.SPAN if name == "IsRootSpan" else Level.CONSTANT
    level = max([own, *(argument.level for argument in placed if argument is not None)])
    return Call(types, level, at, name, tuple(placed), inside)


def signature_of(text: str, at: int, name: str, known: Mapping[str, Function], absent: Mapping[str, str]) -> Function:
    """What a function or an editor takes; `absent` says of those of the Collector that are not here why. Raises OttlError."""
    if name in absent:
        raise OttlError(text, at, f"{name} cannot be used: {absent[name]}")
    if name not in known:
        hint = nearest(name, known)
        raise OttlError(text, at, f"{name} is not a known function{'; ' if hint else ''}{hint}")
    return known[name]


def check_arguments(
    text: str, at: int, name: str, signature: Function, arguments: Sequence[tuple[str, Node]]
) -> list[Node | None]:
    """The arguments in the order of the parameters, None for those that are left out. Raises OttlError."""
    placed = _placed(text, at, name, signature, arguments)
    for parameter, argument in zip(signature.parameters, placed, strict=True):
        if argument is not None:
            _check(text, name, parameter, argument)
    return placed


def _placed(text: str, at: int, name: str, signature: Function, arguments: Sequence[tuple[str, Node]]) -> list[Node | None]:
    """The arguments in the order of the parameters, None for those that are left out."""
    parameters = signature.parameters
    placed: list[Node | None] = [None] * len(parameters)
    places = {parameter.name: place for place, parameter in enumerate(parameters)}
    for position, (given, node) in enumerate(arguments):
        place = places.get(given, -1) if given else position
        if place < 0:
            hint = nearest(given, places)
            raise OttlError(text, node.at, f"{name} has no parameter {given}{'; ' if hint else ''}{hint}")
        if place >= len(parameters):
            raise OttlError(text, node.at, f"{name} takes {_shown(signature)}")
        if placed[place] is not None:
            raise OttlError(text, node.at, f"{parameters[place].name} is given a second time")
        placed[place] = node
    for parameter, argument in zip(parameters, placed, strict=True):
        if argument is None and not parameter.optional:
            raise OttlError(text, at, f"{name} needs {parameter.name}: it takes {_shown(signature)}")
    return placed


def _shown(signature: Function) -> str:
    return ", ".join(each.name + "?" * each.optional for each in signature.parameters) or "no arguments"


def _check(text: str, name: str, parameter: Parameter, node: Node) -> None:
    if isinstance(node, FunctionName) != (parameter.form == "function"):
        hint = f"call it, as in {node.function}(...)" if isinstance(node, FunctionName) else "name a function, as in SHA256"
        raise OttlError(
            text, node.at, f"{name} takes {'a value' if parameter.types else 'a function'} as {parameter.name}; {hint}"
        )
    if isinstance(node, FunctionName):
        return
    if not parameter.collection:
        refuse_collection(text, node)
    if not node.types & parameter.types:
        wanted, found = (" or ".join(sorted(types)) for types in (parameter.types, node.types))
        raise OttlError(text, node.at, f"{name} takes {wanted} as {parameter.name}, found {found}")
    if parameter.form and not isinstance(node, Constant):
        raise OttlError(text, node.at, f"{parameter.name} must be written out")
    if parameter.choices and isinstance(node, Constant) and node.value not in parameter.choices:
        raise OttlError(text, node.at, f"{parameter.name} must be one of {', '.join(parameter.choices)}")
    if parameter.form == "pattern" and isinstance(node, Constant):
        try:
            compile_pattern(node.value)
        except ValueError as error:
            hint = "; this looks like a glob" if node.value[:1] in _LOOKS_LIKE_GLOB else ""
            raise OttlError(text, node.at, f"{error}{hint}") from None


def refuse_collection(text: str, node: Node) -> None:
    """Raises OttlError for a path to all attributes, events or links together."""
    if isinstance(node, Path) and is_collection(node):
        example = f', as in {node.name}["key"]' if FIELDS[node.level][node.name].keyed else ""
        raise OttlError(
            text, node.at, f"only Len and editors take all {node.name} together{example and '; name one of them'}{example}"
        )


def is_collection(path: Path) -> bool:
    """Whether a path means all attributes, events or links together."""
    return not path.key and path.name != CACHE and FIELDS[path.level][path.name].countable


def _check_meaning(text: str, name: str, arguments: Sequence[Node | None]) -> None:
    """What holds for single functions."""
    first = arguments[0] if arguments else None
    if name in ID_SIZES and isinstance(first, Constant) and len(first.value) != ID_SIZES[name]:
        raise OttlError(text, first.at, f"{name} takes {ID_SIZES[name]} bytes, found {len(first.value)}")
    if name in ("Time", "FormatTime"):
        _check_time_format(text, arguments[1])
    if name == "Coalesce" and isinstance(first, Constant) and not first.value:
        raise OttlError(text, first.at, "Coalesce needs a value at least")
    if name == "IsInCIDR":
        _check_networks(text, arguments[1])
    if name == "Duration" and isinstance(first, Constant):
        try:
            Duration.parse(first.value.removeprefix("-"))
        except ValueError as error:
            raise OttlError(text, first.at, str(error)) from None


def _check_networks(text: str, networks: Node | None) -> None:
    if isinstance(networks, Constant):
        for each in networks.value:
            try:
                network_in(str(each))
            except ValueError as error:
                raise OttlError(text, networks.at, str(error)) from None


def _check_time_format(text: str, form: Node | None) -> None:
    if isinstance(form, Constant) and (unknown := _DIRECTIVE.sub("", form.value.replace("%%", ""))) and "%" in unknown:
        found = unknown[unknown.index("%") :][:2]
        raise OttlError(text, form.at, f"{found} is not known in times; a form is written as in %Y-%m-%dT%H:%M:%S.%f%z")
