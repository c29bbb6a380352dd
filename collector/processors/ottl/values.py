"""What editors do to single values in Python: lists, maps and texts within attributes. Nothing that they are given is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from collector.processors.ottl.columns import Failure

Entries = Mapping[str, Any]


def appended(current: Any, value: Any, values: Any) -> list[Any]:
    """A list with more behind it; of something else it makes a list first."""
    if values is not None and not isinstance(values, list):
        raise Failure("expected a list to append")
    more = [*([] if value is None else [value]), *(values or [])]
    return [*(current if isinstance(current, list) else [] if current is None else [current]), *more]


def without_positions(current: Any, first: Any, behind: Any) -> list[Any] | None:
    """A list without what stands at positions; None where there is no list."""
    if current is None:
        return None
    if not isinstance(current, list):
        raise Failure("only a list has positions")
    behind = first + 1 if behind is None and isinstance(first, int) else behind
    if not isinstance(first, int) or not isinstance(behind, int) or not 0 <= first < behind <= len(current):
        raise Failure(f"the list has {len(current)} values, and none from {first} to {behind}")
    return current[:first] + current[behind:]


def map_of(value: Any) -> Entries:
    """The value, which must be a map. Raises Failure."""
    if not isinstance(value, dict):
        raise Failure("expected a map")
    return value


def kept_entries(entries: Entries, stays: Callable[[str], bool]) -> Entries:
    """The entries whose keys stay."""
    return {key: value for key, value in entries.items() if stays(key)}


def limited_entries(entries: Entries, most: int, priority: tuple[str, ...]) -> Entries:
    """Those that have priority, and of the others the first, so many together."""
    others = [key for key in entries if key not in priority]
    stay = {*priority, *others[: max(most - sum(key in entries for key in priority), 0)]}
    return kept_entries(entries, stay.__contains__)


def changed_texts(entries: Entries, change: Callable[[bytes], bytes | None]) -> Entries:
    """Those that are texts changed, where the change gives something."""
    return {key: changed_text(value, change) if isinstance(value, str) else value for key, value in entries.items()}


def changed_keys(entries: Entries, change: Callable[[bytes], bytes | None]) -> Entries:
    """All with keys changed; of those that have the same then, the last counts."""
    return {changed_text(key, change): value for key, value in entries.items()}


def changed_text(text: str, change: Callable[[bytes], bytes | None]) -> str:
    """A text changed, where the change gives something."""
    made = change(text.encode())
    return text if made is None else made.decode(errors="replace")


def merged_entries(entries: Entries, source: Any, strategy: str) -> Entries:
    """Entries with those of a source: that are missing (`insert`), that are there (`update`), or with all (`upsert`)."""
    more = map_of(source)
    match strategy:
        case "insert":
            return {**entries, **{key: value for key, value in more.items() if key not in entries}}
        case "update":
            return {**entries, **{key: value for key, value in more.items() if key in entries}}
    return {**entries, **more}


def flattened(key: str, value: Any, depth: int | None) -> Entries:
    """A value's parts, to so many levels, with keys that say where each lay; of equal keys the last counts."""
    match value:
        case dict() if depth != 0:
            parts = value.items()
        case list() if depth != 0:
            parts = {str(place): each for place, each in enumerate(value)}.items()
        case _:
            return {key: value}
    made: dict[str, Any] = {}
    for name, part in parts:
        made.update(flattened(f"{key}.{name}" if key else name, part, None if depth is None else depth - 1))
    return made


def cut(text: bytes, most: int) -> bytes | None:
    """As many whole characters of a text as there are in so many bytes; None where it has no more."""
    return text[:most].decode(errors="ignore").encode() if len(text) > most else None
