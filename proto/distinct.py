"""The texts that differ among many, so that what is costly is done once for each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proto.native_kernels import write_value_texts
from proto.spans import ARRAY, KVLIST, Table, records
from proto.texts import Texts, distinct_texts
from proto.value_text import WORK_BESIDES, WORK_PER_BYTE

Codes = NDArray[np.int32]


def distinct(texts: Texts) -> tuple[Codes, list[bytes]]:
    """For each text its place among those that differ, and those, in the order in which they first come."""
    codes, found = distinct_texts(texts)
    data = texts.data.data
    bounds = zip(found.offsets.tolist(), (found.offsets + found.lengths).tolist(), strict=True)
    return codes, [bytes(data[start:end]) for start, end in bounds]


def distinct_strings(data: NDArray[np.uint8], values: Table) -> tuple[Codes, list[bytes]]:
    """The same for the values of attributes, of dtype ATTRIBUTE, that are strings or bytes."""
    return distinct(Texts(data, values["value_offset"], values["value_length"]))


def distinct_values(data: NDArray[np.uint8], values: Table) -> tuple[Codes, list[bytes]]:
    """The same for values of all types, as the texts that the standard table of spans has of them."""
    return distinct(value_texts(data, values))


def value_texts(data: NDArray[np.uint8], values: Table) -> Texts:
    """Values of all types as the texts that the standard table of spans has of them."""
    nested = values["value_length"][(values["type"] == ARRAY) | (values["type"] == KVLIST)]
    # A number takes fewer than 48 bytes, base64 a third more than its bytes, and JSON six times as many where all need escapes.
    room = 48 * len(values) + 2 * int(values["value_length"].sum(dtype=np.int64)) + 5 * int(nested.sum(dtype=np.int64))
    text = np.empty(room, np.uint8)
    offsets, lengths = np.empty((2, len(values)), np.int32)
    work = np.empty(WORK_PER_BYTE * int(nested.max()) + WORK_BESIDES if len(nested) else 0, np.int64)
    write_value_texts(offsets, lengths, text, data, records(values), np.arange(len(values), dtype=np.int32), work)
    text.flags.writeable = False
    return Texts(text, offsets, lengths)
