"""Fuzz readers of outside bytes, led by what they run through: inputs that reach something new are kept, and changed further.

    pip install 'spanhouse[fuzz]'
    python -m tests.fuzz.guided [TARGET ...] [--seconds N] [--keep]

Kernels run as plain Python, so that it is seen what they run through; that is slow, which `tests.fuzz` is not. So is the start.
Each target runs in a process of its own, to its first failure at most, whose input is kept as a file of `tests/corpus`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

os.environ["NUMBA_DISABLE_JIT"] = "1"

import atheris

with atheris.instrument_imports(include=["proto", "config", "collector", "exporters"]):
    from tests.fuzz.reached import ARCHIVE, reached, replace_reached
    from tests.fuzz.targets import TARGETS, found_before, keep

_LARGEST: Final = 4096
_LONGEST_S: Final = 20


def main() -> int:
    """Read the arguments, fuzz, and return 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help=f"keep inputs that reach something new in {ARCHIVE.name}")
    arguments = parser.parse_args()
    names = arguments.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory() as scratch:
        findings = sum([fuzz(name, arguments.seconds, Path(scratch, name)) for name in names])
        if arguments.keep:
            new = {name: {file.read_bytes() for file in Path(scratch, name, "corpus").iterdir()} for name in names}
            replace_reached({name: new.get(name, set()).union(reached().get(name, ())) for name in TARGETS})
    return 1 if findings else 0


def fuzz(name: str, seconds: int, scratch: Path) -> int:
    """Run a target for so long; the number of inputs on which it failed.

    Args:
        scratch: a directory for what is needed meanwhile; in the end, `corpus` in it has what reaches something new.
    """
    sys.stdout.write(f"{name}:\n")
    sys.stdout.flush()
    for part in ("found", "corpus", "given"):
        (scratch / part).mkdir(parents=True)
    if not (process := os.fork()):
        try:
            fuzz_until_it_ends(name, seconds, scratch)
        finally:
            # What is to be cleaned up is the other process's.
            os._exit(1)
    os.waitpid(process, 0)
    found = [keep(name, file.read_bytes()) for file in (scratch / "found").iterdir()]
    inputs = len(list((scratch / "corpus").iterdir()))
    sys.stdout.write(f"{name}: {inputs} inputs reach something new, findings: {', '.join(found) or 'none'}\n")
    return len(found)


def fuzz_until_it_ends(name: str, seconds: int, scratch: Path) -> None:
    """Run a target for so long, or to its first failure; the process ends with it."""
    target = TARGETS[name]
    corpus, given, words = scratch / "corpus", scratch / "given", scratch / "words"
    for number, sample in enumerate((*target.samples(), *found_before(name), *reached().get(name, ()))):
        (given / str(number)).write_bytes(sample)
    # The fuzzer takes no empty dictionary.
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in target.tokens or (b"\0",)))
    limits = [f"-max_total_time={seconds}", f"-max_len={_LARGEST}", f"-timeout={_LONGEST_S}"]
    places = [f"-dict={words}", f"-artifact_prefix={scratch / 'found'}/", str(corpus), str(given)]
    atheris.Setup([sys.argv[0], *limits, *places, "-verbosity=0"], target.run)
    atheris.Fuzz()


def _escaped(token: bytes) -> str:
    """As a dictionary of the fuzzer has it."""
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    sys.exit(main())
