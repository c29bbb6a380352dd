"""Statements, made ready to be done on columns: each is worked out for all rows before the next begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from collector.processors.ottl import attribute_maps as maps
from collector.processors.ottl import values as single
from collector.processors.ottl.columns import (
    FAILED,
    MAP,
    NIL,
    STRING,
    Column,
    Failure,
    Mask,
    Values,
    apply,
    combinations,
    of_results,
)
from collector.processors.ottl.draft import OWNERS, Draft
from collector.processors.ottl.evaluate import Evaluator
from collector.processors.ottl.nested import inside, put_inside
from collector.processors.ottl.replacing import Replacing
from collector.processors.ottl.semconv_names import new_name
from collector.processors.ottl.targets import fitting
from config.ottl_calls import is_collection
from config.ottl_editors import NAMING
from config.ottl_nodes import ATTRIBUTE, Constant, FunctionName, Level, Node, Path, Statement
from config.patterns import compile_pattern
from proto.attribute_lists import Lists, run_places
from proto.spans import Table, take
from proto.texts import Texts, text_at, texts_of

_NIL: Final = of_results([None])
_WORKED_OUT: Final[Mapping[str, int]] = {
    "append": 2,
    "delete_index": 2,
    "merge_maps": 1,
    "replace_match": 2,
    "replace_pattern": 2,
}
"""Editors some of whose first arguments differ from row to row, or may; those behind them, and of all others all, are written."""


class Step:
    """A statement that is ready.

    Attributes:
        place: where it stands in the configuration.
        statement: what it was made of.
        nodes: all that it looks at.
    """

    def __init__(self, statement: Statement, place: str) -> None:
        self.place = place
        self.statement = statement
        self._target = statement.target
        self._constants: list[Any] = [each.value if isinstance(each, Constant) else None for each in statement.arguments]
        self._replacing = _replacing(statement)
        self._pattern = compile_pattern(self._constants[0]) if statement.editor.endswith("matching_keys") else None
        self._removes = statement.editor == "delete_key" and is_collection(self._target)
        if self._removes:
            key = self._constants[0]
            self._target = Path(ATTRIBUTE, self._target.level, self._target.at, self._target.name, key, ())
        before = statement.arguments[0] if statement.editor == NAMING else None
        self._keeps_name = before if isinstance(before, Path) else None
        self._on_all = is_collection(self._target)
        arguments = (each for each in statement.arguments if each is not None)
        self.nodes: list[Node] = [self._target, *arguments, *([] if statement.where is None else [statement.where])]

    def do(self, draft: Draft, evaluator: Evaluator, rows: Mask, level: Level) -> tuple[Mask, str]:
        """Do it in these rows of a level; says in which it could not be done, and why."""
        if not self._on_all:
            return self._put(draft, evaluator, rows, level)
        if self.statement.editor in ("merge_maps", "set"):
            return self._merge(draft, evaluator, rows, level)
        target = self._target.level
        rows, _ = draft.reach(rows, _NIL, level, target)
        batch = draft.commit()
        table: Table = getattr(batch, OWNERS[target])
        if self.statement.editor == "limit":
            rows = rows & (table["attributes_count"] > self._constants[0])
        elif self.statement.editor == "truncate_all":
            rows = rows & bool((batch.attributes["value_length"] > self._constants[0]).any())
        if rows.any():
            changed = self._changed(draft, draft.lists(target, rows))
            _put_changed(draft, target, changed)
        return np.zeros(1, np.bool_), ""

    # One field, or one attribute.

    def _put(self, draft: Draft, evaluator: Evaluator, rows: Mask, level: Level) -> tuple[Mask, str]:
        target = self._target
        if self._removes:
            present = draft.cells(target.level, target.key)[1]
            rows = rows & (present if level is target.level else present[draft.place(target.level, level)])
            values = _NIL
        else:
            values = self._values(evaluator, level)
            target, values = fitting(replace(target, inside=()), values, lambda path: evaluator.column(path, level))
        failed = rows & (values.types == FAILED)
        if not self._removes:
            rows = rows & (values.types != FAILED) & (values.types != NIL)
        if rows.any():
            rows, values = draft.reach(rows, values, level, target.level)
            if self._keeps_name is not None:
                draft.put(self._keeps_name, rows, evaluator.column(target, level))
            draft.put(target, rows, values)
        return failed, values.failure

    def _values(self, evaluator: Evaluator, level: Level) -> Column:
        """What the field or attribute becomes as a whole; nil where it stays as it is."""
        statement, target = self.statement, self._target
        if statement.editor == NAMING:
            made_of = (target, *statement.arguments[1:])
            return apply(new_name, [evaluator.column(each, level) for each in made_of if each is not None])
        if statement.editor == "set":
            values = _column(evaluator, statement.arguments[0], level)
            if not target.inside:
                return values
            whole = evaluator.column(replace(target, inside=()), level)
            return apply(lambda into, new: None if new is None else put_inside(into, target.inside, new), [whole, values])
        whole = evaluator.column(replace(target, inside=()), level)
        if self._replacing and not target.inside and statement.editor in _WORKED_OUT and self._constants[1] is not None:
            return _replaced(whole, self._replacing, self._constants[1])
        given = statement.arguments[: _WORKED_OUT.get(statement.editor, 0)]

        def change(into: Any, *arguments: Any) -> Any:
            current = inside(into, target.inside)
            made = self._changed_value(current, arguments)
            return None if made is None or made == current else put_inside(into, target.inside, made)

        return apply(change, [whole, *(_column(evaluator, each, level) for each in given)])

    def _changed_value(self, current: Any, arguments: Sequence[Any]) -> Any:
        """What the editor makes of a value; None where it stays as it is."""
        match self.statement.editor:
            case "append":
                return single.appended(current, *arguments)
            case "delete_index":
                return single.without_positions(current, *arguments)
            case "replace_match" | "replace_pattern":
                return self._replaced_text(current, arguments[-1])
            case "merge_maps":
                entries = single.map_of({} if current is None else current)
                return single.merged_entries(entries, arguments[0], self._constants[1])
        if current is None:
            return None
        return self._changed_entries(single.map_of(current))

    def _replaced_text(self, current: Any, replacement: Any) -> str | None:
        if not isinstance(current, str) or self._replacing is None:
            return None
        if not isinstance(replacement, str):
            raise Failure("expected a string to put in place of what is found")
        made = self._replacing.outcome(current.encode(), replacement)
        return None if made is None else made.decode(errors="replace")

    def _changed_entries(self, entries: Mapping[str, Any]) -> Mapping[str, Any]:
        first, *others = self._constants or [None]
        match self.statement.editor:
            case "limit":
                return single.limited_entries(entries, first, tuple(others[0] or ()))
            case "truncate_all":
                return single.changed_texts(entries, lambda text: single.cut(text, first))
            case "flatten":
                prefix = f"{first}." if first else ""
                parts = (single.flattened(prefix + key, value, others[0]) for key, value in entries.items())
                return {key: value for part in parts for key, value in part.items()}
            case "replace_all_patterns" | "replace_all_matches" if self._replacing:
                replacing, replacement = self._replacing, self._replacement
                change = single.changed_keys if first == "key" else single.changed_texts
                return change(entries, lambda text: replacing.outcome(text, replacement))
        return single.kept_entries(entries, self._stays)

    # All attributes together.

    def _changed(self, draft: Draft, lists: Lists) -> maps.Changed:
        first, *others = self._constants or [None]
        match self.statement.editor:
            case "limit":
                return maps.limited(draft, lists, first, others[0] or ())
            case "truncate_all":
                return maps.with_texts(draft, lists, lambda texts: _outcomes(texts, lambda text: single.cut(text, first)))
            case "flatten":
                return maps.flat(draft, lists, first or "", others[0])
            case "stringify_all":
                return maps.stringified(draft, lists)
            case "replace_all_patterns" | "replace_all_matches" if self._replacing:
                replacing, replacement = self._replacing, self._replacement
                outcomes = partial(replacing.outcomes, replacement=replacement)
                if first == "key":
                    return maps.with_keys(draft, lists, outcomes)
                return maps.with_texts(draft, lists, outcomes, replacing.least_length)
        return maps.kept(draft, lists, self._stays)

    def _merge(self, draft: Draft, evaluator: Evaluator, rows: Mask, level: Level) -> tuple[Mask, str]:
        target, source = self._target.level, self.statement.arguments[0]
        failed, failure = np.zeros(1, np.bool_), ""
        if isinstance(source, Path) and is_collection(source):
            rows, _ = draft.reach(rows, _NIL, level, target)
            more = _lists_of_owners(draft, source.level, target, rows)
        else:
            values = _column(evaluator, source, level)
            is_wrong = (values.types != MAP) & ((values.types != NIL) | (self.statement.editor != "set"))
            failed, failure = rows & is_wrong, values.failure or "expected a map"
            rows = rows & (values.types == MAP)
            if not rows.any():
                return failed, failure
            rows, values = draft.reach(rows, values, level, target)
            more = _lists_of_maps(draft, rows, values)
        if self.statement.editor == "set":
            draft.put_lists(target, np.flatnonzero(rows), more)
        else:
            _put_changed(draft, target, maps.merged(draft, draft.lists(target, rows), more, self._constants[1]))
        return failed, failure

    # What is written in the statement.

    @property
    def _replacement(self) -> str:
        """What comes in place of what is found everywhere."""
        replacement: str = self._constants[2 if self.statement.editor == "replace_all_patterns" else 1]
        return replacement

    def _stays(self, key: str) -> bool:
        """Whether an entry with this key stays in a map."""
        first = self._constants[0]
        match self.statement.editor:
            case "delete_key":
                return bool(key != first)
            case "keep_keys":
                return key in first
        is_found = self._pattern is not None and self._pattern.search(key) is not None
        return is_found == (self.statement.editor == "keep_matching_keys")


def _replacing(statement: Statement) -> Replacing | None:
    """The pattern of an editor that replaces, with what stands behind it."""
    if not statement.editor.startswith("replace"):
        return None
    whole = "match" in statement.editor
    *_, pattern, _, function, form = statement.arguments
    return Replacing(
        pattern.value if isinstance(pattern, Constant) else "",
        whole=whole,
        function=function.function if isinstance(function, FunctionName) else "",
        form=form.value if isinstance(form, Constant) else "",
    )


def _column(evaluator: Evaluator, node: Node | None, level: Level) -> Column:
    return _NIL if node is None else evaluator.column(node, level)


def _replaced(column: Column, replacing: Replacing, replacement: str) -> Column:
    """Texts in which something is replaced; nil where nothing is."""
    texts = column.values.texts()
    outcomes = replacing.outcomes(texts_of(texts), replacement)
    numbers = np.full(len(texts) + 1, -1, np.int64)
    numbers[list(outcomes)] = np.arange(len(outcomes))
    is_text = column.types == STRING
    made = numbers[np.where(is_text, column.numbers, -1)]
    values = [each.decode(errors="replace") for each in outcomes.values()]
    return Column(np.where(made >= 0, STRING, NIL), made, Values(values.__getitem__, len(values)))


def _outcomes(texts: Texts, change: Callable[[bytes], bytes | None]) -> dict[int, bytes]:
    made = ((number, change(text_at(texts, number))) for number in range(len(texts.offsets)))
    return {number: text for number, text in made if text is not None}


def _put_changed(draft: Draft, level: Level, changed: maps.Changed) -> None:
    if changed is None:
        return
    lists, rows = changed
    touched = np.zeros(len(draft.table(level)), np.bool_)
    touched[rows] = True
    of_rows = touched[lists.rows]
    draft.put_lists(level, rows, Lists(lists.rows[of_rows], take(lists.attributes, of_rows)))


def _lists_of_owners(draft: Draft, source: Level, target: Level, rows: Mask) -> Lists:
    """For these rows the attributes of what they belong to."""
    batch = draft.commit()
    numbers = np.flatnonzero(rows)
    owners = numbers if source is target else draft.place(source, target)[numbers]
    table: Table = getattr(batch, OWNERS[source])
    starts, counts = table["attributes_start"][owners], table["attributes_count"][owners]
    return Lists(np.repeat(numbers, counts), take(batch.attributes, run_places(starts, counts)))


def _lists_of_maps(draft: Draft, rows: Mask, values: Column) -> Lists:
    """For these rows the entries of their maps, as attributes."""
    numbers = np.flatnonzero(rows)
    codes, firsts = combinations([values.take(rows)]) if len(values) > 1 else (np.zeros(len(numbers), np.int64), [0])
    column = values.take(rows)
    attributes, starts, counts = maps.made_of(draft, [single.map_of(column.value(first)) for first in firsts])
    return Lists(np.repeat(numbers, counts[codes]), take(attributes, run_places(starts[codes], counts[codes])))
