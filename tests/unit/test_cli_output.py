"""What becomes of commands whose output cannot be written, and of those that are interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ["schema", "validate", "version", "--version", "--help"]


def ended(command: str) -> tuple[int, str]:
    """The exit status of a line of the shell, and what stands on standard error."""
    line = ["bash", "-o", "pipefail", "-c", command.replace("spanhouse", f"{sys.executable} -m collector", 1)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr


def interrupted(code: str) -> tuple[int, str]:
    """The same of Python code that interrupts itself, whether or not whoever runs this has interrupts ignored."""
    start = "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    done = subprocess.run([sys.executable, "-c", start + code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_seen_enough_is_told_nothing(command: str) -> None:
    assert ended(f"spanhouse {command} | true")[1] == ""


@pytest.mark.parametrize("command", ["schema", "validate", "version", "--version"])
@pytest.mark.parametrize("buffering", ["env -u PYTHONUNBUFFERED ", "env PYTHONUNBUFFERED=1 "])
def test_a_full_disk_is_told_in_a_line(command: str, buffering: str) -> None:
    assert ended(f"{buffering}spanhouse {command} > /dev/full") == (1, "spanhouse: [Errno 28] No space left on device\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_output_that_is_closed_is_not_asked_for(command: str) -> None:
    assert ended(f"spanhouse {command} >&-") == (0, "")


def test_errors_are_not_written_to_files_that_happen_to_be_open() -> None:
    assert ended("spanhouse validate -c nowhere.yaml 2>&-") == (1, "")


def test_an_interrupt_while_a_command_is_loaded_shows_no_traceback() -> None:
    assert interrupted("import collector.__main__; os.kill(os.getpid(), signal.SIGINT)") == (-signal.SIGINT, "")


def test_an_interrupt_once_a_command_is_loaded_ends_it_in_order() -> None:
    code = """
import collector.commands.version as command
from collector.__main__ import main
command.execute = lambda _: os.kill(os.getpid(), signal.SIGINT)
sys.exit(main(["version"]))
"""
    assert interrupted(code) == (130, "")


def test_interrupts_that_were_to_be_ignored_stay_ignored() -> None:
    code, _ = ended("trap '' INT; spanhouse version > /dev/null & kill -INT $!; wait $!")
    assert code == 0
