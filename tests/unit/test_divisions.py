"""Which spans were sent in parts: known after a restart for as long as they may come again."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporters.divisions import Divisions
from tests.support.journals import journal_in

NAMES = ("a-1", "a-1-0", "a-1-0.1", "a-12-0")


def test_what_was_divided_is_known_after_a_restart_until_it_is_forgotten(tmp_path: Path) -> None:
    divisions = Divisions(tmp_path / "divided")
    for name in NAMES:
        divisions.add(name)
    again = Divisions(tmp_path / "divided")
    assert all(name in again for name in NAMES)
    again.forget("a-1")
    for known in (again, Divisions(tmp_path / "divided")):
        assert [name for name in NAMES if name in known] == ["a-12-0"]


def test_what_cannot_be_written_down_is_not_divided(tmp_path: Path) -> None:
    (tmp_path / "divided").write_text("a file where the directory should be")
    divisions = Divisions(tmp_path / "divided")
    with pytest.raises(OSError, match="exists"):
        divisions.add("a-1")
    assert "a-1" not in divisions


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    Divisions(tmp_path / "divided").add("a-1")
    assert (tmp_path / "divided").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "divided" / "a-1").stat().st_mode & 0o777 == 0o600


async def test_a_journal_remembers_them_for_a_renamed_exporter_and_forgets_what_cannot_come_again(tmp_path: Path) -> None:
    async with journal_in(tmp_path, ["before"]) as journal:
        journal.cursors["before"].log.cut(0, 1, [0, 1])
        journal.divisions["before"].add("a-1")
    async with journal_in(tmp_path, ["after"]) as journal:
        assert "a-1" in journal.divisions["after"]
        (cut,) = journal.cursors["after"].log.cuts.values()
        journal.cursors["after"].log.complete(cut, journal.cursors["after"].log.settled)
    async with journal_in(tmp_path, ["after"]) as journal:
        assert "a-1" not in journal.divisions["after"]
