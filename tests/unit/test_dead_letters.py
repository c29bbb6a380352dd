"""Dead letters: whole or not there, once for a name, bounded, and whose they are."""

from __future__ import annotations

import os
import resource
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from time import sleep

import numpy as np
import pytest

from exporters.base import ExportError, Outlook
from exporters.dead_letters import DeadLetters, DeadLettersFull
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.batches import numbered, numbers

ERROR = ExportError("a column does not like it", "type_mismatch", Outlook.NEVER, of_content=True)


def letters_in(directory: Path, max_bytes: int = 1 << 20, now: int = 7) -> DeadLetters:
    return DeadLetters(directory, "clickhouse/second", max_bytes, lambda: now)


def of(workspace: str, batch: SpanBatch) -> SpanBatch:
    return replace(batch, workspaces=(workspace,))


def test_what_is_set_aside_can_be_read_again_by_another_process(tmp_path: Path) -> None:
    letters_in(tmp_path).add(numbered(3, 2), "batch-1", ERROR)
    other = letters_in(tmp_path)
    (entry,) = other.entries()
    assert (entry.exporter, entry.workspace, entry.spans, entry.time_unix_nano) == ("clickhouse/second", "default", 2, 7)
    assert (entry.reason, entry.error) == ("type_mismatch", "a column does not like it")
    assert numbers(decode(other.request(entry)).batch) == [3, 4]
    other.remove(entry)
    assert list(letters_in(tmp_path).entries()) == []


def test_spans_of_several_workspaces_are_entries_of_their_own(tmp_path: Path) -> None:
    letters = letters_in(tmp_path)
    batch = concatenate([of("red", numbered(0, 2)), of("blue", numbered(2, 1)), of("red", numbered(3, 1))])
    letters.add(batch.select(np.array([0, 2, 3])), "batch-1", ERROR)
    found = {entry.workspace: numbers(decode(letters.request(entry)).batch) for entry in letters.entries()}
    assert found == {"red": [0, 3], "blue": [2]}


def test_the_same_name_is_set_aside_once_and_the_oldest_entry_comes_first(tmp_path: Path) -> None:
    letters_in(tmp_path, now=2).add(numbered(1), "batch-1", ERROR)
    letters_in(tmp_path, now=9).add(numbered(1), "batch-1", ERROR)
    letters_in(tmp_path, now=1).add(numbered(2), "batch-2", ERROR)
    assert [entry.time_unix_nano for entry in letters_in(tmp_path).entries()] == [1, 2]


def test_nothing_is_written_beyond_the_bound(tmp_path: Path) -> None:
    letters = letters_in(tmp_path, max_bytes=1_000)
    letters.add(numbered(1), "batch-1", ERROR)
    with pytest.raises(DeadLettersFull, match="1000 bytes"):
        letters.add(numbered(2, 100), "batch-2", ERROR)
    assert [entry.spans for entry in letters.entries()] == [1]


