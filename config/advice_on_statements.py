"""What statements say that others undo, or that comes to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from config.advice_on_conditions import Advice, misplaced
from config.document import Document
from config.fates import fate, fate_of_all, fate_of_any
from config.ottl_calls import is_collection
from config.ottl_nodes import Constant, Level, Node, Path, Statement, parts
from config.patterns import compile_pattern
from config.problems import KeyPath, key_path
from config.transforming import TransformProcessor


class _Placed(NamedTuple):
    """A statement, where it stands, and what its group wants."""

    statement: Statement
    at: KeyPath
    conditions: tuple[Node, ...]


def advise_on_statements(settings: TransformProcessor, at: KeyPath, document: Document) -> Iterator[Advice]:
    """What is to be said of the statements of a transform."""
    placed: list[_Placed] = []
    for number, group in enumerate(settings.trace_statements):
        place = (*at, "trace_statements", number)
        conditions = tuple(condition.root for condition in group.conditions)
        if conditions and fate_of_any(conditions) == "never":
            yield (*place, "conditions"), "can never hold, so the statements are never done", ""
        is_group = (*place, "statements") in document.lines
        for position, statement in enumerate(group.statements):
            placed.append(_Placed(statement, (*place, "statements", position) if is_group else place, conditions))
    for position, each in enumerate(placed):
        yield from _alone(each)
        yield from _among(each, placed[:position])


def _alone(placed: _Placed) -> Iterator[Advice]:
    statement, at, conditions = placed
    for node in (*statement.arguments, statement.where):
        if node is not None:
            yield from misplaced(node, at)
    if statement.where is not None:
        if fate(statement.where) == "never":
            yield at, "is never done, for its condition can never hold", ""
        elif len(conditions) == 1 and fate_of_all([conditions[0], statement.where]) == "never":
            yield at, "is never done, for its condition contradicts that of its group", ""
    if statement.editor == "set":
        (value,) = statement.arguments
        if isinstance(value, Constant) and value.value is None:
            yield at, "does nothing, for what is set to nil stays as it is", "remove an attribute with delete_key"
        elif value == statement.target:
            yield at, "does nothing, for it sets something to itself", "leave it out"


def _among(placed: _Placed, before: Sequence[_Placed]) -> Iterator[Advice]:
    """What is to be said of a statement because of the last one before it that is about the same."""
    mine = _changed(placed.statement)
    if mine is None:
        return
    for other in reversed(before):
        theirs = _changed(other.statement)
        name = key_path(other.at[2:])
        if theirs is not None and _removes(theirs, mine) and _is_unconditional(other):
            if placed.statement.editor != "set":
                yield placed.at, f"finds nothing, for {name} has removed it", "leave it out, or put it first"
            return
        if theirs is not None and theirs.path == mine.path:
            if theirs.statement.editor == "set" and _is_unconditional(placed) and not _reads(placed.statement, mine.path):
                if placed.statement.editor == "delete_key":
                    yield placed.at, f"removes what {name} has set", "leave one of them out"
                elif placed.statement.editor == "set" and _sets_for_certain(placed.statement):
                    yield placed.at, f"sets over what {name} has set", "leave one of them out"
            return
        if _reads(other.statement, mine.path):
            return


class _Change(NamedTuple):
    """An attribute or a field that a statement changes, or all attributes, if `path` has no key."""

    path: Path
    statement: Statement


def _changed(statement: Statement) -> _Change | None:
    target = statement.target
    if statement.editor == "delete_key" and is_collection(target):
        (key,) = (each.value for each in statement.arguments if isinstance(each, Constant))
        target = Path(target.types, target.level, target.at, target.name, key, ())
    # Of what lies within values nothing is told.
    return None if target.inside or target.name == "cache" else _Change(_untyped(target), statement)


def _untyped(path: Path) -> Path:
    return Path(frozenset(), path.level, path.at, path.name, path.key, path.inside)


def _removes(change: _Change, other: _Change) -> bool:
    """Whether a change takes the attribute away that another one is about."""
    statement, path = change.statement, other.path
    if (path.level, path.name) != (change.path.level, "attributes") or not path.key:
        return False
    match statement.editor, statement.arguments:
        case "delete_key", _:
            return bool(change.path.key == path.key)
        case "keep_keys", [Constant(value=keys)]:
            return path.key not in keys
        case "delete_matching_keys", [Constant(value=pattern)]:
            return compile_pattern(pattern).search(path.key) is not None
        case "keep_matching_keys", [Constant(value=pattern)]:
            return compile_pattern(pattern).search(path.key) is None
    return False


def _is_unconditional(placed: _Placed) -> bool:
    return placed.statement.where is None and not placed.conditions


def _sets_for_certain(statement: Statement) -> bool:
    (value,) = statement.arguments
    return isinstance(value, Constant) and value.value is not None and statement.level is not Level.EVENT


def _reads(statement: Statement, path: Path) -> bool:
    """Whether what a statement does depends on a field or attribute, or on all attributes."""
    nodes = [part for node in (*statement.arguments, statement.where) if node is not None for part in parts(node)]
    if statement.editor not in ("set", "delete_key"):
        nodes.append(statement.target)
    paths = [node for node in nodes if isinstance(node, Path)]
    return any(each.level is path.level and each.name == path.name and each.key in ("", path.key) for each in paths)
