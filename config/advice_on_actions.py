"""What actions on attributes do that others undo, or that comes to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.advice_on_conditions import Advice
from config.attribute_actions import AttributeAction
from config.patterns import compile_pattern
from config.problems import KeyPath

_SETTING = ("insert", "update", "upsert")


def advise_on_actions(actions: Sequence[AttributeAction], at: KeyPath) -> Iterator[Advice]:
    """What is to be said of actions, of which each works on what those before it have left."""
    for place, action in enumerate(actions):
        last = _last_on(action.key, actions, place) if action.key else None
        if last is None:
            continue
        before = f"{at[-1]}[{last}]"
        match actions[last].action, action.action:
            case (("insert" | "update" | "upsert"), "delete"):
                yield (*at, place), f"removes {action.key}, which {before} has set", "leave one of them out"
            case (("insert" | "upsert"), "insert") if _is_certain(actions[last]):
                yield (*at, place), f"never sets {action.key}, for {before} has set it", "leave it out, or put it first"
            case (("insert" | "update" | "upsert"), "upsert") if _is_certain(action):
                yield (*at, place), f"sets {action.key} over what {before} has set", "leave one of them out"
            case "delete", ("update" | "hash" | "extract" | "convert" | "delete"):
                yield (*at, place), f"finds no {action.key}, which {before} has removed", "leave it out, or put it first"


def _is_certain(action: AttributeAction) -> bool:
    """Whether the attribute is there after an insert or upsert, whatever the span."""
    return action.value is not None or action.default_value is not None


def _last_on(key: str, actions: Sequence[AttributeAction], place: int) -> int | None:
    """The last action before a place that set or removed a key; None if nothing did, or something else has used or changed it."""
    for number in range(place - 1, -1, -1):
        action = actions[number]
        if action.action in (*_SETTING, "delete") and action.key == key:
            return number
        if key in (action.key, action.from_attribute) or _chooses(action, key):
            return None
    return None


def _chooses(action: AttributeAction, key: str) -> bool:
    """Whether an action's pattern is about a key: it chooses it, or makes an attribute of it."""
    if not action.pattern:
        return False
    pattern = compile_pattern(action.pattern)
    return key in pattern.groupindex if action.action == "extract" else pattern.search(key) is not None
