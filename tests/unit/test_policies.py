"""Which config speaks for a service, compared with a search through all of them in plain Python."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from collector.control.policies import Policies
from collector.control.tracing_configs import TracingConfig
from config.patterns import Globs
from tests.support.tracing_configs import config, matches

LETTERS = "ab*?.[/"
TEXTS = st.text(LETTERS, min_size=1, max_size=5)
NAMES = st.text("ab./[", max_size=5)


def expected(configs: Sequence[TracingConfig], workspace: str, service: str) -> TracingConfig | None:
    own = [each for each in configs if each.workspace == workspace]
    for each in own:
        if each.settings.service == service and not re.search(r"[*?]", service):
            return each
    fitting = [each for each in own if re.search(r"[*?]", each.settings.service) and matches(each.settings.service, service)]
    return max(fitting, key=lambda each: (len(each.settings.service), each.created_at), default=None)


@given(st.lists(TEXTS, min_size=1, max_size=3), st.lists(st.text(LETTERS + "\nü", max_size=6), max_size=6))
def test_globs_match_as_they_do_by_hand_one_by_one_and_all_at_once(globs: list[str], texts: list[str]) -> None:
    expected = [any(matches(glob, text) for glob in globs) for text in texts]
    compiled = Globs(globs)
    assert [compiled.match(text) for text in texts] == expected
    assert compiled.match_all([text.encode() for text in texts]) == expected


@given(
    st.lists(st.tuples(TEXTS, st.sampled_from(["shop", "other"])), unique=True, max_size=8),
    st.permutations(range(8)),
    st.lists(NAMES, min_size=1, max_size=6),
)
def test_exact_before_glob_before_shorter_glob_before_older_one(
    texts: list[tuple[str, str]], times: list[int], names: list[str]
) -> None:
    configs = [config(text, at, workspace) for (text, workspace), at in zip(texts, times, strict=False)]
    policies = Policies(configs)
    for workspace in ("shop", "other", "nobody"):
        for name in [*names, *(text for text, _ in texts)]:
            policy = policies.policy(workspace, name)
            assert (None if policy is None else policy.config) == expected(configs, workspace, name)


def test_a_policy_says_what_its_config_says() -> None:
    said = config("cart", enabled=False, samplingRate=0.25, excludedPaths=("/healthz", "/static/*"))
    policy = Policies([said]).policy("shop", "cart")
    assert policy is not None
    assert policy.excluded is not None
    assert (policy.enabled, policy.sampling_rate, policy.config) == (False, 0.25, said)
    assert [policy.excluded.match(path) for path in ("/healthz", "/static/a/b", "/static", "/")] == [
        True,
        True,
        False,
        False,
    ]
    plain = Policies([config("cart")]).policy("shop", "cart")
    assert plain is not None
    assert plain.excluded is None
