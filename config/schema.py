"""The JSON Schema of `collector.yaml`, for editors that complete and check keys while one types.

`python -m config.schema` writes it to `config/collector.schema.json`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.model import KINDS, Config, Kind
from config.section import Section

SCHEMA_FILE = Path(__file__).with_name("collector.schema.json")
"""Where the schema lies for editors."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = {"$ref": "#/$defs/Variable"}


def json_schema() -> dict[str, Any]:
    """The schema of the whole file, JSON Schema draft 2020-12.

    It knows of `${env:NAME}` and of keys without a value. It does not know which names in `service` are defined;
    `config.load` checks that.
    """
    schema = Config.model_json_schema(mode="validation")
    definitions = schema.pop("$defs")
    for kind in KINDS:
        schema["properties"][kind.section] = {
            "description": schema["properties"][kind.section]["description"],
            "type": "object",
            "patternProperties": {f"^{name}(/.+)?$": _reference(model) for name, model in _names(kind)},
            "additionalProperties": False,
        }
    for definition in definitions.values():
        _allow_what_files_hold(definition)
    _allow_bare(schema["properties"], "processors", "extensions")
    definitions["Variable"] = {
        "description": "A value from the environment.",
        "type": "string",
        "pattern": r"\$\{(env:)?[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
    }
    return {
        "$schema": _DIALECT,
        **_untitled(schema),
        "description": "The configuration of spanhouse.",
        "$defs": _untitled(definitions),
    }


def render() -> str:
    """The schema as the text of its file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _names(kind: Kind) -> Iterator[tuple[str, type[Section]]]:
    yield from kind.types.items()
    for name, older in kind.newer_names.items():
        yield name, kind.types[older]


def _reference(model: type[Section]) -> dict[str, Any]:
    section = {"$ref": f"#/$defs/{model.__name__}"}
    has_required_keys = any(field.is_required() for field in model.model_fields.values())
    return section if has_required_keys else {"anyOf": [section, {"type": "null"}]}


def _allow_what_files_hold(definition: dict[str, Any]) -> None:
    """A key may stand without a value where it has a default, and any plain value may come from the environment."""
    required = definition.get("required", [])
    for name, value in definition["properties"].items():
        choices = value.pop("anyOf", None) or [_without_notes(value)]
        if not any("$ref" in choice for choice in choices):
            choices.append(_VARIABLE)
        if name not in required and {"type": "null"} not in choices:
            choices.append({"type": "null"})
        definition["properties"][name] = {**_notes(value), "anyOf": choices}


def _allow_bare(properties: dict[str, Any], *names: str) -> None:
    for name in names:
        properties[name]["type"] = ["object", "null"]


_NOTES = ("title", "description", "default")


def _notes(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key in _NOTES}


def _without_notes(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in _NOTES}


def _untitled(schema: Any) -> Any:
    # pydantic makes a title of every name, which tells an editor's user nothing.
    if isinstance(schema, dict):
        return {key: _untitled(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    return [_untitled(value) for value in schema] if isinstance(schema, list) else schema


if __name__ == "__main__":
    SCHEMA_FILE.write_text(render(), encoding="utf-8")
