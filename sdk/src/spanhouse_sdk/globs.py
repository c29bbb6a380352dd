"""Globs as tracing configs and failure rules have them: `*` stands for any characters, `?` for one, all others for themselves."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache
from typing import Final

_REMEMBERED: Final = 1024
_LONGEST: Final = 512
"""Longer texts are not remembered: callers choose them, and a thousand of the longest would take tens of megabytes."""


def matches(globs: tuple[str, ...], text: str) -> bool:
    """Whether one of the globs stands for a text.

    The time that this takes grows with the text, whatever the globs: fnmatch makes expressions that never go back behind a `*`.
    """
    return _known(globs, text) if len(text) <= _LONGEST else _compiled(globs).fullmatch(text) is not None


@lru_cache(_REMEMBERED)
def _known(globs: tuple[str, ...], text: str) -> bool:
    return _compiled(globs).fullmatch(text) is not None


@lru_cache(_REMEMBERED)
def _compiled(globs: tuple[str, ...]) -> re.Pattern[str]:
    # To fnmatch, brackets have a meaning. Here they are usual characters of routes.
    return re.compile("|".join(fnmatch.translate(glob.replace("[", "[[]")) for glob in globs))
