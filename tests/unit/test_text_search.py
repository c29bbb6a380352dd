"""Texts that are searched at once come to what each comes to alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.processors.search import Make, Search, substitute
from config.patterns import compile_pattern
from proto.texts import texts_of

PATTERNS = st.lists(
    st.sampled_from(["[0-9]+", r"[0-9]{2}", "a", "[ab]+$", r"\bb", "x*", r"\*", "<.>", "ü", "^$", r"b\z", "(?i)A."]), max_size=4
)
TEXTS = st.lists(st.text(st.sampled_from("ab1 2*<>ü\n"), max_size=8).map(str.encode), max_size=12)


def _reversed(match: Any) -> bytes:
    text: bytes = match[0]
    return text[:1] + b"a"


MAKES: dict[str, Make] = {"masks": b"**", "nothing": b"", "lines": b"1\n1", "what was there": b"a", "of the match": _reversed}


def alone(patterns: list[str], text: bytes, make: bytes | Callable[[Any], bytes]) -> bytes:
    for pattern in patterns:
        text = substitute(compile_pattern(pattern), text, make)
    return text


@settings(deadline=None, max_examples=300)
@given(PATTERNS, TEXTS, st.sampled_from(sorted(MAKES)))
def test_all_texts_at_once_change_as_each_does_alone(patterns: list[str], texts: list[bytes], make: str) -> None:
    numbers, lines = Search(patterns).substitute(texts_of(texts), MAKES[make])
    changed = {number: lines.text(place) for place, number in enumerate(numbers.tolist())}
    expected = {number: alone(patterns, text, MAKES[make]) for number, text in enumerate(texts)}
    assert changed == {number: made for number, made in expected.items() if made != texts[number]}


@settings(deadline=None, max_examples=200)
@given(PATTERNS, TEXTS)
def test_all_texts_at_once_have_what_each_has_alone(patterns: list[str], texts: list[bytes]) -> None:
    compiled = [compile_pattern(pattern) for pattern in patterns]
    expected = [any(pattern.search(text) for pattern in compiled) for text in texts]
    assert Search(patterns).found(texts_of(texts)).tolist() == expected
