"""Searches many texts for the same patterns, and puts something else in the place of what is found. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from config.patterns import compile_pattern

_SEPARATOR: Final = b"\n"
_BOUND_TO_ENDS: Final = re.compile(r"\\[AzCQ]|\(\?[a-zA-Z]*-")
"""What a pattern may hold that means something else in a line than in a text of its own; rather too often than not."""


class Search:
    """Patterns of which any may be found."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._any = _one_of_all(patterns)

    def candidates(self, texts: Sequence[bytes]) -> list[int]:
        """Which of the texts any of the patterns may match, by their numbers; of the others it is certain that none does.

        All are searched at once, as lines one below the other. A match in a text of its own is one in these lines too. Where one
        is found that reaches over several texts, each of them is a candidate.
        """
        if self._any is None:
            return list(range(len(texts)))
        lines = _SEPARATOR.join(texts)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        behind = np.cumsum(lengths + len(_SEPARATOR)).tolist()
        found: list[int] = []
        position = 0
        while position <= len(lines) and (match := self._any.search(lines, position)):
            first, last = (bisect_right(behind, place) for place in match.span())
            found += range(first, last + 1)
            position = behind[last]
        return found


def substitute(pattern: Any, text: bytes, make: Callable[[Any], bytes]) -> bytes:
    """The text with something else in place of each match of a compiled pattern; the same text where there is none."""
    parts: list[bytes] = []
    end = 0
    for match in pattern.finditer(text):
        start, behind = match.span()
        # As in Go, an empty match right behind another is none, nor is one inside a character.
        if behind == start and ((parts and start == end) or _is_inside_a_character(text, start)):
            continue
        parts += [text[end:start], make(match)]
        end = behind
    return b"".join([*parts, text[end:]]) if parts else text


def _one_of_all(patterns: Sequence[str]) -> Any:
    """A pattern that finds in lines what any of these finds in a text of its own; None where there is none."""
    if any(_BOUND_TO_ENDS.search(pattern) for pattern in patterns):
        return None
    try:
        return compile_pattern("|".join(f"(?m:{pattern})" for pattern in patterns))
    except ValueError:
        # Each is one, but two of them may have groups of the same name.
        return None


def _is_inside_a_character(text: bytes, position: int) -> bool:
    return position < len(text) and text[position] & 0xC0 == 0x80
