"""What spans say that they called: databases, and whatever else may have no spans of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.tally import MOST_SERVICE_BYTES
from proto.attribute_search import find_attributes
from proto.call_kernels import CLIENT, PRODUCER
from proto.distinct import distinct_values
from proto.edit import Mask
from proto.spans import ABSENT, BYTES, EMPTY, STRING, SpanBatch, take

Codes = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Peers:
    """What the clients and producers of a batch called, by their own account.

    Attributes:
        codes: places in `names`, ABSENT for spans that name nothing, and for all of other kinds; shape (spans,).
        is_database: which spans name a database; shape (spans,).
        names: what they name, not empty.
    """

    codes: Codes
    is_database: Mask
    names: list[str]


class PeerAttributes:
    """Knows in which attributes names of peers stand.

    Args:
        of_databases: of what makes a call one to a database; the first that is there, and not empty, names it.
        of_others: for calls to anything else.
    """

    def __init__(self, of_databases: Sequence[str], of_others: Sequence[str]) -> None:
        self._keys = [key.encode() for key in (*of_databases, *of_others)]
        self._of_databases = len(of_databases)

    def find(self, batch: SpanBatch, kinds: NDArray[np.int32]) -> Peers:
        """What the spans of a batch, of these kinds, called."""
        codes = np.full(len(batch), ABSENT, np.int32)
        is_database = np.zeros(len(batch), np.bool_)
        rows = np.flatnonzero((kinds == CLIENT) | (kinds == PRODUCER))
        found = find_attributes(batch, take(batch.spans, rows), self._keys)
        there = np.nonzero(found != ABSENT)
        values = batch.attributes[["type", "value_length"]][found[there]]
        is_empty = (values["value_length"] == 0) & np.isin(values["type"], (EMPTY, STRING, BYTES))
        found[there[0][is_empty], there[1][is_empty]] = ABSENT
        found[: self._of_databases, kinds[rows] == PRODUCER] = ABSENT
        named = np.full(len(rows), ABSENT, np.int32)
        for places in found[::-1]:
            np.copyto(named, places, where=places != ABSENT)
        is_database[rows] = (found[: self._of_databases] != ABSENT).any(axis=0)
        names = _texts(batch, codes, rows[named != ABSENT], named[named != ABSENT])
        is_database &= codes != ABSENT
        return Peers(codes, is_database, names)


def service_codes(batch: SpanBatch) -> tuple[Codes, list[str]]:
    """For each resource the place of its service among the names that differ, ABSENT for none; and those names."""
    codes = np.full(len(batch.resources), ABSENT, np.int32)
    places = batch.resources["service_name"]
    named = np.flatnonzero(places != ABSENT)
    return codes, _texts(batch, codes, named, places[named])


def _texts(batch: SpanBatch, codes: Codes, rows: NDArray[Any], places: NDArray[Any]) -> list[str]:
    """Give `rows` the codes of the values in these places of the attributes, and return their texts.

    Long ones are cut, and empty ones have no code.
    """
    of_rows, texts = distinct_values(batch.data, take(batch.attributes, places))
    kept = np.array([bool(text) for text in texts], np.bool_)
    numbers = np.where(kept, np.cumsum(kept) - 1, ABSENT).astype(np.int32)
    codes[rows] = numbers[of_rows]
    # Names come from outside, and stand in labels and in memory.
    return [text[:MOST_SERVICE_BYTES].decode("utf-8", "ignore") for text in texts if text]
