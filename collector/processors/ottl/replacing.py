"""What the editors that replace put into texts: the rest of a match, groups of it, or what a function makes of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from collector.processors.ottl.calls import call_on_text
from collector.processors.search import Make, Search, substitute
from config.pattern_facts import least_length
from config.patterns import compile_globs, compile_pattern
from proto.texts import Texts, text_at

_REFERENCE: Final = re.compile(r"\$(?:(?P<dollar>\$)|(?P<plain>\w+)|\{(?P<braced>\w+)\})")
Template = Sequence[bytes | int | None]


class Replacing:
    """A pattern and what is done with what it finds.

    Args:
        pattern: a regular expression that may match anywhere, or a glob for whole texts.
        whole: whether it is a glob.
        function: of what comes in the place of a match; none if it is empty.
        form: a text with `%s` for that.

    Attributes:
        least_length: texts with fewer bytes stay as they are.
    """

    def __init__(self, pattern: str, *, whole: bool, function: str = "", form: str = "") -> None:
        self._pattern = compile_globs([pattern]) if whole else compile_pattern(pattern)
        self._search = None if whole else Search([pattern])
        self.least_length = 0 if whole else least_length(pattern)
        self._function = function
        self._form = form
        self._template = lru_cache(maxsize=256)(self._read)

    def outcomes(self, texts: Texts, replacement: str) -> dict[int, bytes]:
        """Which of the texts change, by their numbers, and into what."""
        if self._search is not None:
            numbers, lines = self._search.substitute(texts, self._maker(replacement))
            return {number: lines.text(place) for place, number in enumerate(numbers.tolist())}
        found = ((number, self.outcome(text_at(texts, number), replacement)) for number in range(len(texts.offsets)))
        return {number: made for number, made in found if made is not None}

    def outcome(self, text: bytes, replacement: str) -> bytes | None:
        """What becomes of a text; None where it stays."""
        if self._search is None:
            made = self._finished(replacement.encode()) if self._pattern.fullmatch(text) else text
        else:
            made = substitute(self._pattern, text, self._maker(replacement))
        return None if made == text else made

    def _maker(self, replacement: str) -> Make:
        template = self._template(replacement)
        if not any(isinstance(part, int) for part in template):
            return self._finished(b"".join(part for part in template if isinstance(part, bytes)))
        return lambda match: self._finished(b"".join(_part(match, part) for part in template))

    def _finished(self, text: bytes) -> bytes:
        if not self._function:
            return text
        made = call_on_text(self._function, text.decode(errors="replace"))
        return (self._form.replace("%s", made) if self._form else made).encode()

    def _read(self, replacement: str) -> Template:
        """A replacement's texts, and the groups that stand between them by their numbers; None for one that there is not."""
        parts: list[bytes | int | None] = []
        end = 0
        for match in _REFERENCE.finditer(replacement):
            parts.append(replacement[end : match.start()].encode())
            end = match.end()
            name = match["plain"] or match["braced"]
            if name is None:
                parts.append(b"$")
            elif name.isdecimal():
                parts.append(int(name) if int(name) <= self._pattern.groups else None)
            else:
                parts.append(self._pattern.groupindex.get(name))
        return (*parts, replacement[end:].encode())


def _part(match: Any, part: bytes | int | None) -> bytes:
    text: bytes = part if isinstance(part, bytes) else b"" if part is None else match[part] or b""
    return text
