"""What was refused, in a small file beside the journal, so that the account of received spans goes on over restarts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson
import structlog

_log = structlog.get_logger(__name__)

_NAME: Final = "refused.json"

Refused = dict[str, Counter[str]]
"""Owner → reason → spans."""


def content(refused: Mapping[str, Mapping[str, int]]) -> bytes:
    """The content of the file."""
    return orjson.dumps(refused)


def load(directory: Path) -> Refused:
    """What was saved last; nothing where there is no file, or one that cannot be read, which the log then tells."""
    file = directory / _NAME
    try:
        saved = orjson.loads(file.read_bytes())
        return {name: Counter({reason: int(spans) for reason, spans in reasons.items()}) for name, reasons in saved.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        _log.error("journal_file_unreadable", file=_NAME, error=str(error), consequence="counts of refused spans begin anew")
        return {}


def save(directory: Path, content: bytes) -> None:
    """Replace the file at once. Raises OSError."""
    fresh = directory / f"{_NAME}.new"
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(content)
    fresh.replace(directory / _NAME)
