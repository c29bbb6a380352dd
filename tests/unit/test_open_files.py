"""The limit of open files, in a process of its own, since a limit that was lowered stays so."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource
from collector.open_files import allow_many
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
allow_many()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize("soft", [64, 300])
def test_the_soft_limit_becomes_the_hard_one(soft: int) -> None:
    command = [sys.executable, "-c", SCRIPT.format(soft=soft, hard=300)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["300", "300"]
