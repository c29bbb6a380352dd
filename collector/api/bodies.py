"""Bodies of requests: JSON that is read into a model, whose faults are told all at once, each by its field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar, get_args

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from collector.api.problems import Problem
from collector.api.routing import JSON
from config.explain import is_of_items, meaning
from config.problems import alternatives, key_path

M = TypeVar("M", bound=BaseModel)

_MOST_LEVELS: Final = 64
"""Deeper ones could be taken, but not be shown among others: what writes JSON has a limit."""
_LONGEST_QUOTE: Final = 200


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object that a request's body is.

    Raises:
        Problem: 415 where the body is not said to be JSON (a form of a web page cannot say so), 400 where it is no object.
    """
    if request.content_type != JSON:
        detail = f"Content-Type: {request.content_type!r} is not taken here; send {JSON}."
        raise Problem(415, "Unsupported media type", detail)
    try:
        document = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise Problem(400, "Invalid body", f"The body is not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise Problem(400, "Invalid body", "The body must be a JSON object.")
    if _is_deeper(document, _MOST_LEVELS):
        raise Problem(400, "Invalid body", f"The body must have at most {_MOST_LEVELS} levels of objects and lists.")
    return document


def _is_deeper(document: dict[str, Any], levels: int) -> bool:
    level: list[Any] = [document]
    for _ in range(levels):
        level = [item for each in level for item in _items(each)]
    return any(isinstance(each, dict | list) for each in level)


def _items(value: Any) -> Iterable[Any]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
    return ()


def validated(model: type[M], document: Mapping[str, Any]) -> M:
    """The model of a document.

    Raises:
        Problem: 400, with `errors`: for each fault the field, the value found, and what would be right.
    """
    try:
        # As JSON, in which a list is what a tuple is made of.
        return model.model_validate_json(orjson.dumps(document), by_alias=True, by_name=False)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise invalid_body([_fault(model, fault) for fault in faults if not is_of_items(fault, faults)]) from None


def invalid_body(errors: list[dict[str, Any]]) -> Problem:
    """A body with these faults: `field`, `value` and `detail` of each."""
    told = "; ".join(f"{error['field']}: {error['detail']}" for error in errors)
    return Problem(400, "Invalid body", f"{told}.", errors=errors)


def _fault(model: type[BaseModel], fault: ErrorDetails) -> dict[str, Any]:
    place, known = _place(model, fault["loc"])
    if fault["type"] == "extra_forbidden":
        message, hint = "is not a known field", alternatives(str(fault["loc"][-1]), known, "known here")
    else:
        message, hint = meaning(fault)
    value = None if fault["type"] == "missing" else _shown(fault["input"])
    return {"field": key_path(place), "value": value, "detail": f"{message}; {hint}" if hint else message}


def _place(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[tuple[int | str, ...], list[str]]:
    """Where a fault is in the document, and which fields are known in that object.

    Args:
        location: as pydantic has it: behind a field with models of several kinds it names the kind, which no document does.
    """
    place: list[int | str] = []
    inside: list[type[BaseModel]] = [model]
    for key in location:
        if not isinstance(key, str):
            place.append(key)
            continue
        if len(inside) > 1 and (chosen := [each for each in inside if _is_kind(each, key)]):
            inside = chosen
            continue
        place.append(key)
        fields = [field for each in inside for name, field in each.model_fields.items() if key == (field.alias or name)]
        if fields:
            inside = [each for field in fields for each in _models(field.annotation)]
    return tuple(place), [field.alias or name for each in inside for name, field in each.model_fields.items()]


def _is_kind(model: type[BaseModel], tag: str) -> bool:
    return any(get_args(field.annotation) == (tag,) for field in model.model_fields.values())


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _shown(value: Any) -> Any:
    """A value, as far as it is short."""
    text = orjson.dumps(value).decode()
    return value if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."
