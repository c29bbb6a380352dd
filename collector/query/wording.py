"""Predicates of spans in SQL: the one place that words them for the store."""

from __future__ import annotations

from typing import Final, Literal

from collector.query.predicates import (
    MOST_LEVELS,
    Alike,
    AllOf,
    AnyOf,
    Arithmetic,
    Attribute,
    Calculated,
    Column,
    Comparison,
    CountsChildren,
    Exists,
    Field,
    HasRelative,
    Level,
    Measured,
    Not,
    Number,
    Operator,
    Predicate,
    Value,
)
from collector.query.store import AMONG_MANY, DURATION, EVENT_TIMES, START

END: Final = f"if(EndTimeUnixNano != 0, EndTimeUnixNano, {START} + {DURATION})"
_COLUMNS: Final[dict[Column, str]] = {
    "name": "SpanName",
    "kind": "SpanKind",
    "status": "StatusCode",
    "status message": "StatusMessage",
    "duration": DURATION,
    "start": START,
    "trace duration": "TraceDuration",
    "span id": "SpanId",
    "parent span id": "ParentSpanId",
    "trace id": "TraceId",
    "trace state": "TraceState",
    "service": "ServiceName",
    "scope name": "ScopeName",
    "scope version": "ScopeVersion",
}
_MANY: Final[dict[Column, str]] = {
    "event name": "`Events.Name`",
    "event time since start": f"arrayMap(t -> toInt64(t) - toInt64({START}), {EVENT_TIMES})",
    "link trace id": "`Links.TraceId`",
    "link span id": "`Links.SpanId`",
}
_MAPS: Final[dict[Level, str]] = {"span": "SpanAttributes", "resource": "ResourceAttributes", "scope": "ScopeAttributes"}
_MANY_MAPS: Final[dict[Level, str]] = {"event": "`Events.Attributes`", "link": "`Links.Attributes`"}
_WITHOUT_INDEX: Final[tuple[Level, ...]] = ("scope", "event", "link")
"""Of the others an index says in which parts of the table a key or value may be."""
_NUMBERS: Final[frozenset[Column]] = frozenset({"duration", "start", "event time since start"})
_ANNOTATION: Final = "annotation"
"""What people have said of the trace or of its spans, in a table of its own; of several, one must compare so."""


def _has_no_index(term: Predicate) -> bool:
    """Whether a term asks for a key or value as indexes know them, but where there are none."""
    match term:
        case Comparison(Attribute(level, _), "=", _) | Exists(Attribute(level, _)):
            return level in _WITHOUT_INDEX
    return False


def _is_of_trace(number: Number) -> bool:
    """Whether a number needs all spans of a trace."""
    if isinstance(number, Arithmetic):
        return _is_of_trace(number.left) or _is_of_trace(number.right)
    return number == "trace duration"