def test_what_several_threads_set_aside_at_once_keeps_within_the_bound_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one writes what it has counted, it is no file yet that another could count."""
    letters, fsync, in_step = letters_in(tmp_path, max_bytes=2_000), os.fsync, Barrier(8)

    def slow(descriptor: int) -> None:
        sleep(0.001)
        fsync(descriptor)

    def add(number: int) -> bool:
        in_step.wait(30)
        try:
            letters.add(numbered(number), f"batch-{number}", ERROR)
        except DeadLettersFull:
            return False
        return True

    monkeypatch.setattr(os, "fsync", slow)
    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(add, range(8)))
    sizes = [path.stat().st_size for path in (tmp_path / "clickhouse%2Fsecond").iterdir()]
    assert len(sizes) == sum(added) < 8
    assert sum(sizes) <= 2_000 < sum(sizes) + max(sizes)


def test_an_entry_that_somebody_drops_while_room_is_counted_takes_none(tmp_path: Path) -> None:
    # What is listed and gone when it is looked at.
    (tmp_path / "clickhouse%2Fsecond").mkdir()
    (tmp_path / "clickhouse%2Fsecond" / "dropped.otlp").symlink_to(tmp_path / "nowhere")
    letters = letters_in(tmp_path)
    letters.add(numbered(1), "batch-1", ERROR)
    assert [entry.spans for entry in letters.entries()] == [1]


def test_what_does_not_fit_on_the_disk_leaves_nothing_there(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            letters_in(tmp_path).add(numbered(1, 100), "batch-1", ERROR)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "clickhouse%2Fsecond").iterdir()) == []


@pytest.mark.parametrize("max_bytes", [500, 1 << 20])
def test_spans_of_several_workspaces_are_set_aside_together_or_not_at_all(tmp_path: Path, max_bytes: int) -> None:
    letters = letters_in(tmp_path, max_bytes)
    (tmp_path / "clickhouse%2Fsecond").mkdir()
    if max_bytes > 500:
        # The second entry cannot be written where a directory stands under its name.
        (tmp_path / "clickhouse%2Fsecond" / "batch-1-red.otlp.unfinished").mkdir()
    with pytest.raises((DeadLettersFull, OSError)):
        letters.add(concatenate([of("blue", numbered(0, 2)), of("red", numbered(2, 1))]), "batch-1", ERROR)
    assert list(letters.entries()) == []


def test_files_that_are_no_entries_are_passed_over(tmp_path: Path) -> None:
    letters = letters_in(tmp_path)
    letters.add(numbered(1), "batch-1", ERROR)
    (directory,) = tmp_path.iterdir()
    for name, content in (("empty", b""), ("text", b"hello\n"), ("other", b'{"id": 1}\n'), ("list", b"[1]\n")):
        (directory / f"{name}.otlp").write_bytes(content)
    assert [entry.spans for entry in letters.entries()] == [1]


def test_a_directory_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    letters = letters_in(tmp_path)
    assert list(letters.entries()) == []
    letters.add(numbered(1), "batch-1", ERROR)
    (directory,) = tmp_path.iterdir()
    directory.rename(tmp_path / "elsewhere")
    directory.write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        list(letters.entries())


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    letters_in(tmp_path).add(numbered(1), "batch-1", ERROR)
    (directory,) = tmp_path.iterdir()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in directory.iterdir()] == [0o600]


def test_exporters_whose_names_differ_only_in_characters_that_file_names_lack_do_not_share_entries(tmp_path: Path) -> None:
    first, second = (DeadLetters(tmp_path, name, 1 << 20, lambda: 7) for name in ("clickhouse/a/b", "clickhouse/a_b"))
    first.add(numbered(1), "batch-1", ERROR)
    second.add(numbered(2, 2), "batch-1", ERROR)
    assert [entry.spans for entry in first.entries()] == [1]
    assert [entry.spans for entry in second.entries()] == [2]


def test_entries_are_found_where_they_were_when_names_were_not_told_apart(tmp_path: Path) -> None:
    letters, neighbour = letters_in(tmp_path), DeadLetters(tmp_path, "clickhouse/second_", 1 << 20)
    neighbour.add(numbered(9), "batch-2", ERROR)
    letters.add(numbered(3, 2), "batch-1", ERROR)
    former = tmp_path / "clickhouse_second"
    (tmp_path / "clickhouse%2Fsecond").rename(former)
    for path in (tmp_path / "clickhouse%2Fsecond_").iterdir():
        path.rename(former / path.name)
    (entry,) = letters.entries()
    assert numbers(decode(letters.request(entry)).batch) == [3, 4]
    letters.add(numbered(3, 2), "batch-1", ERROR)
    assert len(list(letters.entries())) == 1
    letters.remove(entry)
    assert list(letters.entries()) == []
    assert [path.name for path in former.iterdir()] == ["batch-2-default.otlp"]
