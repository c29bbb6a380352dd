"""What the daemon asks of those who manage its memory."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from collector.memory import forget_code

LIBRARY = "_multiarray_umath"
"""NumPy's own code."""
SMAPS = Path("/proc/self/smaps")


def code_in_memory() -> int:
    """KiB of NumPy's machine code that this process holds."""
    sizes = re.findall(rf"r-xp .*/{LIBRARY}[^\n]*\n(?:[A-Za-z_]+:.*\n)*?Rss: +(\d+) kB", SMAPS.read_text())
    return sum(map(int, sizes))


@pytest.mark.skipif(not SMAPS.exists(), reason="the system does not say what a process holds")
def test_code_that_is_forgotten_is_let_go_of_and_comes_back_when_it_is_called() -> None:
    numbers = np.arange(1000)
    assert numbers.sum() == 499_500
    held = code_in_memory()
    forget_code(LIBRARY)
    assert code_in_memory() < held // 2
    assert numbers.sum() == 499_500


def test_to_forget_what_is_not_there_changes_nothing() -> None:
    forget_code("no-such-library")
    assert np.arange(10).sum() == 45
