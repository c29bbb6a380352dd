"""What was decided about traces, as bytes for a log: the names in JSON, a zero byte, and a row of fixed size for each trace."""

from __future__ import annotations

from typing import Final

import numpy as np
import orjson

from collector.processors.tail_sampling.decided import KEY_BYTES, Verdicts

ROW: Final = np.dtype(
    [
        ("keys", "u1", (KEY_BYTES,)),
        ("reasons", "<i4"),
        ("probabilities", "<f8"),
        ("kept", "?"),
        ("thresholds_stay", "?"),
        ("late", "?"),
    ]
)


def encode(verdicts: Verdicts) -> bytes:
    """The bytes from which `decode` makes the same verdicts."""
    rows = np.empty(len(verdicts), ROW)
    for column in ROW.names or ():
        rows[column] = getattr(verdicts, column)
    # Zero bytes in names are escaped in JSON.
    return orjson.dumps(verdicts.names) + b"\0" + rows.tobytes()


def decode(data: bytes) -> Verdicts:
    """What `encode` was given."""
    names, _, rows = data.partition(b"\0")
    table = np.frombuffer(rows, ROW)
    return Verdicts(names=tuple(orjson.loads(names)), **{column: table[column].copy() for column in ROW.names or ()})
