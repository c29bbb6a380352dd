"""What the processor `redaction` puts in the place of texts, and of parts of them. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

from config.patterns import compile_pattern
from config.redaction import RedactionProcessor

MASK: Final = b"****"

_SEPARATOR: Final = b"\n"
_BOUND_TO_ENDS: Final = re.compile(r"\\[AzCQ]|\(\?[a-zA-Z]*-")
"""What a pattern may hold that means something else in a line than in a text of its own; rather too often than not."""
_HASHES: Final = {"md5": "md5", "sha1": "sha1", "sha3": "sha3_256", "hmac-sha256": "sha256", "hmac-sha512": "sha512"}


class Masking:
    """The patterns for values.

    Attributes:
        looks_at_values: whether there are any.
    """

    def __init__(self, settings: RedactionProcessor) -> None:
        self._algorithm = _HASHES.get(settings.hash_function)
        self._secret = settings.hmac_key.get_secret_value().encode()
        self._allowed = [compile_pattern(pattern) for pattern in settings.allowed_values]
        self._blocked = [compile_pattern(pattern) for pattern in settings.blocked_values]
        patterns = (*settings.allowed_values, *settings.blocked_values)
        self.looks_at_values = bool(patterns)
        self._any = _one_of_all(patterns)

    def candidates(self, texts: Sequence[bytes]) -> list[int]:
        """Which of the texts any of the patterns may match, by their numbers; of the others it is certain that none does.

        All are searched at once, as lines one below the other. A match in a text of its own is one in these lines too. Where one
        is found that reaches over several texts, each of them is a candidate.
        """
        if self._any is None:
            return list(range(len(texts)))
        lines = _SEPARATOR.join(texts)
        behind = list(accumulate(len(text) + len(_SEPARATOR) for text in texts))
        found: list[int] = []
        position = 0
        while position <= len(lines) and (match := self._any.search(lines, position)):
            first, last = (bisect_right(behind, place) for place in match.span())
            found += range(first, last + 1)
            position = behind[last]
        return found

    def outcome(self, text: bytes, whole: bool) -> bytes | None:
        """What becomes of a value: the same text where nothing in it is blocked, None where it is let through.

        Args:
            whole: its key is blocked.
        """
        if any(pattern.search(text) for pattern in self._allowed):
            return None
        if whole:
            return self._mask(text)
        for pattern in self._blocked:
            text = self._masked(pattern, text)
        return text

    def _masked(self, pattern: Any, text: bytes) -> bytes:
        parts: list[bytes] = []
        end = 0
        for match in pattern.finditer(text):
            start, behind = match.span()
            # As in Go, an empty match right behind another is none, nor is one inside a character.
            if behind == start and ((parts and start == end) or _is_inside_a_character(text, start)):
                continue
            parts += [text[end:start], self._mask(text[start:behind])]
            end = behind
        return b"".join([*parts, text[end:]]) if parts else text

    def _mask(self, text: bytes) -> bytes:
        if self._algorithm is None:
            return MASK
        if self._secret:
            return hmac.digest(self._secret, text, self._algorithm).hex().encode()
        return hashlib.new(self._algorithm, text, usedforsecurity=False).hexdigest().encode()


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
