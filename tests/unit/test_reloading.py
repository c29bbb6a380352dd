"""Values made of files, with a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from collector.reloading import Reloading


@dataclass
class Stage:
    """A file, its value, and how often it was read."""

    file: Path
    now_s: float = 0.0
    reads: int = 0
    read: Callable[[], str] = field(init=False)

    def __post_init__(self) -> None:
        self.file.write_text("one")

        def read() -> str:
            self.reads += 1
            text = self.file.read_text()
            if text == "broken":
                raise OSError("it is broken")
            return text

        self.read = read

    def reloading(self, interval_s: float = 10.0) -> Reloading[str]:
        return Reloading([str(self.file)], interval_s, self.read, lambda: self.now_s)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "file")


def test_a_file_is_looked_at_once_in_an_interval_and_read_when_it_changed(stage: Stage) -> None:
    value = stage.reloading()
    stage.file.write_text("two!")
    assert value.current() == "one"
    stage.now_s = 10.0
    assert value.current() == "two!"
    for stage.now_s in range(11, 100):
        assert value.current() == "two!"
    assert stage.reads == 2


def test_what_cannot_be_used_leaves_the_value_before_it_and_is_tried_again(stage: Stage) -> None:
    value = stage.reloading()
    stage.file.write_text("broken")
    stage.now_s = 10.0
    assert value.current() == "one"
    stage.now_s = 20.0
    assert value.current() == "one"
    assert stage.reads == 3
    stage.file.write_text("three")
    stage.now_s = 30.0
    assert value.current() == "three"


def test_a_file_that_goes_and_comes_back_through_a_link_is_seen(stage: Stage, tmp_path: Path) -> None:
    # How Kubernetes mounts secrets: the name stays, what it leads to is exchanged.
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text("one")
    second.write_text("two")
    stage.file.unlink()
    stage.file.symlink_to(first)
    value = stage.reloading()
    replacement = tmp_path / "new"
    replacement.symlink_to(second)
    replacement.rename(stage.file)
    stage.now_s = 10.0
    assert value.current() == "two"


def test_a_value_for_a_moment_is_made_anew_once_though_the_file_stays(stage: Stage) -> None:
    value = stage.reloading()
    stage.file.write_text("two!")
    stage.now_s = 10.0
    assert value.current() == "two!"
    value.make_again(1.0)
    for stage.now_s in (10.5, 11.0, 11.5, 30.0):
        assert value.current() == "two!"
    assert stage.reads == 3


def test_without_an_interval_files_are_read_once(stage: Stage) -> None:
    value = stage.reloading(0)
    stage.file.write_text("two!")
    stage.now_s = 1e9
    assert value.current() == "one"


def test_the_first_time_a_fault_is_raised(stage: Stage) -> None:
    stage.file.write_text("broken")
    with pytest.raises(OSError, match="it is broken"):
        stage.reloading()
