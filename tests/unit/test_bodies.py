"""Any JSON as a body is a model, or a problem that names its faults."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from collector.api.bodies import validated
from collector.api.problems import Problem
from collector.control.tracing_configs import TracingSettings

LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8
)
NAMES = st.sampled_from(["service", "enabled", "samplingRate", "excludedPaths", "propagateContext", "comment", "sampling_rate"])


@given(st.dictionaries(NAMES | st.text(max_size=8), JSON | st.just("cart") | st.just(0.5), max_size=6))
def test_any_object_is_settings_or_a_problem(document: dict[str, object]) -> None:
    try:
        settings = validated(TracingSettings, document)
    except Problem as problem:
        answer = problem.response()
    else:
        assert settings.service == document["service"]
        assert "sampling_rate" not in document
        assert validated(TracingSettings, settings.model_dump(by_alias=True)) == settings
        return
    assert answer.status == 400
    assert orjson.loads(answer.body)["errors"]
