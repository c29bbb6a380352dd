"""Regular expressions, as Go has them: RE2, whose time grows with the text and not with the pattern's tricks. And globs."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Annotated, Any

import re2
from pydantic import AfterValidator

_WILDCARDS = re.compile(r"([*?])")
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_LINE_OPTIONS = re2.Options()
_LINE_OPTIONS.log_errors = False
_LINE_OPTIONS.never_nl = True
_BOUND_TO_ENDS = re.compile(r"\\[AzCQ]|\(\?[a-zA-Z]*-")
"""Finds what means something else in a line than in a text of its own; rather too often than not."""
_ONE_BYTE = re.compile(r"(?:[^\\]|\\.)*?\\C", re.DOTALL)
"""Finds `\\C`, which RE2 has and Go has not: it takes characters apart, and what is left of a text would be none."""


def compile_pattern(pattern: str) -> Any:
    """A compiled regular expression.

    Raises:
        ValueError: it is none; the text says what is wrong with it.
    """
    if _ONE_BYTE.match(pattern):
        raise ValueError(r"must be a regular expression: \C would match a part of a character; use .")
    try:
        return re2.compile(pattern, options=_OPTIONS)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"must be a regular expression: {text}") from None


def compile_line_pattern(pattern: str) -> Any:
    """A compiled regular expression that finds in each of many lines what `pattern` finds in a text of its own.

    None where none can be made. What it finds never reaches over the end of a line.
    """
    if _BOUND_TO_ENDS.search(pattern):
        return None
    return re2.compile(f"(?m:{pattern})", options=_LINE_OPTIONS)


def _checked(pattern: str) -> str:
    compile_pattern(pattern)
    return pattern


Pattern = Annotated[str, AfterValidator(_checked)]
"""Text that is a regular expression."""


def is_glob(text: str) -> bool:
    """Whether a text stands for several others, since it has `*` or `?` in it."""
    return "*" in text or "?" in text


def compile_globs(globs: Iterable[str]) -> Any:
    """A compiled regular expression whose `fullmatch` finds the texts that one of the globs stands for.

    `*` stands for any number of characters, slashes among them, `?` for one, and every other character for itself: brackets and
    braces are usual in routes.
    """
    return compile_pattern(f"(?s)(?:{_one_of(globs)})")


class Globs:
    """Finds texts that one of some globs stands for, as `compile_globs` has them.

    Args:
        globs: one or more of them.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._text = compile_globs(globs)
        self._line = compile_pattern(f"(?m)^(?:{_one_of(globs)})$")

    def match(self, text: str | bytes) -> bool:
        """Whether one of them stands for a text, UTF-8 if it is bytes."""
        return self._text.fullmatch(text) is not None

    def match_all(self, texts: Sequence[bytes]) -> list[bool]:
        """The same for many texts, which are searched at once, as lines one below the other."""
        lines = b"\n".join(texts)
        if lines.count(b"\n") >= len(texts):  # a text with several lines, or no text
            return [self.match(text) for text in texts]
        matched = [False] * len(texts)
        behind = list(accumulate(len(text) + 1 for text in texts))
        for found in self._line.finditer(lines):
            matched[bisect_right(behind, found.start())] = True
        return matched


def _one_of(globs: Iterable[str]) -> str:
    return "|".join(map(_expression, globs))


def _expression(glob: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(part, re2.escape(part)) for part in _WILDCARDS.split(glob))
