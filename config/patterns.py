"""Regular expressions, as Go has them: RE2, whose time grows with the text and not with the pattern's tricks."""

from typing import Annotated, Any

import re2
from pydantic import AfterValidator

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
