"""Regular expressions are those that Go has."""

from __future__ import annotations

import pytest

from config.patterns import compile_pattern


@pytest.mark.parametrize("pattern", [r"\C", r"a\C$", r"\\\C", "a\n\\C", r"\d\C"])
def test_what_takes_characters_apart_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\\C would match a part of a character"):
        compile_pattern(pattern)


@pytest.mark.parametrize(("pattern", "text"), [(r"\\C", r"\C"), (r"\\\\C", r"\\C"), (r"\dC", "1C"), ("C", "C")])
def test_a_letter_behind_an_escaped_backslash_is_a_letter(pattern: str, text: str) -> None:
    assert compile_pattern(pattern).fullmatch(text)
