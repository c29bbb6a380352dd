"""The JSON Schema and the reference page say what the models say."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from config import reference, schema
from config.model import KINDS, Config
from config.section import Section
from config.service import Service

ROOT = Path(__file__).parent.parent.parent
FILES = [ROOT / "collector.yaml", *sorted((ROOT / "config" / "examples").glob("*.yaml"))]
SECTIONS: list[type[Section]] = [Config, Service, *(model for kind in KINDS for model in kind.types.values())]


def every_section(model: type[Section]) -> list[type[Section]]:
    inner = [model.subsection(name) for name in model.model_fields]
    return [model, *(section for one in inner if one is not None for section in every_section(one))]


def complaints(tree: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema.json_schema()).iter_errors(tree)]


def tree_of(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def test_the_schema_file_is_current() -> None:
    assert schema.SCHEMA_FILE.read_text(encoding="utf-8") == schema.render(), "run: python -m config.schema"


def test_the_reference_page_is_current() -> None:
    page = reference.PAGE.read_text(encoding="utf-8")
    assert page == reference.update(page), "run: python -m config.reference"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema.json_schema())
    json.dumps(schema.json_schema(), allow_nan=False)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_schema_accepts_every_file_that_comes_with_spanhouse(file: Path) -> None:
    assert complaints(tree_of(file)) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_that_comes_with_spanhouse_names_its_schema(file: Path) -> None:
    first_line = file.read_text(encoding="utf-8").splitlines()[0]
    name = first_line.removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / name).resolve() == schema.SCHEMA_FILE.resolve()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("compres", "lz4"),
        ("compress", "zip"),
        ("timeout", "5"),
        ("create_schema", "maybe"),
        ("sending_queue", {"num_consumers": -1}),
    ],
)
def test_the_schema_refuses_what_loading_refuses(key: str, value: object) -> None:
    tree = tree_of(ROOT / "collector.yaml")
    tree["exporters"]["clickhouse"][key] = value
    assert complaints(tree)


@pytest.mark.parametrize("key", ["create_schema", "timeout", "compress", "endpoint", "password"])
@pytest.mark.parametrize("value", ["${env:NAME}", "${env:NAME:-x}", None])
def test_the_schema_knows_of_variables_and_bare_keys(key: str, value: object) -> None:
    tree = tree_of(ROOT / "collector.yaml")
    tree["exporters"]["clickhouse"][key] = value
    assert complaints(tree) == []


def test_every_key_is_described() -> None:
    silent = [
        f"{section.__name__}.{name}"
        for model in SECTIONS
        for section in every_section(model)
        for name, field in section.model_fields.items()
        if not field.description
    ]
    assert silent == []


def test_no_key_is_both_known_and_said_to_be_missing() -> None:
    both = [
        f"{section.__name__}.{name}"
        for model in SECTIONS
        for section in every_section(model)
        for name in section.reference_only.keys() & section.model_fields.keys()
    ]
    assert both == []
