"""The page of the OpenAPI document: all of the document is on it, and it leads nowhere but to itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from collector.api.app import ROUTES
from collector.api.openapi import openapi_document
from collector.api.openapi_page import POLICY, openapi_page

_VOID = {"meta"}


class Page(HTMLParser):
    """Elements and texts of a page; every element must be closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.style = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.texts.append(data)

    def values(self, attribute: str) -> list[str]:
        return [value or "" for name, value in self.attributes if name == attribute]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document(ROUTES)


@pytest.fixture(scope="module")
def page(document: dict[str, Any]) -> Page:
    return Page(openapi_page(document))


def test_every_link_leads_to_a_place_on_the_page_or_to_the_document(page: Page) -> None:
    assert page.open == []
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {link for link in page.values("href") if link.removeprefix("#") not in ids} == {"openapi.json"}


def test_nothing_on_it_runs_or_asks_another_server(page: Page) -> None:
    assert not set(page.tags) & {"script", "img", "link", "iframe", "form", "object"}
    assert not {name for name, _ in page.attributes} & {"src", "style", "onclick", "onload"}
    assert "url(" not in page.style
    assert "@import" not in page.style
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert POLICY.startswith("default-src 'none'")


def test_everything_that_the_document_says_is_on_it(page: Page, document: dict[str, Any]) -> None:
    text = " ".join(page.texts)
    flat = " ".join("".join(page.texts).split())
    missing = [said for said in _said(document["paths"]) if " ".join(said.replace("`", "").split()) not in flat]
    missing += [name for name in document["components"]["schemas"] if name not in text]
    assert missing == []


def _said(item: Any) -> Iterator[str]:
    """Paths and statuses, and of each parameter, body and answer its name, description, bounds, default and example."""
    if isinstance(item, list):
        for each in item:
            yield from _said(each)
    elif isinstance(item, dict):
        for key, value in item.items():
            if key.startswith("/") or key.isdigit():
                yield key
            if key in ("name", "description", "summary", "minimum", "maximum", "default", "example", "pattern"):
                yield str(value)
            elif key == "enum":
                yield from map(str, value)
            else:
                yield from _said(value)


def test_every_parameter_has_an_example_that_it_takes(document: dict[str, Any]) -> None:
    parameters = {(route.path, each.name): each for route in ROUTES for each in route.parameters}
    opaque = {"cursor"}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for described in operation["parameters"]:
                name = described["name"]
                if name in opaque:
                    continue
                example = described["example"]
                if described["in"] == "query":
                    text = example[0] if isinstance(example, list) else example
                    text = str(text).lower() if isinstance(text, bool) else str(text)
                    parameters[path, name].parse(text)


def test_texts_of_a_document_are_texts_on_the_page() -> None:
    odd = "<script>alert('`&`')</script>"
    schema = {"type": "string", "default": odd, "enum": [odd]}
    parameter = {"name": odd, "in": "query", "required": True, "description": odd, "schema": schema, "example": odd}
    answers = {"200": {"description": odd, "content": {odd: {"schema": {"$ref": f"#/components/schemas/{odd}"}}}}}
    operation = {"operationId": odd, "tags": [odd], "summary": odd, "parameters": [parameter], "responses": answers}
    members = {"type": "object", "properties": {odd: {"description": odd, "const": odd}}}
    page = Page(
        openapi_page(
            {
                "info": {"title": odd, "version": odd, "description": odd},
                "paths": {odd: {"get": operation}},
                "components": {"schemas": {odd: members}},
            }
        )
    )
    assert page.open == []
    assert "script" not in page.tags
    assert {link for link in page.values("href") if link.removeprefix("#") not in page.values("id")} == {"openapi.json"}