class Wording:
    """Words predicates as SQL.

    Args:
        table: of the spans; a checked name.
        parameters: those of the statement, to which values are added. `workspace`, `start` and `end` must be bound: relatives are
            looked for in the same workspace and time range.
        among: a condition on the traces in which relatives are looked for; empty for all.
    """

    def __init__(self, table: str, parameters: dict[str, object], among: str = "") -> None:
        self._table = table
        self._among = f" AND {among}" if among else ""
        self._parameters = parameters
        self._names: dict[tuple[str, str], str] = {}
        self._lines = 0

    def condition(self, predicate: Predicate) -> str:
        """A condition over the table's columns, in parentheses where need be."""
        match predicate:
            case Comparison(field, operator, value):
                return self._comparison(field, operator, value)
            case Calculated(left, operator, right):
                compared = f"ifNull({self._number(left)} {operator} {self._number(right)}, false)"
                return self._beside_its_trace(compared) if _is_of_trace(left) or _is_of_trace(right) else compared
            case Alike(left, operator, right):
                return self._alike(left, operator, right)
            case Exists(field):
                return self._exists(field)
            case CountsChildren(operator, value):
                return self._counts_children(operator, value)
            case Not(term):
                return f"NOT {self.condition(term)}"
            case AllOf(terms):
                return f"({' AND '.join(map(self.condition, terms))})" if terms else "true"
            case AnyOf(terms):
                return self._any_of(terms)
            case HasRelative("sibling", term):
                return self._sibling(term)
            case HasRelative("ancestor" | "descendant" as relative, term):
                return self._far(relative, term)
            case HasRelative(relative, term):
                here, there = {
                    "parent": ("(TraceId, ParentSpanId)", "TraceId, SpanId"),
                    "child": ("(TraceId, SpanId)", "TraceId, ParentSpanId"),
                    "anybody": ("TraceId", "TraceId"),
                }[relative]
                return f"({here} IN (SELECT {there} {self._others(term)}))"
        return self._measured(predicate)

    def number(self, field: Field) -> str:
        """An expression for the number that a field is, null where it is none."""
        return f"toFloat64OrNull({self.text(field)})" if isinstance(field, Attribute) else _COLUMNS[field]

    def _number(self, number: Number) -> str:
        match number:
            case int() | float():
                return self._bind(float(number), "Float64")
            case Arithmetic("%", left, right):
                return f"modulo({self._number(left)}, {self._number(right)})"
            case Arithmetic("^", left, right):
                return f"pow({self._number(left)}, {self._number(right)})"
            case Arithmetic(operator, left, right):
                return f"({self._number(left)} {operator} {self._number(right)})"
        return f"toFloat64({self.number(number)})"

    def text(self, attribute: Attribute) -> str:
        """An expression for the text of an attribute, of events and links that of the first that has it; empty for none."""
        key = self._bind(attribute.key, "String")
        if attribute.level in _MANY_MAPS:
            return f"arrayFirst(m -> mapContains(m, {key}), {_MANY_MAPS[attribute.level]})[{key}]"
        if attribute.level == "span or resource":
            return f"if(mapContains(SpanAttributes, {key}), SpanAttributes[{key}], ResourceAttributes[{key}])"
        return f"{_MAPS[attribute.level]}[{key}]"

    def roots(self) -> str:
        """A subquery of what the roots of traces in the time range are called: `TraceId`, `RootName` and `RootService`."""
        fields = "argMin(SpanName, Timestamp) AS RootName, argMin(ServiceName, Timestamp) AS RootService"
        return f"(SELECT TraceId, {fields} {self._within()} AND ParentSpanId = '' GROUP BY TraceId)"

    def _bind(self, value: Value, type_name: str) -> str:
        # A value has one name, however often it is compared: parameters travel in the URL, whose length is limited.
        name = self._names.setdefault((type_name, repr(value)), f"p{len(self._parameters)}")
        self._parameters[name] = value
        return f"{{{name}:{type_name}}}"

    def _any_of(self, terms: tuple[Predicate, ...]) -> str:
        if not terms:
            return "false"
        conditions = [self.condition(term) for term in terms]
        slow = [_has_no_index(term) for term in terms]
        if not all(slow) and any(slow):
            # One alternative without an index would make those of the others useless: it is left out where no span fits it, which
            # is usual, and quick to see, since few spans have such attributes.
            unindexed = " OR ".join(condition for condition, is_slow in zip(conditions, slow, strict=True) if is_slow)
            conditions = [condition for condition, is_slow in zip(conditions, slow, strict=True) if not is_slow]
            found = f"SELECT 1 {self._within()} AND ({unindexed}) LIMIT 1"
            conditions.append(f"(({unindexed}) AND (SELECT count() FROM ({found})) > 0)")  # noqa: S608 - names are checked, values are bound
        return f"({' OR '.join(conditions)})"

    def _within(self) -> str:
        return (
            f"FROM {self._table} WHERE Workspace = {{workspace:String}}"
            " AND Timestamp >= fromUnixTimestamp64Nano({start:Int64}) AND Timestamp < fromUnixTimestamp64Nano({end:Int64})"
            f"{self._among}"
        )

    def _others(self, term: Predicate) -> str:
        return f"{self._within()} AND {self.condition(term)}"

    def _sibling(self, term: Predicate) -> str:
        fitting = f"SELECT TraceId, ParentSpanId {self._others(term)} AND ParentSpanId != ''"
        several = f"{fitting} GROUP BY TraceId, ParentSpanId HAVING uniqExact(SpanId) > 1"
        # Where only one of the children fits, it is a sibling of the others.
        only = f"NOT {self.condition(term)} AND (TraceId, ParentSpanId) IN ({fitting})"
        return f"((TraceId, ParentSpanId) IN ({several}) OR ({only}))"

    def _far(self, relative: Literal["ancestor", "descendant"], term: Predicate) -> str:
        """From the spans that fit, level by level, down to what they called, or up to what called them."""
        self._lines += 1
        line = f"line{self._lines}"
        # A span that was sent twice would be followed twice, and what is below it four times.
        if relative == "ancestor":
            here, next_one = "ParentSpanId", f"(spans.TraceId, spans.ParentSpanId) = ({line}.TraceId, {line}.Id)"
            first = following = "SpanId"
        else:
            here, next_one = "SpanId", f"(spans.TraceId, spans.SpanId) = ({line}.TraceId, {line}.Id)"
            first = following = "ParentSpanId"
        return (
            f"((TraceId, {here}) IN (WITH RECURSIVE {line} AS"  # noqa: S608 - names are checked, values are bound
            f" (SELECT DISTINCT TraceId, {first} AS Id, 1 AS Level {self._others(term)} AND {first} != ''"
            f" UNION ALL SELECT DISTINCT spans.TraceId, spans.{following} AS Id, {line}.Level + 1 AS Level"
            f" FROM (SELECT TraceId, SpanId, ParentSpanId {self._within()}) AS spans INNER JOIN {line} ON {next_one}"
            f" WHERE {line}.Level < {MOST_LEVELS} AND spans.{following} != '')"
            f" SELECT TraceId, Id FROM {line}))"
        )

    def _counts_children(self, operator: Operator, value: float) -> str:
        counted = "SELECT TraceId, ParentSpanId, uniqExact(SpanId) AS Children"
        bound = self._bind(float(value), "Float64")
        spans = f"{counted} {self._within()} AND ParentSpanId != '' GROUP BY TraceId, ParentSpanId"
        fitting = f"(TraceId, SpanId) IN (SELECT TraceId, ParentSpanId FROM ({spans}) WHERE Children {operator} {bound})"  # noqa: S608 - as above
        childless = f"(TraceId, SpanId) NOT IN (SELECT TraceId, ParentSpanId {self._within()})"
        return f"({fitting} OR (0 {operator} {bound} AND {childless}))"

    def _beside_its_trace(self, condition: str) -> str:
        """That a condition holds in which `TraceDuration` is that of the span's trace."""
        traces = f"SELECT TraceId, max({END}) - min({START}) AS TraceDuration {self._within()} GROUP BY TraceId"
        spans = f"(SELECT * {self._within()}) AS spans INNER JOIN ({traces}) AS traces USING (TraceId)"
        return f"((TraceId, SpanId, SpanKind) IN (SELECT TraceId, SpanId, SpanKind FROM {spans} WHERE {condition}))"  # noqa: S608 - names are checked, values are bound

    def _alike(self, left: Field, operator: str, right: Field) -> str:
        texts = [self.text(field) if isinstance(field, Attribute) else _COLUMNS[field] for field in (left, right)]
        return f"({self._exists(left)} AND {self._exists(right)} AND {texts[0]} {operator} {texts[1]})"

    def _measured(self, predicate: Measured) -> str:
        value = "1" if predicate.number is None else self._number(predicate.number)
        measure = {"count": "count()", "extent": "max(End) - min(Start)"}.get(predicate.measure, f"{predicate.measure}(Value)")
        bound = self._bind(float(predicate.value), "Float64")
        by = [self.text(field) if isinstance(field, Attribute) else _COLUMNS[field] for field in predicate.by]
        groups = ", ".join(["TraceId", *(f"Group{number}" for number in range(len(by)))])
        grouped = "".join(f", {text} AS Group{number}" for number, text in enumerate(by))
        # A span that was sent twice is one.
        spans = (
            f"SELECT TraceId, {value} AS Value, {START} AS Start, {END} AS End{grouped}"
            f" {self._others(predicate.term)} LIMIT 1 BY {AMONG_MANY}"
        )
        fitting = f"SELECT {groups} FROM ({spans}) GROUP BY {groups} HAVING {measure} {predicate.operator} {bound}"  # noqa: S608 - names are checked, values are bound
        return f"(({', '.join(['TraceId', *by])}) IN ({fitting}))"

    def _exists(self, field: Field) -> str:
        if isinstance(field, Attribute):
            key = self._bind(field.key, "String")
            if field.level == "span or resource":
                return f"(mapContains(SpanAttributes, {key}) OR mapContains(ResourceAttributes, {key}))"
            if field.level in _MANY_MAPS:
                return f"arrayExists(m -> mapContains(m, {key}), {_MANY_MAPS[field.level]})"
            return f"mapContains({_MAPS[field.level]}, {key})"
        if field == _ANNOTATION:
            return self._annotated("Name != ''")
        if field in _MANY:
            return f"notEmpty({_MANY[field]})"
        return "true" if field in _NUMBERS else f"({_COLUMNS[field]} != '')"

    def _annotated(self, condition: str) -> str:
        """That the trace has an annotation with such a text: of the versions of each, the last one counts."""
        objects = f"{self._table.rpartition('.')[0]}.otel_objects".removeprefix(".")
        latest = (
            f"SELECT Subject, Name, Deleted FROM {objects} WHERE Workspace = {{workspace:String}} AND Kind = 'annotation'"  # noqa: S608 - as everywhere here
            " ORDER BY Version DESC, UpdatedAt, WriteId LIMIT 1 BY Id"
        )
        return f"(TraceId IN (SELECT Subject FROM ({latest}) WHERE NOT Deleted AND {condition}))"  # noqa: S608 - names are checked, values are bound

    def _comparison(self, field: Field, operator: Operator, value: Value) -> str:
        if not isinstance(field, Attribute):
            if field == _ANNOTATION:
                return self._annotated(self.compared("Name", operator, value, is_number=False))
            is_number = field in _NUMBERS
            if field in _MANY:
                return f"arrayExists(x -> {self.compared('x', operator, value, is_number=is_number)}, {_MANY[field]})"
            return f"({self.compared(_COLUMNS[field], operator, value, is_number=is_number)})"
        if field == Attribute("resource", "service.name") and operator == "=" and value:
            # The table is sorted by this column.
            return self._comparison("service", operator, value)
        key = self._bind(field.key, "String")
        # Bound once, however often it is compared.
        compared = self.compared("{x}", operator, value, is_number=False)

        def holds(attributes: str) -> str:
            # A missing key reads as the empty text.
            present = "" if operator == "=" and value != "" else f"mapContains({attributes}, {key}) AND "
            return f"({present}{compared.replace('{x}', f'{attributes}[{key}]')})"

        if field.level == "span or resource":
            only_there = f"(NOT mapContains(SpanAttributes, {key}) AND {holds('ResourceAttributes')})"
            return f"({holds('SpanAttributes')} OR {only_there})"
        if field.level in _MANY_MAPS:
            return f"arrayExists(m -> {holds('m')}, {_MANY_MAPS[field.level]})"
        return holds(_MAPS[field.level])

    def compared(self, expression: str, operator: Operator, value: Value, *, is_number: bool) -> str:
        """`expression`, a text unless `is_number`, compared with a value."""
        if isinstance(value, bool):
            value = "true" if value else "false"
        if is_number:
            if isinstance(value, str):
                raise TypeError(f"{value!r} is compared with a number")
            if isinstance(value, int) and -(2**63) <= value < 2**63:
                return f"{expression} {operator} {self._bind(value, 'Int64')}"
            return f"{expression} {operator} {self._bind(float(value), 'Float64')}"
        if isinstance(value, int) and operator in ("=", "!="):
            value = str(value)
        if not isinstance(value, str):
            return f"ifNull(toFloat64OrNull({expression}) {operator} {self._bind(float(value), 'Float64')}, false)"
        if operator == "starts with":
            return f"startsWith({expression}, {self._bind(value, 'String')})"
        if operator == "contains ignoring case":
            return f"positionCaseInsensitiveUTF8({expression}, {self._bind(value, 'String')}) > 0"
        if operator == "equals ignoring case":
            return f"lowerUTF8({expression}) = lowerUTF8({self._bind(value, 'String')})"
        if operator in ("=~", "!~"):
            matched = f"match({expression}, {self._bind(f'^(?:{value})$', 'String')})"
            return matched if operator == "=~" else f"NOT {matched}"
        return f"{expression} {operator} {self._bind(value, 'String')}"
