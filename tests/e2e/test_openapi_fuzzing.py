"""Requests of all kinds that the OpenAPI document allows, and of those that it does not: every answer is one that it promises."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.requests import every_value_request
from tests.support.scenes import scene

WORKSPACE = "fuzzed"
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("examples", [1, pytest.param(5, marks=[pytest.mark.soak, pytest.mark.timeout(400)])])
def test_every_answer_is_one_that_the_document_promises(daemon: Daemon, examples: int) -> None:
    base = f"http://127.0.0.1:{daemon.ports.query}"
    document = json.loads(daemon.get("/openapi.json")[1])
    schema = schemathesis.openapi.from_dict(document)
    problems: list[str] = []
    with requests.Session() as session:
        session.headers["X-Workspace-Id"] = WORKSPACE
        for result in schema.get_all_operations():
            operation = result.ok()
            in_path = {"workspace": WORKSPACE} if "{workspace}" in operation.path else None
            modes = MODES if can_be_wrong(document["paths"][operation.path][operation.method]) else MODES[:1]
            for mode in modes:
                strategy = operation.as_strategy(generation_mode=mode, path_parameters=in_path)
                problems += faults(
                    strategy, examples, session, base, f"{operation.method.upper()} {operation.path} ({mode.value})"
                )
    assert problems == []


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that counts spans and calls as well."""
    with daemon_in(tmp_path) as running:
        running.configure(processors={"red_metrics": {}, "topology": {}})
        running.start()
        yield running
        assert running.stop() == 0, running.log


def test_answers_about_what_is_stored_are_those_that_the_document_promises(counting: Daemon) -> None:
    start = time.time_ns() - 120 * 10**9
    request = every_value_request(start_time_unix_nano=start)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    request.MergeFrom(scene("web SERVER a 20ms!\nweb CLIENT b <a 10ms\ncart SERVER c <b 8ms", start=start))
    counting.export(request, WORKSPACE)
    eventually(lambda: counting.stored() >= 5, "spans are stored")
    trace_id, span_id = span.trace_id.hex(), span.span_id.hex()
    names = {"workspace": WORKSPACE, "service": "values", "key": "string", "trace_id": trace_id, "span_id": span_id}
    needed = {"left": trace_id, "right": trace_id, "spanId": span_id, "service": "values", "selection": "status = error"}
    schema = schemathesis.openapi.from_dict(json.loads(counting.get("/openapi.json")[1]))
    problems, answered = [], set[int]()
    with requests.Session() as session:
        session.headers["X-Workspace-Id"] = WORKSPACE
        for result in schema.get_all_operations():
            operation = result.ok()
            if operation.method != "get" or not {each.name for each in operation.path_parameters} <= names.keys():
                continue
            if operation.path.endswith("/events"):
                # What is told there never ends.
                continue
            path = {each.name: names[each.name] for each in operation.path_parameters}
            for query in queries(operation.query, needed):
                case = operation.Case(path_parameters=path, query=query)
                answer = case.call(base_url=f"http://127.0.0.1:{counting.ports.query}", session=session)
                answered.add(answer.status_code)
                try:
                    case.validate_response(answer, checks=CHECKS)
                except FailureGroup as failures:
                    problems.append((operation.path, query, [str(each) for each in failures.exceptions]))
    assert problems == []
    # No tracing config is about the service.
    assert answered == {200, 404}


def queries(parameters: Any, needed: dict[str, str]) -> Iterator[dict[str, str]]:
    """What must be asked with, and beside that each value of each parameter of which all values are listed."""
    least = {each.name: needed[each.name] for each in parameters if each.is_required or each.name == "selection"}
    yield least
    for each in parameters:
        said = each.definition["schema"]
        for value in said.get("items", said).get("enum", ()):
            # Operations are those of a service.
            yield {**least, each.name: value, **({"service": needed["service"]} if value == "operation" else {})}


def can_be_wrong(operation: dict[str, Any]) -> bool:
    """Whether there is anything that the document does not allow: where all that can be said is any text, there is not."""
    in_query = (each["schema"] for each in operation["parameters"] if each["in"] == "query")
    return "requestBody" in operation or any(schema != {"type": "string"} for schema in in_query)


def faults(strategy: st.SearchStrategy[Case], examples: int, session: requests.Session, base: str, label: str) -> list[str]:
    """What is wrong with the answers to so many of such requests: that of the first that has something wrong."""
    found: list[str] = []

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def ask(case: Case) -> None:
        if not found:
            try:
                answer = case.call(base_url=base, session=session)
                case.validate_response(answer, checks=CHECKS)
                if answer.status_code >= 400:
                    check_problem(answer.status_code, answer.json())
            except (AssertionError, requests.RequestException) as error:
                found.append(f"{label}: {error!r}\n{case.as_curl_command()}")
            except FailureGroup as failures:
                told = "; ".join(f"{failure.title} {failure.message}" for failure in failures.exceptions)
                found.append(f"{label}: {told}\n{answer.text[:500]}\n{case.as_curl_command()}")

    ask()
    return found


def check_problem(status: int, problem: Any) -> None:
    """An error says what is wrong with what, and what would be right."""
    assert problem["status"] == status
    assert status != 500, problem
    assert problem["detail"].strip()
    if problem["title"] == "Invalid parameter":
        assert problem["detail"].startswith(f"{problem['parameter']}={problem['value']!r}: ")
    for error in problem.get("errors", ()):
        assert error["detail"]
        assert "field" in error
