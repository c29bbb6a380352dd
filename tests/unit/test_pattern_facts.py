"""What is said of patterns, against what RE2 finds by them."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.pattern_facts import byte_classes, least_length
from config.patterns import compile_pattern

PARTS = (
    *("a", "k", "7", "-", " ", r"\.", r"\d", r"\D", r"\w", r"\S", r"\b", r"\B", ".", "^", "$", r"\n", "{", "ü"),
    *("[0-9]", "[^5]", r"[\D5]", r"[^\W3-5]", "[]a]", "[^]-]", "[+--]", "[[:alpha:]_]", "[[:^digit:]x]", r"[\-x]"),
    *("[a-z0-9._%+-]", "a{2}", r"\d{1,3}", "[0-9]{2,}", "(?:a|7)", "(b|c)+", "x*?", "(?P<n>y)", "(?s:.)", "(?i:k)"),
    *("(?i:[b-d])", r"\x61", r"\pL", r"\Qa.\E", r"\t", r"\061"),
)
PATTERNS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("".join)
TEXTS = st.text(st.sampled_from("aAbcdkKxyz0123579-+._%[]{} \n\tü\u017f\u212a"), max_size=20)


def spans(pattern: str, text: bytes) -> list[tuple[int, int]]:
    return [match.span() for match in compile_pattern(pattern).finditer(text)]


@settings(deadline=None, max_examples=300)
@given(PATTERNS, TEXTS, st.data())
def test_the_same_is_found_in_texts_of_the_same_kinds_and_nothing_too_short(pattern: str, text: str, data: st.DataObject) -> None:
    try:
        compile_pattern(pattern)
    except ValueError:
        return
    kinds = byte_classes([pattern])
    members = {kind: [code for code in range(256) if kinds[code] == kind] for kind in set(kinds)}
    other = bytes(data.draw(st.sampled_from(members[kinds[code]])) for code in text.encode())
    assert spans(pattern, other) == spans(pattern, text.encode())
    assert spans(pattern, text.encode().translate(kinds)) == spans(pattern, text.encode())
    assert all(end - start >= least_length(pattern) for start, end in spans(pattern, text.encode()))


@pytest.mark.parametrize(
    ("pattern", "kinds"),
    [
        (r"\b[0-9]{16}\b", ["0123456789", f"{string.ascii_letters}_"]),
        (r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", ["0123456789", f"{string.ascii_letters}_", "."]),
        (r"\S+@\S+", [f"{string.ascii_letters}{string.digits}.-_", "@", " \t"]),
        ("token=[^&]+", ["t", "o", "k", "e", "n", "=", "&", "0123456789"]),
    ],
)
def test_what_usual_patterns_do_not_tell_apart_is_of_one_kind(pattern: str, kinds: list[str]) -> None:
    found = byte_classes([pattern])
    for kind in kinds:
        assert len({found[ord(character)] for character in kind}) == 1
    assert len({found[ord(kind[0])] for kind in kinds}) == len(kinds)


def test_where_it_is_not_known_what_a_pattern_tells_apart_each_byte_is_of_a_kind_of_its_own() -> None:
    assert byte_classes([r"\d+", r"\pL"]) == bytes(range(256))


@pytest.mark.parametrize(
    ("pattern", "length"),
    [
        (r"\b[0-9]{16}\b", 16),
        (r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", 7),
        (r"\S+@\S+", 3),
        ("(?i)token=[^&]+|(?:a|bc){2,}?d*", 2),
        ("^x?$", 0),
        ("[]{}]{3}", 3),
        (r"\{2}", 3),
        (r"\x61{5}", 0),
    ],
)
def test_how_short_can_be_what_usual_patterns_find(pattern: str, length: int) -> None:
    assert least_length(pattern) == length
