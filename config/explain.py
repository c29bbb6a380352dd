"""Says in plain words what pydantic found wrong, without repeating anything that may be a secret."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.document import Document
from config.problems import KeyPath, Problem, alternatives, key_path, nearest, printable
from config.secrecy import is_secret, without_credentials
from config.section import Section

_MEANINGS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of a sensible size",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "mapping_type": "must be a mapping of keys and values",
    "dict_type": "must be a mapping of keys and values",
    "model_type": "must be a mapping of keys and values",
    "string_too_short": "must not be empty",
    "string_type": "must be text; put it in quotes if it looks like something else",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
    "uuid_parsing": "must be a UUID",
}


def explain(error: ValidationError, model: type[Section], at: KeyPath, document: Document) -> Iterator[Problem]:
    """Turn each fault that validation of `model`, which stands at `at`, has found into a problem."""
    faults = error.errors(include_url=False)
    for fault in faults:
        if is_of_items(fault, faults):
            continue
        path = (*at, *fault["loc"])
        if isinstance(path[-1], int) and path not in document.lines:
            path = path[:-1]  # an item of a text with commas, which has no place of its own
        if fault["type"] == "extra_forbidden":
            yield unknown_key(_section_at(model, fault["loc"][:-1]), path, document)
        else:
            message, hint = meaning(fault)
            yield Problem(key_path(path), document.line(path), message + _found(fault, path, document), hint)


def is_of_items(fault: ErrorDetails, faults: Iterable[ErrorDetails]) -> bool:
    """Whether a list is said to be too short only since its items are wrong: they do not count then, but they are there."""
    place = fault["loc"]
    return fault["type"] == "too_short" and any(place == other["loc"][: len(place)] != other["loc"] for other in faults)


def unknown_key(section: type[Section] | None, path: KeyPath, document: Document) -> Problem:
    """Say that the key at the end of `path` is not one of the section's, and what may have been meant."""
    key = str(path[-1])
    instead = section.instead_of(key) if section is not None else None
    if instead is not None:
        return Problem(key_path(path), document.line(path), "is a key that this release does not have", instead, is_of_all=True)
    hint = alternatives(key, section.model_fields, "known here") if section is not None else ""
    return Problem(key_path(path), document.line(path), "is not a known key", hint)


def _section_at(model: type[Section], location: tuple[int | str, ...]) -> type[Section] | None:
    section: type[Section] | None = model
    keys = iter(location)
    for key in keys:
        if section is None:
            return None
        item = section.item_section(str(key))
        if item is not None:
            next(keys, None)  # the item's position or name
        section = item or section.subsection(str(key))
    return section


def meaning(fault: ErrorDetails) -> tuple[str, str]:
    """What is wrong with a value, and what to do about it, which may be empty."""
    context: Mapping[str, Any] = fault.get("ctx", {})
    match fault["type"]:
        case "missing":
            return "is required", ""
        case "value_error":
            return str(context["error"]), ""
        case "literal_error":
            known = re.findall(r"'([^']*)'", context["expected"])
            wanted = ", ".join(name or '""' for name in known)
            return f"must be one of {wanted}", nearest(str(fault["input"]), known)
        case "union_tag_invalid":
            known = re.findall(r"'([^']*)'", context["expected_tags"])
            return f"must have one of {', '.join(known)} as {_unquoted(context['discriminator'])}", nearest(context["tag"], known)
        case "union_tag_not_found":
            return f"must have {_unquoted(context['discriminator'])}", ""
        case kind if kind in _MEANINGS:
            bounds = {name: f"{bound:.0f}" for name, bound in context.items() if isinstance(bound, int | float)}
            return _MEANINGS[kind].format_map(bounds), ""
    return fault["msg"], ""


def _unquoted(name: str) -> str:
    return name.strip("'")


def _found(fault: ErrorDetails, path: KeyPath, document: Document) -> str:
    """The value as the file has it. What came from the environment, or stands near a secret's key, is not shown."""
    value = fault["input"]
    if fault["type"] in ("missing", "too_short") or isinstance(value, dict) or any(map(is_secret, path)):
        return ""
    written = next((document.written[path[:end]] for end in range(len(path) + 1) if path[:end] in document.written), None)
    if written is not None:
        return f", found {printable(written)}"
    if isinstance(value, bool):
        return f", found {str(value).lower()}"
    if isinstance(value, int | float):
        return f", found {value}"
    if isinstance(value, str) and fault["type"] not in ("model_type", "mapping_type"):
        return f", found {printable(without_credentials(value))!r}"
    if isinstance(value, str):
        return ", found text"
    return ", found a list" if isinstance(value, list | tuple) else ""
