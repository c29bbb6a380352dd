"""JSON of long lists by columns: the same members as in `json_rows.py`, each as one list in place of a record for each item.

A trace of many spans takes a quarter of the bytes then, and who reads it needs no object for each span.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson

from collector.api.json_rows import Integers, Member
from proto.json_records import HEX, POSITION, TEXT

MOST_EXACT: Final = 2**53 - 1
"""The largest integer that every reader of JSON keeps exact."""


def columns(members: Mapping[str, Member]) -> dict[str, Any]:
    """The list by columns, for a place in a document. A column is

    - of span ids one text: 16 digits for each item, all of them 0 where it has none;
    - of what is one of few values those `values`, and as `codes` for each item the place of its own;
    - of nanoseconds integers as `values`, to which `base` is to be added; where they lie 2^53 and more apart, a list of texts;
    - of counts, and of positions, which may be null, a list of them.
    """
    return {name: _column(member) for name, member in members.items()}


def _column(member: Member) -> Any:
    values = member.values
    if member.form == HEX:
        return values.astype(">u8").tobytes().hex()
    if member.form == TEXT:
        return {"values": list(map(orjson.Fragment, member.texts)), "codes": _numbers(values)}
    if member.form == POSITION:
        return [None if value < 0 else value for value in values.tolist()]
    return _nanoseconds(values) if member.quoted else _numbers(values)


def _nanoseconds(values: Integers) -> Any:
    least, most = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    if least >= -MOST_EXACT and most <= MOST_EXACT:
        return {"base": "0", "values": _numbers(values)}
    if most - least <= MOST_EXACT:
        return {"base": str(least), "values": _numbers(values - values.dtype.type(least))}
    return list(map(str, values.tolist()))


def _numbers(values: Integers) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY))
