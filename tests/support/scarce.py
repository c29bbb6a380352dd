"""Memory that is short for a while."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest

from collector import scarce_memory


def let_memory_be_short(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, calls: Collection[int]) -> list[int]:
    """Have a function fail for want of memory; returns the calls that did, as they come.

    Args:
        owner, name: where the function is found.
        calls: which of its calls fail, from 1 on.
    """
    work: Callable[..., Any] = getattr(owner, name)
    number = 0
    failed: list[int] = []

    def scarce(*given: Any, **named: Any) -> Any:
        nonlocal number
        number += 1
        if number in calls:
            failed.append(number)
            raise MemoryError
        return work(*given, **named)

    monkeypatch.setattr(owner, name, scarce)
    monkeypatch.setattr(scarce_memory, "AGAIN_S", 0.0)
    return failed
