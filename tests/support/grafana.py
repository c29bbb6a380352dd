"""What Grafana and its ClickHouse plugin make of a query before it is sent: variables and macros written out.

Source: the plugin's own code (`src/data/CHDatasource.ts`, `pkg/macros/macros.go`, release 4.20) and Grafana's documentation of
variables. In the plugin's order: `$__conditionalAll`, then variables, then macros.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

_VARIABLE = re.compile(
    r"\$\{(?P<braced>\w+)(?::(?P<format>\w+))?\}|\[\[(?P<old>\w+)(?::(?P<old_format>\w+))?\]\]|\$(?P<plain>\w+)"
)
_MACRO = re.compile(r"\$__(\w+)")
_CONDITIONAL = "$__conditionalAll("


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen of a variable.

    Attributes:
        values: of a variable of which several can be chosen, and where `is_all` all that there are.
    """

    values: str | tuple[str, ...]
    is_all: bool = False

    @property
    def listed(self) -> tuple[str, ...]:
        return (self.values,) if isinstance(self.values, str) else self.values

    @property
    def is_no_condition(self) -> bool:
        return self.is_all or self.values == ""


@dataclass(frozen=True, slots=True)
class View:
    """A dashboard as somebody looks at it.

    Attributes:
        start, end: of the time range, seconds since 1970.
        interval_s: from one point to the next.
    """

    start: int
    end: int
    interval_s: int = 60
    variables: Mapping[str, Choice] = field(default_factory=dict)

    def expand(self, text: str) -> str:
        """A query as it is sent to ClickHouse. Raises ValueError for a macro that is wrong or unknown."""
        return _macros(self._interpolated(self._conditions(text)), self)

    def expand_promql(self, text: str) -> str:
        """A query as it is sent to Prometheus."""
        built_in = {"__rate_interval": "4m", "__range": f"{self.end - self.start}s", "__interval": f"{self.interval_s}s"}
        regular = {name: "|".join(map(re.escape, choice.listed)) for name, choice in self.variables.items()}
        return _VARIABLE.sub(lambda found: {**built_in, **regular}[found["plain"] or found["braced"]], text)

    def _conditions(self, text: str) -> str:
        while (at := text.rfind(_CONDITIONAL)) >= 0:
            arguments, end = _arguments(text, at + len(_CONDITIONAL))
            if len(arguments) != 2:
                raise ValueError(f"$__conditionalAll has {len(arguments)} arguments, not 2: {text[at:end]}")
            variable = _VARIABLE.fullmatch(arguments[1].strip())
            if variable is None:
                raise ValueError(f"no variable: {arguments[1]}")
            chosen = self.variables[variable["braced"] or variable["plain"]]
            text = text[:at] + ("1=1" if chosen.is_no_condition else arguments[0]) + text[end:]
        return text

    def _interpolated(self, text: str) -> str:
        return _VARIABLE.sub(self._value, text)

    def _value(self, found: re.Match[str]) -> str:
        name = found["braced"] or found["old"] or found["plain"]
        chosen = self.variables.get(name)
        # Grafana leaves what it does not know, among it the plugin's macros.
        return found[0] if chosen is None else _FORMATS[found["format"] or found["old_format"] or ""](chosen)


def _quoted(escape: Callable[[str], str], quotes: str = "'") -> Callable[[Choice], str]:
    return lambda choice: ",".join(f"{quotes}{escape(value)}{quotes}" for value in choice.listed)


_FORMATS: Mapping[str, Callable[[Choice], str]] = {
    # The plugin's own: without quotes for one value, and with them, but without escapes, for several.
    "": lambda choice: choice.values if isinstance(choice.values, str) else _quoted(str)(choice),
    "raw": lambda choice: ",".join(choice.listed),
    "csv": lambda choice: ",".join(choice.listed),
    "json": lambda choice: json.dumps(choice.values),
    "pipe": lambda choice: "|".join(choice.listed),
    "percentencode": lambda choice: quote(",".join(choice.listed), safe=""),
    "sqlstring": _quoted(lambda value: value.replace("'", "''")),
    "singlequote": _quoted(lambda value: value.replace("'", "\\'")),
    "doublequote": _quoted(lambda value: value.replace('"', '\\"'), '"'),
}


