"""What the image is made of reaches its build, which the suite does not run."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def copied() -> list[str]:
    """What the Dockerfile takes from the sources."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from=" not in line]
    return [source for sources in copies for source in sources]


def let_through() -> set[str]:
    """What `.dockerignore` excepts from ignoring everything."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return {line.removeprefix("!").removesuffix("/**") for line in lines if line.startswith("!")}


@pytest.mark.parametrize("source", copied())
def test_what_the_image_is_made_of_is_there_and_is_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    assert {source, source.partition("/")[0]} & let_through()
