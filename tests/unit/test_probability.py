"""Thresholds of probabilities, and the trace state that carries them, against the specification's own figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.processors.probability import NEVER, SMALLEST, probability, read_threshold, threshold, threshold_text
from collector.processors.trace_state import TraceState, read_trace_state


@pytest.mark.parametrize(
    ("share", "three_digits", "four_digits", "adjusted_count"),
    [
        (1, "0", "0", 1),
        (31 / 32, "08", "08", 32 / 31),
        (3 / 4, "4", "4", 1.3333333),
        (1 / 2, "8", "8", 2),
        (1 / 3, "aab", "aaab", 3.0000458),
        (1 / 4, "c", "c", 4),
        (1 / 8, "e", "e", 8),
        (1 / 10, "e66", "e666", 9.9993896),
        (1 / 20, "f333", "f3333", 19.9999237),
        (1 / 100, "fd71", "fd70a", 99.9977112),
        (1 / 1000, "ffbe7", "ffbe77", 1000.0129),
        (1 / 1_000_000, "ffffef4", "ffffef39", 999992.4),
    ],
)
def test_a_probability_has_the_threshold_of_the_specification(
    share: float, three_digits: str, four_digits: str, adjusted_count: float
) -> None:
    assert threshold_text(threshold(share, 3)) == three_digits
    assert threshold_text(threshold(share, 4)) == four_digits
    assert 1 / probability(threshold(share, 4)) == pytest.approx(adjusted_count, rel=1e-6)


@given(st.floats(SMALLEST, 1), st.integers(1, 14))
def test_any_probability_has_a_threshold_near_by(share: float, precision: int) -> None:
    found = threshold(share, precision)
    assert 0 <= found < NEVER
    assert read_threshold(threshold_text(found)) == found
    assert abs(probability(found) - share) <= share * 16.0 ** (1 - precision) + SMALLEST


@pytest.mark.parametrize("share", [0, SMALLEST / 2, 1.001])
def test_what_is_no_probability_has_no_threshold(share: float) -> None:
    with pytest.raises(ValueError, match="no probability"):
        threshold(share)


@given(st.integers(0, NEVER - 1), st.integers(0, NEVER - 1))
def test_texts_compare_as_numbers_do(one: int, other: int) -> None:
    assert (threshold_text(one) <= f"{other:014x}") == (one <= other)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", TraceState()),
        ("vendor=value, other=1", TraceState(members=("vendor=value", "other=1"))),
        ("a=1,,ot=th:8", TraceState(threshold=8 << 52, members=("a=1",))),
        ("ot=th:08;rv:0123456789abcd", TraceState(threshold=8 << 48, randomness=0x0123456789ABCD)),
        ("ot=p:8;th:0;x:", TraceState(threshold=0, entries=("p:8", "x:"))),
        ("t@v=a b", TraceState(members=("t@v=a b",))),
    ],
)
def test_a_trace_state_is_read(text: str, state: TraceState) -> None:
    assert read_trace_state(text.encode()) == state


@pytest.mark.parametrize(
    "text",
    [
        "no member",
        "UPPER=1",
        "ot=th:8,ot=th:4",
        "ot=",
        "ot=th:",
        "ot=th:G",
        "ot=th:8F",
        "ot=th:123456789abcdef",
        "ot=rv:8",
        "ot=th:8;th:8",
        "ot=th=8",
        f"ot=x:{'y' * 255}",
        ",".join(f"k{number}=v" for number in range(33)),
        "k=\xff",
    ],
)
def test_a_malformed_trace_state_is_none(text: str) -> None:
    assert read_trace_state(text.encode("latin-1")) is None


def test_other_entries_and_members_are_kept_behind_ours() -> None:
    state = read_trace_state(b"a=1,ot=p:8;th:4;rv:0123456789abcd,b=2")
    assert state is not None
    assert state.with_threshold(8 << 52) == b"ot=th:8;rv:0123456789abcd;p:8,a=1,b=2"
    assert state.with_threshold(None) == b"ot=rv:0123456789abcd;p:8,a=1,b=2"
    assert TraceState(threshold=1, members=("a=1",)).with_threshold(None) == b"a=1"


def test_what_there_is_no_room_for_goes_from_the_end() -> None:
    full = TraceState(entries=("p:1", f"x:{'y' * 250}"), members=tuple(f"k{number}=v" for number in range(32)))
    member, *others = full.with_threshold(0).decode().split(",")
    assert member == "ot=th:0;p:1"
    assert others == [f"k{number}=v" for number in range(31)]


@given(st.binary(max_size=64) | st.text("ot=:;thrv0a,@ ", max_size=64).map(str.encode))
def test_whatever_is_read_is_written_so_that_it_reads_the_same(text: bytes) -> None:
    state = read_trace_state(text)
    if state is not None and (written := state.with_threshold(state.threshold)):
        assert read_trace_state(written) == state
