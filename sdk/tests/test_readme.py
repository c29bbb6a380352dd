"""What the README tells to import is there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
ROWS = re.findall(r"^\| [^|]+ \| `(spanhouse_sdk\.\w+)` \| `(.+?)`", README, re.MULTILINE)


def test_the_readme_tells_what_to_import_for_each_framework() -> None:
    assert {module for module, _ in ROWS} >= {"spanhouse_sdk.asgi", "spanhouse_sdk.wsgi", "spanhouse_sdk.grpc_server"}


@pytest.mark.parametrize(("module", "use"), ROWS)
def test_what_the_readme_uses_is_in_the_module_that_it_names(module: str, use: str) -> None:
    own = {name for name, value in vars(import_module(module)).items() if getattr(value, "__module__", None) == module}
    assert own & set(re.findall(r"\w+", use))
