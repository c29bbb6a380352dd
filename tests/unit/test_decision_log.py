"""The log of decisions: what was written comes back, also where files are torn or damaged, and goes when it is of no use."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from collector.journal import decisions
from collector.journal.decisions import DecisionLog
from collector.journal.segments import Segments
from collector.queues.held import Emission, Recorded
from exporters.base import Delivery
from tests.support.journals import journal_in


def emission(name: str, first: int, pieces: Sequence[str], *, kept: int = 1, dropped: int = 1, late: int = 0) -> Emission:
    stops = [first] if kept else []
    return Emission(name, first, list(pieces), stops, kept, dropped, late, b"what was decided in " + name.encode(), 7)


FIRST = emission("one", 1, ["a-0", "a-1"])
SECOND = emission("two", 3, ["b-0"])
SHARES = {"a-1": Delivery(Counter({"red/cart": 1}), {"rule": Counter({"red/ship": 2})}, Counter({"red": -1, "red/cart": 1}))}


def load(directory: Path) -> DecisionLog:
    return DecisionLog(directory, keeps_rolled=True)


def written(directory: Path) -> None:
    log = load(directory)
    log.append(FIRST)
    log.append(SECOND)
    log.done("one", SHARES)
    log.sync()
    log.close()


def test_what_was_written_comes_back_once(tmp_path: Path) -> None:
    written(tmp_path / "log")
    log = load(tmp_path / "log")
    assert list(log.recorded()) == [Recorded(FIRST, SHARES), Recorded(SECOND, None)]
    assert list(log.recorded()) == []
    assert (log.next_piece, log.damaged_bytes) == (4, 0)


def test_nothing_is_made_on_disk_before_something_is_written(tmp_path: Path) -> None:
    log = load(tmp_path / "log")
    log.sync()
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_wherever_the_file_is_cut_off_what_stands_before_is_read_and_more_can_be_written(tmp_path: Path) -> None:
    written(tmp_path / "log")
    (file,) = (tmp_path / "log").iterdir()
    content = file.read_bytes()
    for size in range(len(content)):
        file.write_bytes(content[:size])
        log = load(file.parent)
        names = [each.emission.name for each in log.recorded()]
        assert names == ["one", "two"][: len(names)]
        assert log.damaged_bytes == 0
        log.append(emission("three", log.next_piece, ["c-0"]))
        log.close()
        again = load(file.parent)
        assert [each.emission.name for each in again.recorded()] == [*names, "three"]
        for other in file.parent.iterdir():
            if other != file:
                other.unlink()


def test_an_emission_outlives_damage_to_either_of_its_copies(tmp_path: Path) -> None:
    written(tmp_path / "log")
    (file,) = (tmp_path / "log").iterdir()
    content = file.read_bytes()
    places = [place for place in range(len(content)) if content.startswith(FIRST.decisions, place)]
    assert len(places) == 2
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        log = load(file.parent)
        assert list(log.recorded()) == [Recorded(FIRST, SHARES), Recorded(SECOND, None)]
        assert log.damaged_bytes > 0


def test_what_could_not_be_written_of_the_end_of_an_emission_is_written_with_the_next_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    log = load(tmp_path / "log")
    log.append(FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(Segments, "append", full)
        log.done("one", {})
        assert not log.flush()
        with pytest.raises(OSError, match="no space"):
            log.append(SECOND)
    assert log.flush()
    log.append(SECOND)
    log.close()
    assert list(load(tmp_path / "log").recorded()) == [Recorded(FIRST, {}), Recorded(SECOND, None)]


def test_a_file_goes_when_its_pieces_are_committed_its_emissions_done_and_its_decisions_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "_SEGMENT_BYTES", 1)
    log = load(tmp_path / "log")
    log.remember(kept=2, dropped=1)
    open_cuts = {"a", "b"}
    log.append(FIRST)
    log.append(SECOND)
    assert log.wasted(open_cuts) == []
    open_cuts.clear()
    assert log.wasted(open_cuts) == [], "they are still to be sent"
    log.done("one", {})
    assert log.wasted(open_cuts) == [], "there are fewer than shall be remembered"
    log.append(emission("three", 4, [], kept=1, dropped=0))
    (file,) = log.wasted(open_cuts)
    log.delete(file)
    assert log.wasted(open_cuts) == []
    log.close()
    assert [each.emission.name for each in load(tmp_path / "log").recorded()] == ["two", "three"]


def test_late_spans_do_not_drive_out_the_decisions_that_they_follow_until_there_are_very_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "_SEGMENT_BYTES", 1)
    log = load(tmp_path / "log")
    log.remember(kept=10, dropped=10)
    log.append(emission("first", 1, [], kept=0, dropped=1))
    for number in range(1, 45):
        log.append(emission(str(number), number, [], kept=0, dropped=0, late=1))
        assert bool(log.wasted(set())) == (number >= 40)
    log.close()


def test_rare_decisions_are_not_remembered_at_any_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "_SEGMENT_BYTES", 1)
    log = load(tmp_path / "log")
    log.remember(kept=10, dropped=10)
    for number in range(100):
        log.append(emission(str(number), number, [], kept=0, dropped=int(number == 0)))
    assert len(log.wasted(set())) == 0
    for number in range(100, 140):
        log.append(emission(str(number), number, [], kept=1, dropped=0))
        log.done(str(number), {})
    assert log.wasted(set())
    log.close()


async def test_nothing_is_forgotten_before_it_lasts_what_became_of_what_was_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with journal_in(tmp_path, ["exporter"]) as journal:
        cursor = journal.cursors["exporter"]
        await cursor.held_back().record(FIRST)
        synced: list[int] = []
        fdatasync = os.fdatasync

        def full(descriptor: int, views: object, at: int) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def sync(descriptor: int) -> None:
            synced.append(os.fstat(descriptor).st_ino)
            fdatasync(descriptor)

        with monkeypatch.context() as patched:
            patched.setattr(os, "pwritev", full)
            cursor.decisions.done("one", SHARES)
            assert not await cursor.lasts()
        monkeypatch.setattr(os, "fdatasync", sync)
        assert await cursor.lasts()
        (file,) = cursor.decisions.path.iterdir()
        assert {file.stat().st_ino, cursor.log.path.stat().st_ino} <= set(synced)
