"""Durations, addresses and sizes as the dialect writes them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.values import Duration, TcpAddress, UnixAddress


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("200ms", 200_000_000),
        ("5s", 5_000_000_000),
        ("1m30s", 90_000_000_000),
        ("1.5h", 5_400_000_000_000),
        ("1.5us", 1_500),
        ("2µs", 2_000),
        ("2μs", 2_000),
        ("0.1ns", 0),
        ("72h0m0.5s", 259_200_500_000_000),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, nanoseconds: int) -> None:
    assert Duration.parse(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-5s", "+5s", "5 s", "5S", "1d", "1h-1m", "5s ", "\N{ARABIC-INDIC DIGIT FIVE}s", "1e3s", "9223372037s"]
)
def test_other_forms_are_not_durations(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        Duration.parse(text)


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_a_duration_survives_being_written_and_read(nanoseconds: int) -> None:
    duration = Duration(nanoseconds)
    assert Duration.parse(str(duration)) == duration


def test_a_duration_says_its_seconds() -> None:
    assert Duration.parse("1m30s250ms").seconds == 90.25


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost:4317", "localhost", 4317),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:4317", "::1", 4317),
        (":4317", "0.0.0.0", 4317),
    ],
)
def test_an_address_is_taken_apart(text: str, host: str, port: int) -> None:
    assert TcpAddress.parse(text) == TcpAddress(host, port)


def test_an_address_of_version_6_is_written_in_brackets() -> None:
    assert str(TcpAddress("::1", 4317)) == "[::1]:4317"


@pytest.mark.parametrize(
    "text", ["", "localhost", "localhost:", "localhost:x", "::1:4317", "a b:1", "u@h:1", "h:65536", "http://h:1"]
)
def test_other_forms_are_not_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        TcpAddress.parse(text)


def test_a_socket_path_may_be_as_long_as_linux_allows() -> None:
    assert UnixAddress.parse("/" + "a" * 106).path == "/" + "a" * 106
    with pytest.raises(ValueError, match="107 bytes"):
        UnixAddress.parse("/" + "a" * 107)


@pytest.mark.parametrize("text", ["", "otlp.sock", "unix:///run/otlp.sock"])
def test_other_forms_are_not_socket_paths(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        UnixAddress.parse(text)
