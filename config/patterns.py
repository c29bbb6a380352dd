"""Regular expressions, as Go has them: RE2, whose time grows with the text and not with the pattern's tricks. And globs."""

import re
from collections.abc import Iterable
from typing import Annotated, Any

import re2
from pydantic import AfterValidator

_WILDCARDS = re.compile(r"([*?])")
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def compile_pattern(pattern: str) -> Any:
    """A compiled regular expression.

    Raises:
        ValueError: it is none; the text says what is wrong with it.
    """
    try:
        return re2.compile(pattern, options=_OPTIONS)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"must be a regular expression: {text}") from None


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
    return compile_pattern(f"(?s)(?:{'|'.join(map(_expression, globs))})")


def _expression(glob: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(part, re2.escape(part)) for part in _WILDCARDS.split(glob))