# Macros.


def _macros(text: str, view: View) -> str:
    expanded, position = [], 0
    for found in _MACRO.finditer(text):
        if found.start() < position:
            continue
        name = found[1]
        if name not in _EXPANSIONS:
            raise ValueError(f"no macro: $__{name}")
        count, expansion = _EXPANSIONS[name]
        arguments, end = _arguments(text, found.end() + 1) if text[found.end() :].startswith("(") else ([], found.end())
        if len(arguments) != count:
            raise ValueError(f"$__{name} has {len(arguments)} arguments, not {count}")
        expanded += [text[position : found.start()], expansion(view, *(argument.strip() for argument in arguments))]
        position = end
    return "".join((*expanded, text[position:]))


def _arguments(text: str, start: int) -> tuple[list[str], int]:
    """The arguments behind an opening bracket, and where the text goes on behind the closing one."""
    arguments, depth, begin = [], 1, start
    for at, character in _outside_quotes(text, start):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 or (character == "," and depth == 1):
            arguments.append(text[begin:at])
            begin = at + 1
        if depth == 0:
            return ([] if arguments == [""] else arguments), at + 1
    raise ValueError(f"a bracket is not closed: {text[start - 20 : start + 20]}")


def _outside_quotes(text: str, start: int) -> Iterator[tuple[int, str]]:
    quotes = ""
    for at in range(start, len(text)):
        if text[at] in "'\"`" and quotes in ("", text[at]):
            quotes = "" if quotes else text[at]
        elif not quotes:
            yield at, text[at]


def _second(at: int) -> str:
    return f"toDateTime({at})"


def _milliseconds(at: int) -> str:
    return f"fromUnixTimestamp64Milli({at * 1000})"


def _date(at: int) -> str:
    return f"toDate('{datetime.fromtimestamp(at, UTC):%Y-%m-%d}')"


def _between(write: Callable[[int], str]) -> Callable[..., str]:
    return lambda view, column: f"{column} >= {write(view.start)} AND {column} <= {write(view.end)}"


def _date_and_time(view: View, date: str, time: str) -> str:
    return f"({_between(_date)(view, date)}) AND ({_between(_second)(view, time)})"


def _group(_: View, column: str, period: str) -> str:
    number, unit = re.fullmatch(r"'?(\d+)([smh])'?", period).groups()  # type: ignore[union-attr]  # what is wrong fails the test
    return f"toStartOfInterval(toDateTime({column}), INTERVAL {int(number) * {'s': 1, 'm': 60, 'h': 3600}[unit]} second)"


_EXPANSIONS: Mapping[str, tuple[int, Callable[..., str]]] = {
    "fromTime": (0, lambda view: _second(view.start)),
    "toTime": (0, lambda view: _second(view.end)),
    "fromTime_ms": (0, lambda view: _milliseconds(view.start)),
    "toTime_ms": (0, lambda view: _milliseconds(view.end)),
    "timeFilter": (1, _between(_second)),
    "timeFilter_ms": (1, _between(_milliseconds)),
    "dateFilter": (1, _between(_date)),
    "dateTimeFilter": (2, _date_and_time),
    "dt": (2, _date_and_time),
    "timeFrom": (1, lambda view, column: f"{column} >= {_second(view.start)}"),
    "timeTo": (1, lambda view, column: f"{column} <= {_second(view.end)}"),
    "timeInterval": (1, lambda view, column: f"toStartOfInterval(toDateTime({column}), INTERVAL {view.interval_s} second)"),
    "timeInterval_ms": (
        1,
        lambda view, column: f"toStartOfInterval(toDateTime64({column}, 3), INTERVAL {view.interval_s * 1000} millisecond)",
    ),
    "timeGroup": (2, _group),
    "interval": (0, lambda view: f"{view.interval_s}s"),
    "interval_s": (0, lambda view: str(view.interval_s)),
    "interval_ms": (0, lambda view: str(view.interval_s * 1000)),
}
"""Macro → how many arguments it has, and what it becomes."""


# Dashboards.


def panels_of(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The panels of a dashboard that ask for something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def variables_of(dashboard: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The variables of a dashboard by their names."""
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}
