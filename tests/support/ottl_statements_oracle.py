"""Statements done the plain way: for one span or event after the other, on protobuf messages, by the written rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from config.ottl_nodes import Constant, Level, Path, Statement
from tests.support import ottl_oracle as oracle
from tests.support.ottl_oracle import Fails, Length, Subject, Time, plain
from tests.support.requests import key_values

_ON_MAPS = {
    *("delete_key", "keep_keys", "delete_matching_keys", "keep_matching_keys", "limit", "truncate_all", "flatten"),
    *("replace_all_patterns", "replace_all_matches"),
}


def alone(request: ExportTraceServiceRequest) -> list[Subject]:
    """All spans, each with a resource and a scope of its own."""
    return [Subject(*map(deepcopy, (each.resource, each.scope, each.span))) for each in oracle.spans(request)]


def run(statements: Sequence[Statement], subjects: Sequence[Subject]) -> int:
    """Do the statements one after the other; says for how many subjects one could not be done."""
    return sum(_run(statement, subject) for statement in statements for subject in subjects)


def _run(statement: Statement, subject: Subject) -> int:
    if statement.level is not Level.EVENT:
        return _do_all([_prepared(statement, subject)])
    events = [replace(subject, event=event, event_index=index) for index, event in enumerate(subject.span.events)]
    # What is said of one event does not see what was said of another.
    return _do_all([_prepared(statement, each) for each in events])


def _do_all(prepared: Sequence[Callable[[], None] | None]) -> int:
    for change in prepared:
        if change is not None:
            change()
    return sum(change is None for change in prepared)


def _prepared(statement: Statement, subject: Subject) -> Callable[[], None] | None:
    """What is to be done for a subject, worked out now; None where it fails."""
    try:
        if statement.where is not None and oracle.evaluate(statement.where, subject) is not True:
            return lambda: None
        return _change(statement, subject)
    except Fails:
        return None


def _change(statement: Statement, subject: Subject) -> Callable[[], None]:
    target = statement.target
    arguments = [_argument(each, subject) for each in statement.arguments]
    if target.name == "attributes" and not target.key:
        owner = _owner(target, subject)
        entries = {each.key: plain(each.value) for each in owner.attributes}
        made = _edited(statement.editor, entries, arguments)
        if made is not None and not isinstance(made, dict):
            raise Fails
        if statement.editor == "delete_key":
            return lambda: _put(owner, arguments[0], None)
        return lambda: _put_all(owner, entries if made is None else made)
    current = None if statement.editor == "set" else oracle.evaluate(target, subject)
    made = _edited(statement.editor, current, arguments)
    if made is None:
        return lambda: None
    whole = oracle.evaluate(replace(target, inside=()), subject)
    return _put_field(target, _inside(whole, target.inside, made), subject)


def _argument(node: Any, subject: Subject) -> Any:
    if node is None or isinstance(node, Constant):
        return None if node is None else node.value
    if isinstance(node, Path) and node.name == "attributes" and not node.key:
        return {each.key: plain(each.value) for each in _owner(node, subject).attributes}
    return oracle.evaluate(node, subject)


def _edited(editor: str, current: Any, arguments: list[Any]) -> Any:
    """What an editor makes of a value; None where it stays."""
    if editor in _ON_MAPS:
        if current is None:
            return None
        if not isinstance(current, dict):
            raise Fails
    match editor, arguments:
        case "set", [value]:
            return value
        case "delete_key", [gone]:
            return {key: value for key, value in current.items() if key != gone}
        case "keep_keys", [keys]:
            return {key: value for key, value in current.items() if key in keys}
        case "delete_matching_keys", [pattern]:
            return {key: value for key, value in current.items() if not re.search(pattern, key)}
        case "keep_matching_keys", [pattern]:
            return {key: value for key, value in current.items() if re.search(pattern, key)}
        case "limit", [most, priority]:
            kept = [key for key in current if key in (priority or [])]
            kept += [key for key in current if key not in kept][: most - len(kept)]
            return {key: value for key, value in current.items() if key in kept}
        case "truncate_all", [most]:
            return {key: _cut(value, most) if isinstance(value, str) else value for key, value in current.items()}
        case "append", [value, values]:
            if values is not None and not isinstance(values, list):
                raise Fails
            begun = current if isinstance(current, list) else [] if current is None else [current]
            return [*begun, *([] if value is None else [value]), *(values or [])]
        case "merge_maps", [source, strategy]:
            begun = {} if current is None else current
            if not isinstance(source, dict) or not isinstance(begun, dict):
                raise Fails
            wanted = {"insert": lambda key: key not in begun, "update": lambda key: key in begun, "upsert": lambda key: True}
            return {**begun, **{key: value for key, value in source.items() if wanted[strategy](key)}}
        case "flatten", [prefix, depth]:
            made: dict[str, Any] = {}
            for key, value in current.items():
                _flatten(f"{prefix}.{key}" if prefix else key, value, 99 if depth is None else depth, made)
            return made
        case "replace_pattern", [pattern, replacement, *_]:
            made = _substituted(pattern, replacement, current) if isinstance(current, str) else None
            return None if made == current else made
        case "replace_match", [glob, replacement, *_]:
            return replacement if isinstance(current, str) and re.fullmatch(glob.replace("*", ".*"), current, re.DOTALL) else None
        case "replace_all_patterns", ["value", pattern, replacement, *_]:
            texts = {key: value for key, value in current.items() if isinstance(value, str)}
            return {**current, **{key: _substituted(pattern, replacement, value) for key, value in texts.items()}}
        case "replace_all_patterns", ["key", pattern, replacement, *_]:
            return {_substituted(pattern, replacement, key): value for key, value in current.items()}
        case "replace_all_matches", [glob, replacement, *_]:
            matches = re.compile(glob.replace("*", ".*"), re.DOTALL)
            return {
                key: replacement if isinstance(value, str) and matches.fullmatch(value) else value
                for key, value in current.items()
            }
    raise AssertionError(editor, arguments)


def _substituted(pattern: str, replacement: str, text: str) -> str:
    groups = re.compile(pattern).groups
    written = re.sub(r"\$(\d)", lambda match: rf"\g<{match[1]}>" if int(match[1]) <= groups else "", replacement)
    return re.sub(pattern, written.replace("$$", "$"), text)


def _cut(text: str, most: int) -> str:
    while len(text.encode()) > most:
        text = text[:-1]
    return text


def _flatten(key: str, value: Any, depth: int, made: dict[str, Any]) -> None:
    if isinstance(value, list):
        value = dict(zip(map(str, range(len(value))), value, strict=True)) if depth else value
    if not isinstance(value, dict) or not depth:
        made[key] = value
        return
    for name, part in value.items():
        _flatten(f"{key}.{name}" if key else name, part, depth - 1, made)


def _inside(whole: Any, keys: tuple[str | int, ...], new: Any) -> Any:
    if not keys:
        return new
    key, *others = keys
    if isinstance(key, str):
        if whole is not None and not isinstance(whole, dict):
            raise Fails
        return {**(whole or {}), key: _inside((whole or {}).get(key), tuple(others), new)}
    if not isinstance(whole, list) or key >= len(whole):
        raise Fails
    return [_inside(each, tuple(others), new) if place == key else each for place, each in enumerate(whole)]


def _owner(path: Path, subject: Subject) -> Any:
    levels = {Level.RESOURCE: subject.resource.resource, Level.SCOPE: subject.scope.scope}
    return {**levels, Level.SPAN: subject.span, Level.EVENT: subject.event}[path.level]


def _put_field(target: Path, value: Any, subject: Subject) -> Callable[[], None]:
    owner = _owner(target, subject)
    match target.name:
        case "attributes":
            return lambda: _put(owner, target.key, value)
        case "cache":
            return lambda: subject.cache.update(value)
        case "status.code" | "status.message":
            _check(value, int if target.name == "status.code" else str, 2)
            return lambda: setattr(owner.status, target.name.removeprefix("status."), value)
        case "kind":
            _check(value, int, 5)
        case "dropped_attributes_count":
            _check(value, int, 2**32 - 1)
        case "trace_state" if target.key:
            _check(value, str)
            if not value or value != value.strip() or not value.isascii():
                raise Fails
            others = [each.strip() for each in owner.trace_state.split(",")]
            members = [f"{target.key}={value}", *(each for each in others if each and each.split("=")[0] != target.key)]
            return lambda: setattr(owner, "trace_state", ",".join(members))
        case "start_time" | "end_time" | "time":
            _check(value, Time)
            return lambda: setattr(owner, f"{target.name}_unix_nano", value.nanoseconds)
        case "start_time_unix_nano" | "end_time_unix_nano":
            _check(value, int, 2**63)
        case "parent_span_id" | "span_id":
            _check(value, bytes)
            if len(value) != 8 or (target.name == "span_id" and not any(value)):
                raise Fails
            value = value if any(value) else b""
        case _:
            _check(value, str)
    return lambda: setattr(owner, target.name, value)


def _check(value: Any, kind: type, most: int = 0) -> None:
    if type(value) is not kind or (kind is int and not 0 <= value <= most):
        raise Fails


def _put(owner: Any, key: str, value: Any) -> None:
    assert not isinstance(value, Time | Length), value
    entries = {each.key: plain(each.value) for each in owner.attributes if value is not None or each.key != key}
    _put_all(owner, entries if value is None else {**entries, key: value})


def _put_all(owner: Any, entries: dict[str, Any]) -> None:
    del owner.attributes[:]
    owner.attributes.extend(key_values(entries))
