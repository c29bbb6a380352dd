"""Fuzz readers of outside bytes for as long as wanted.

    python -m tests.fuzz [TARGET ...] [--executions N] [--seed S]

Says how often each target was run, and keeps every input on which one failed as a file of `tests/corpus`, from where the tests
take it from then on.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from random import Random

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, found_before, keep

MOST_FINDINGS = 20


def main() -> int:
    """Read the arguments, fuzz, and return 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--executions", type=int, default=100_000, help="of each target (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other inputs (default: %(default)s)")
    arguments = parser.parse_args()
    names = arguments.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    findings = sum([fuzz(name, arguments.executions, arguments.seed) for name in names])
    return 1 if findings else 0


def fuzz(name: str, executions: int, seed: int) -> int:
    """Run a target on so many inputs; the number on which it failed."""
    target = TARGETS[name]
    random = Random(f"{name}-{seed}")
    samples = [*target.samples(), *found_before(name)]
    started = time.monotonic()
    findings: set[str] = set()
    done = 0
    while done < executions and len(findings) < MOST_FINDINGS:
        body = mutated(random, samples, target.tokens)
        done += 1
        try:
            target.run(body)
        except Exception:  # noqa: BLE001 - whatever gets out is a finding
            kept = keep(name, body)
            findings.add(kept)
            sys.stderr.write(f"{name}: {kept}\n{traceback.format_exc()}\n")
    seconds = time.monotonic() - started
    sys.stdout.write(f"{name}: {done:,} executions in {seconds:.0f} s, {len(findings)} findings\n")
    sys.stdout.flush()
    return len(findings)


if __name__ == "__main__":
    sys.exit(main())
