"""Functions and operators come to what Prometheus' own engine (3.8) makes of the same expressions, of time alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from collector.query.promql.evaluation import evaluate
from collector.query.promql.needs import Steps
from collector.query.promql.reading import read_promql
from collector.query.promql.vectors import Vector, labels_of

STEPS: Final = Steps(1_700_000_000 // 60 * 60 * 10**9, 130 * 10**9, 10)
LINES: Final = (Path(__file__).parent / "promql_cases.jsonl").read_bytes().splitlines()
PARTS: Final[dict[str, str]] = orjson.loads(LINES[0])
"""Words of the cases → what they stand for: five series, and a counter that begins anew every seven minutes."""
CASES: Final[list[dict[str, Any]]] = [orjson.loads(line) for line in LINES[1:]]
"""Queries, and for each series the labels and the number at each step; null where it is not there."""


@pytest.mark.parametrize("case", CASES, ids=[case["query"] for case in CASES])
def test_expressions_come_to_what_prometheus_makes_of_them(case: dict[str, Any]) -> None:
    text = case["query"].replace("MANY", PARTS["MANY"]).replace("SAW", PARTS["SAW"])
    found = asyncio.run(evaluate(None, read_promql(text), STEPS, "default"))  # type: ignore[arg-type]  # nothing is read
    expected = {labels_of(labels): values for labels, values in case["series"]}
    if not isinstance(found, Vector):
        assert found.tolist() == pytest.approx(expected[()], rel=1e-9)
        return
    rows = zip(found.labels, found.values.tolist(), found.present.tolist(), strict=True)
    ours = {labels: [v if there else None for v, there in zip(*row, strict=True)] for labels, *row in rows if any(row[1])}
    assert set(ours) == set(expected)
    for labels, values in expected.items():
        assert [value is None for value in ours[labels]] == [value is None for value in values]
        numbers = [float(value) for value in values if value is not None]
        assert [v for v in ours[labels] if v is not None] == pytest.approx(numbers, rel=1e-9, abs=1e-9, nan_ok=True)
