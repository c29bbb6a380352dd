"""What editors do to all attributes of rows at once; keys and values that differ are looked at once each.

Each function gives the lists as they are then, and the rows whose list has changed, ascending; None where none has. The lists
that it is given are its own to change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.ottl.columns import of_results
from collector.processors.ottl.draft import Draft, Stored
from collector.processors.ottl.nested import read_list, read_map
from collector.processors.ottl.values import flattened
from proto.attribute_lists import Lists, run_places
from proto.distinct import distinct, distinct_strings, distinct_values
from proto.spans import ARRAY, ATTRIBUTE, KVLIST, STRING, Table, take
from proto.texts import Texts, distinct_texts, texts_of

Changed = tuple[Lists, NDArray[np.int64]] | None
Outcomes = Callable[[Texts], Mapping[int, bytes]]
"""Which of some texts change, by their numbers, and into what."""

_READERS: Final = {ARRAY: read_list, KVLIST: read_map}


def kept(draft: Draft, lists: Lists, stays: Callable[[str], bool]) -> Changed:
    """The attributes whose keys stay."""
    codes, keys = _keys(draft, lists.attributes)
    return _among(lists, np.array([stays(key.decode()) for key in keys], np.bool_)[codes])


def limited(draft: Draft, lists: Lists, most: int, priority: Collection[str]) -> Changed:
    """Those with keys that have priority, and of the others the first, so many together."""
    first = np.zeros(len(lists.rows), np.bool_)
    if priority:
        codes, keys = _keys(draft, lists.attributes)
        first = np.array([key.decode() in priority for key in keys], np.bool_)[codes]
    starts = np.flatnonzero(np.diff(lists.rows, prepend=-1))
    counts = np.diff(starts, append=len(lists.rows))
    others: NDArray[np.int64] = np.cumsum(~first) - np.repeat((np.cumsum(~first) - ~first)[starts], counts)
    room = np.repeat(most - np.add.reduceat(first.astype(np.int64), starts) if len(starts) else starts, counts)
    return _among(lists, first | (others <= room))


def with_texts(draft: Draft, lists: Lists, outcomes: Outcomes, least_length: int = 0) -> Changed:
    """Those that are texts of so many bytes or more changed."""
    attributes = lists.attributes
    places = np.flatnonzero((attributes["type"] == STRING) & (attributes["value_length"] >= least_length))
    values = take(lists.attributes, places)
    codes, texts = distinct_texts(Texts(draft.data, values["value_offset"], values["value_length"]), are_many=True)
    return _with_changes(draft, lists, places, codes, outcomes(texts), "value")


def with_keys(draft: Draft, lists: Lists, outcomes: Outcomes) -> Changed:
    """All with keys changed; of those that have the same then, the last counts."""
    codes, keys = _keys(draft, lists.attributes)
    changed = _with_changes(draft, lists, np.arange(len(codes)), codes, outcomes(texts_of(keys)), "key")
    return changed and (_without_doubles(draft, changed[0]), changed[1])


def stringified(draft: Draft, lists: Lists) -> Changed:
    """All as texts."""
    places = np.flatnonzero(lists.attributes["type"] != STRING)
    codes, texts = distinct_values(draft.data, take(lists.attributes, places))
    changed = _with_changes(draft, lists, places, codes, dict(enumerate(texts)), "value")
    lists.attributes["type"][places] = STRING
    lists.attributes["number"][places] = 0
    return changed


def flat(draft: Draft, lists: Lists, prefix: str, depth: int | None) -> Changed:
    """Arrays and key-value lists as attributes of their own, with keys that say where each lay; of equal keys the last counts."""
    nested = np.isin(lists.attributes["type"], list(_READERS)) if depth != 0 else np.zeros(len(lists.rows), np.bool_)
    chosen = np.ones_like(nested) if prefix else nested
    if not chosen.any():
        return None
    codes, keys = _keys(draft, lists.attributes)
    begin = f"{prefix}." if prefix else ""
    if prefix:
        _with_changes(draft, lists, np.arange(len(codes)), codes, {n: begin.encode() + key for n, key in enumerate(keys)}, "key")
    changed = np.unique(lists.rows[chosen])
    if nested.any():
        lists = _with_parts(draft, lists, nested, codes, [begin + key.decode() for key in keys], depth)
    return _without_doubles(draft, lists), changed


def merged(draft: Draft, lists: Lists, source: Lists, strategy: str) -> Changed:
    """Those of a source beside them: with keys that are missing (`insert`), that are there (`update`), or with all (`upsert`)."""
    joined = _joined(lists, source)
    codes, keys = _keys(draft, joined.attributes)
    order, starts = _grouped(joined.rows * len(keys) + codes)
    # Of each key of each row, what comes first, which is new only if the key was missing, and the first that is new.
    firsts = order[starts]
    added = np.minimum.reduceat(np.where(order >= len(lists.rows), order, len(order)), starts)
    there, comes = firsts < len(lists.rows), added < len(order)
    used: NDArray[np.bool_] = comes if strategy == "upsert" else comes & (there if strategy == "update" else ~there)
    if not used.any():
        return None
    stays = there | used
    chosen, firsts = np.where(used, added, firsts)[stays], firsts[stays]
    by_place = np.argsort(firsts)
    by_row = by_place[np.argsort(joined.rows[firsts[by_place]], kind="stable")]
    chosen = chosen[by_row]
    return Lists(joined.rows[chosen], take(joined.attributes, chosen)), np.unique(joined.rows[added[used]])


def made_of(draft: Draft, maps: Sequence[Mapping[str, Any]]) -> tuple[Table, NDArray[np.int64], NDArray[np.int64]]:
    """Attributes of maps, one map behind the other; and where those of each begin, and how many they are."""
    keys = draft.append_texts([key.encode() for each in maps for key in each])
    values = of_results([value for each in maps for value in each.values()])
    attributes = np.zeros(len(keys.offsets), ATTRIBUTE)
    attributes["key_offset"], attributes["key_length"] = keys.offsets, keys.lengths
    stored: Stored = draft.stored(values, np.ones(len(attributes), np.bool_))
    attributes["type"], attributes["number"] = stored.types, stored.numbers
    attributes["value_offset"], attributes["value_length"] = stored.offsets, stored.lengths
    counts = np.array([len(each) for each in maps], np.int64)
    return attributes, np.cumsum(counts) - counts, counts


def _with_parts(
    draft: Draft, lists: Lists, nested: NDArray[np.bool_], codes: NDArray[Any], keys: Sequence[str], depth: int | None
) -> Lists:
    """Attributes of which those that are `nested` are taken apart; `codes` says which of the keys each has."""
    parents = take(lists.attributes, nested)
    values, messages = distinct_strings(draft.data, parents)
    pairs, numbers = np.unique(np.stack([codes[nested], values, parents["type"]]), axis=1, return_inverse=True)
    numbers = numbers.reshape(-1)
    parts = [flattened(keys[key], _READERS[kind](messages[value]), depth) for key, value, kind in pairs.T.tolist()]
    leaves, starts, counts = made_of(draft, parts)
    lengths = np.ones(len(nested), np.int64)
    lengths[nested] = counts[numbers]
    is_leaf = np.repeat(nested, lengths)
    attributes = np.empty(len(is_leaf), ATTRIBUTE)
    attributes[~is_leaf] = take(lists.attributes, ~nested)
    attributes[is_leaf] = take(leaves, run_places(starts[numbers], counts[numbers]))
    return Lists(np.repeat(lists.rows, lengths), attributes)


def _keys(draft: Draft, attributes: Table) -> tuple[NDArray[np.int32], list[bytes]]:
    return distinct(Texts(draft.data, attributes["key_offset"], attributes["key_length"]))


def _among(lists: Lists, stays: NDArray[np.bool_]) -> Changed:
    if stays.all():
        return None
    return Lists(lists.rows[stays], take(lists.attributes, stays)), np.unique(lists.rows[~stays])


def _with_changes(
    draft: Draft, lists: Lists, places: NDArray[Any], codes: NDArray[Any], outcomes: Mapping[int, bytes], part: str
) -> Changed:
    """Attributes at some places with other keys or values; `codes` says which of those that differ each has."""
    if not outcomes:
        return None
    made = draft.append_texts(list(outcomes.values()))
    numbers = np.full(int(codes.max()) + 1, -1, np.int64)
    numbers[list(outcomes)] = np.arange(len(outcomes))
    chosen = numbers[codes]
    places, chosen = places[chosen >= 0], chosen[chosen >= 0]
    lists.attributes[f"{part}_offset"][places] = made.offsets[chosen]
    lists.attributes[f"{part}_length"][places] = made.lengths[chosen]
    return lists, np.unique(lists.rows[places])


def _without_doubles(draft: Draft, lists: Lists) -> Lists:
    """Of attributes with the same key the last, in the place of the first."""
    codes, keys = _keys(draft, lists.attributes)
    order, starts = _grouped(lists.rows * len(keys) + codes)
    if len(starts) == len(order):
        return lists
    lasts = np.append(starts[1:], len(order)) - 1
    chosen = order[lasts][np.argsort(order[starts])]
    return Lists(lists.rows[chosen], take(lists.attributes, chosen))


def _grouped(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places in the order of their numbers, those with equal ones as they come; and where in this order each number begins."""
    order = np.argsort(numbers, kind="stable")
    return order, np.flatnonzero(np.diff(numbers[order], prepend=-1))


def _joined(first: Lists, second: Lists) -> Lists:
    attributes = np.concatenate([first.attributes.view(np.uint8), second.attributes.view(np.uint8)]).view(ATTRIBUTE)
    return Lists(np.concatenate([first.rows, second.rows]), attributes)
