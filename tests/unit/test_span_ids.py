"""Span ids as numbers, whatever other writers take for an id."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proto.span_ids import id_numbers
from proto.texts import known_texts

DIGITS = st.text("0123456789abcdef", min_size=16, max_size=16)
ODD = st.sampled_from(["", "1", "0" * 16, f"{1:016x}", f"{2:016x}", "ABCDEF0123456789"]) | st.text(max_size=20)
IDS = st.lists(DIGITS | ODD, min_size=1)


@given(IDS, IDS)
def test_equal_ids_have_equal_numbers_and_can_be_told_from_them(own: list[str], parents: list[str]) -> None:
    columns, odd = id_numbers([known_texts(own), known_texts(parents)])
    texts = [*own, *parents]
    numbers = [number for column in columns for number in column.tolist()]
    assert [odd.get(number) or (f"{number:016x}" if number else "") for number in numbers] == texts
    by_text = sorted(zip(texts, numbers, strict=True))
    odd_numbers = [number for _, number in by_text if number in odd]
    assert odd_numbers == sorted(odd_numbers)
