"""Inputs that between them reach all that guided fuzzing has reached so far, in one archive: `tests/corpus/reached.tar.xz`."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

ARCHIVE: Final = Path(__file__).parents[1] / "corpus" / "reached.tar.xz"


@cache
def reached() -> Mapping[str, list[bytes]]:
    """The inputs of each target, by its name."""
    inputs: dict[str, list[bytes]] = {}
    with tarfile.open(ARCHIVE, "r:xz") as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            inputs.setdefault(member.name.partition("/")[0], []).append(content.read())
    return inputs


def replace_reached(inputs: Mapping[str, Iterable[bytes]]) -> None:
    """Write the archive anew; the same inputs make the same bytes."""
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for target in sorted(inputs):
            # Like beside like, which packs best.
            for content in sorted(inputs[target], key=lambda content: (len(content), content)):
                member = tarfile.TarInfo(f"{target}/{hashlib.sha256(content).hexdigest()[:16]}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
