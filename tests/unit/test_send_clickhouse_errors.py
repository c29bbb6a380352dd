"""What ClickHouse's answers mean for a retry."""

from __future__ import annotations

import pytest

from exporters.base import Outlook
from exporters.clickhouse.client import ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable
from exporters.clickhouse.errors import OUTLOOKS, export_error


@pytest.mark.parametrize("code", [159, 198, 202, 209, 210, 225, 241, 252, 319, 473, 499, 500, 722, 733, 745, 762, 778, 999])
def test_trouble_that_passes_is_retried_without_end(code: int) -> None:
    assert OUTLOOKS[code] is Outlook.LATER


@pytest.mark.parametrize("code", [27, 53, 62, 117])
def test_data_at_fault_is_never_sent_again(code: int) -> None:
    assert OUTLOOKS[code] is Outlook.NEVER


@pytest.mark.parametrize("code", [60, 81, 164, 497, 516])
def test_what_an_operator_can_put_right_is_retried_for_a_while(code: int) -> None:
    assert OUTLOOKS[code] is Outlook.UNSURE


def test_an_unknown_code_is_retried_for_a_while_under_its_own_name() -> None:
    error = export_error(ClickHouseError(12345, "BRAND_NEW", "what is this", 500))
    assert (error.outlook, error.reason) == (Outlook.UNSURE, "brand_new")
    assert "what is this" in str(error)
    assert export_error(ClickHouseError(12345, "", "nameless", 500)).reason == "code_12345"


@pytest.mark.parametrize(
    ("status", "outlook"),
    [
        (429, Outlook.LATER),
        (502, Outlook.LATER),
        (503, Outlook.LATER),
        (504, Outlook.LATER),
        (413, Outlook.NEVER),
        (500, Outlook.UNSURE),
    ],
)
def test_a_status_without_a_code_is_judged_by_itself(status: int, outlook: Outlook) -> None:
    error = export_error(ClickHouseError(0, "", "no upstream", status))
    assert (error.outlook, error.reason) == (outlook, f"http_{status}")


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (ClickHouseTimeout("no answer", sent=True), "timeout"),
        (ClickHouseUnavailable("reset", sent=True), "connection_lost"),
        (ClickHouseUnavailable("refused", sent=False), "unreachable"),
    ],
)
def test_a_server_that_does_not_answer_is_tried_until_it_does(failure: ClickHouseUnavailable, reason: str) -> None:
    error = export_error(failure)
    assert (error.outlook, error.reason) == (Outlook.LATER, reason)


@pytest.mark.parametrize("code", [75, 76, 173, 243])
def test_a_server_short_of_disk_or_memory_is_waited_for(code: int) -> None:
    assert OUTLOOKS[code] is Outlook.LATER


def test_of_exceptions_from_a_library_only_those_of_the_disk_pass() -> None:
    full = "type: std::__1::filesystem::filesystem_error, e.what() = filesystem error: in create_directories: No space left"
    error = export_error(ClickHouseError(1001, "", full, 500))
    assert (error.outlook, error.reason) == (Outlook.LATER, "filesystem_error")
    error = export_error(ClickHouseError(1001, "", "type: std::length_error, e.what() = vector", 500))
    assert (error.outlook, error.reason) == (Outlook.UNSURE, "code_1001")


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (ClickHouseError(243, "NOT_ENOUGH_SPACE", "Cannot reserve 3.51 MiB, not enough space.", 500), True),
        (ClickHouseError(1001, "", "filesystem error: in create_directories: No space left on device", 500), True),
        (ClickHouseError(75, "CANNOT_WRITE_TO_FILE_DESCRIPTOR", "errno: 28, strerror: No space left on device", 500), True),
        (ClickHouseError(75, "CANNOT_WRITE_TO_FILE_DESCRIPTOR", "errno: 5, strerror: Input/output error", 500), False),
    ],
)
def test_of_a_full_disk_it_is_said_what_to_do(error: ClickHouseError, is_full: bool) -> None:
    assert ("Make room on the disk of ClickHouse" in str(export_error(error))) is is_full
