"""Every reader of outside bytes on a few thousand broken inputs, and on all that was ever found; `tests.fuzz` runs more."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.mutation import mutated
from tests.fuzz.reached import reached
from tests.fuzz.targets import TARGETS, found_before

EXECUTIONS = 3_000


@pytest.mark.parametrize("name", TARGETS)
def test_the_samples_are_read(name: str) -> None:
    for sample in TARGETS[name].samples():
        TARGETS[name].run(sample)


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_once_stays_mended(name: str) -> None:
    for body in found_before(name):
        TARGETS[name].run(body)


@pytest.mark.parametrize("name", TARGETS)
def test_what_reaches_most_is_read_or_refused(name: str) -> None:
    for body in reached().get(name, ()):
        TARGETS[name].run(body)


@pytest.mark.parametrize("name", TARGETS)
def test_broken_inputs_are_read_or_refused(name: str) -> None:
    target, random = TARGETS[name], Random(f"{name}-suite")
    samples = target.samples()
    for _ in range(EXECUTIONS):
        target.run(mutated(random, samples, target.tokens))
