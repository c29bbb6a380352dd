"""What `spanhouse validate` advises on configurations that can be used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.cli import main
from config.advice import advise
from config.document import read_document
from config.fates import fate
from config.load import load
from config.ottl import read_condition
from tests.support import ottl_oracle as oracle
from tests.unit.test_ottl_evaluate import requests

ROOT = Path(__file__).parents[2]
CASES = sorted(ROOT.joinpath("tests", "advice_cases").glob("*.yaml"))
GOOD = [ROOT / "collector.yaml", *sorted(ROOT.joinpath("config", "examples").glob("*.yaml"))]
MARK = "# advice: "


def advice_on(file: Path) -> list[str]:
    # What has a default is not set, for some of it goes with other settings only.
    environment = dict.fromkeys(re.findall(r"\$\{env:(\w+)\}", file.read_text(encoding="utf-8")), "x" * 32)
    problems = advise(load(file, environment), read_document(file.read_bytes(), environment))
    return [f"{problem.line}: {problem}" for problem in problems]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_what_is_hardly_meant_is_told_with_place_and_remedy(case: Path) -> None:
    lines = case.read_text(encoding="utf-8").splitlines()
    assert advice_on(case) == [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.name)
def test_nothing_is_to_be_said_of_the_files_that_come_with_spanhouse(file: Path) -> None:
    assert advice_on(file) == []


def test_advice_stands_behind_the_word_that_the_file_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    case = str(ROOT / "tests" / "advice_cases" / "actions.yaml")
    assert main(["validate", "-c", case]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == f"{case} is valid"
    assert second == (
        f"{case}:11: processors.attributes.actions[1]: removes a, which actions[0] has set; leave one of them out (advice)"
    )


VALUES = st.sampled_from(["nil", "true", "0", "1", "-1", "0.5", '"a"', '"b"', '""', "0x61"])
SIDES = st.sampled_from(['attributes["a"]', 'attributes["b"]', 'attributes["a"]["b"]', 'Int(attributes["a"])'])
SIGNS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
comparisons = st.one_of(
    st.builds("{} {} {}".format, SIDES, SIGNS, VALUES),
    st.builds("{} {} {}".format, SIDES, SIGNS, VALUES),
    st.builds("{1} {0} {2}".format, SIGNS, VALUES, SIDES),
    st.builds("name {} {}".format, SIGNS, st.sampled_from(['"a"', '"ab"'])),
    st.builds("kind {} {}".format, SIGNS, st.integers(-1, 6)),
    st.sampled_from(["true", "false", "IsRootSpan()", 'IsString(attributes["a"])', "span_id == parent_span_id"]),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: f"({' and '.join(terms)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: f"({' or '.join(terms)})"),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None, phases=set(Phase) - {Phase.explain})
@given(requests(), conditions)
def test_what_is_told_of_a_condition_is_true_of_every_span(request: ExportTraceServiceRequest, text: str) -> None:
    try:
        root = read_condition(text, "span").root
    except ValueError:
        return
    verdicts = {oracle.verdict(root, subject) for subject in oracle.spans(request)}
    match fate(root):
        case "never":
            assert all(verdict is not True for verdict in verdicts)
        case "always":
            assert verdicts == {True}
        case None:
            return
