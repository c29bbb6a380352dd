"""Reads YAML into plain values, and remembers on which line each of them stands."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from config.environment import substitute
from config.problems import KeyPath, Problem, key_path

MAX_FILE_BYTES = 1 << 18
"""The largest file that is read."""

_MAX_DEPTH = 50
_MAX_EXPANDED = 1 << 18  # characters and values after aliases are followed: a bomb stops here
_LONGEST_INTEGER = 30  # digits; longer ones stay text, and are refused as such
_TAG = "tag:yaml.org,2002:"
_NUMBER = "-+.0123456789"
_SURROGATE = re.compile("[\ud800-\udfff]")
_SCALARS = {
    "null": re.compile("(?:~|null|Null|NULL|)"),
    "bool": re.compile("(?:true|True|TRUE|false|False|FALSE)"),
    "int": re.compile("(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)"),
    "float": re.compile(r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"),
    "merge": re.compile("<<"),
    "str": re.compile(".*", re.DOTALL),
}
"""What YAML's plain scalars look like, by the core schema of YAML 1.2 with the merge key."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file's content.

    Attributes:
        value: mappings, lists, text, numbers, booleans and None; every key is text.
        lines: the line of each value's key or list item, from 1.
        written: what stands in the file where a value came from the environment.
        problems: what is wrong with the YAML itself, and with references to the environment.
    """

    value: Any
    lines: Mapping[KeyPath, int]
    written: Mapping[KeyPath, str]
    problems: tuple[Problem, ...]

    def line(self, path: KeyPath) -> int:
        """The line of `path`, or of the nearest value around it that has one; 0 for none."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def read_document(content: bytes, environment: Mapping[str, str]) -> Document:
    """Read a YAML document (core schema of YAML 1.2, plus `<<` merge keys). Never raises.

    When the content is not YAML, or is too large or too deep, the value is None and one problem says why.
    """
    if len(content) > MAX_FILE_BYTES:
        return _unreadable(0, f"is larger than {MAX_FILE_BYTES} bytes, which no configuration needs")
    try:
        node = _Loader(content).get_single_node()
        reader = _Reader(environment)
        value = None if node is None else reader.read(node, (), 0)
    except _TooMuchError as error:
        return _unreadable(error.line, error.message)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return _unreadable(mark.line + 1 if mark else 0, f"is not YAML: {_without_names(error)}")
    except (yaml.YAMLError, ValueError, OverflowError):  # the last two for escapes beyond Unicode
        return _unreadable(0, "is not YAML: it must be UTF-8 text without control characters")
    return Document(value, reader.lines, reader.written, tuple(reader.problems))


def _unreadable(line: int, message: str) -> Document:
    return Document(None, {}, {}, (Problem("", line, message),))


def _without_names(error: yaml.MarkedYAMLError) -> str:
    # PyYAML quotes the name of an anchor or a handle, which may be a password that begins with * or !.
    return re.sub(r"'[\w!-]{2,}'", "…", ", ".join(filter(None, (error.context, error.problem))))


class _TooMuchError(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(line, message)
        self.line = line
        self.message = message


class _Loader(yaml.SafeLoader):
    """Composes nodes. Text is typed by the core schema of YAML 1.2, so that `on`, `no` or 1:30 stay text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - filled below, by PyYAML's own means

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _TooMuchError(self.line + 1, f"is nested deeper than {_MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


for _kind, _first_letters in (("null", "~nN"), ("bool", "tTfF"), ("int", _NUMBER), ("float", _NUMBER), ("merge", "<")):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(_SCALARS[_kind].pattern + "$"), [*_first_letters])
_Loader.add_implicit_resolver(f"{_TAG}null", re.compile("$"), [""])


class _Reader:
    """Turns nodes into values; collects lines and problems on the way."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.lines: dict[KeyPath, int] = {}
        self.written: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self._room = _MAX_EXPANDED

    def read(self, node: yaml.Node, path: KeyPath, depth: int) -> Any:
        self._spend(node, depth)
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            values = []
            for position, item in enumerate(node.value):
                self.lines[(*path, position)] = item.start_mark.line + 1
                values.append(self.read(item, (*path, position), depth + 1))
            return values
        if isinstance(node, yaml.ScalarNode) and kind in _SCALARS:
            return self._scalar(node.value, kind, path)
        self._problem(path, node.start_mark.line + 1, "has a YAML tag (!), which a configuration does not need")
        return None

    def _spend(self, node: yaml.Node, depth: int) -> None:
        self._room -= 1 + len(node.value)
        if self._room < 0 or depth > _MAX_DEPTH:
            raise _TooMuchError(node.start_mark.line + 1, "grows beyond all use when its aliases are followed")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(path, line, "has a key that is not text")
            elif key_node.tag == f"{_TAG}merge":
                merged.append(value_node)
            elif key_node.value in own:
                key = (*path, key_node.value)
                self._problem(key, line, f"is given twice, first on line {self.lines[key]}")
            else:
                key = (*path, key_node.value)
                self.lines[key] = line
                own[key_node.value] = self.read(value_node, key, depth + 1)
        for value_node in merged:
            self._merge(own, value_node, path, depth)
        return own

    def _merge(self, own: dict[str, Any], node: yaml.Node, path: KeyPath, depth: int) -> None:
        self._spend(node, depth)
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self._merge(own, item, path, depth + 1)
        elif isinstance(node, yaml.MappingNode):
            missing = [pair for pair in node.value if not isinstance(pair[0], yaml.ScalarNode) or pair[0].value not in own]
            rest = yaml.MappingNode(node.tag, missing, node.start_mark, node.end_mark)
            own.update(self._mapping(rest, path, depth + 1))
        else:
            self._problem(path, node.start_mark.line + 1, "merges (<<) something that is not a mapping")

    def _scalar(self, text: str, kind: str, path: KeyPath) -> Any:
        if not _SCALARS[kind].fullmatch(text):
            # Only a tag written out (`!!int x`) can disagree with its text.
            self._problem(path, self.lines.get(path, 1), f"is tagged as {kind}, which it is not")
            return None
        match kind:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" if len(text) < _LONGEST_INTEGER:
                return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)
            case "float":
                return float(text)
        return self._text(text, path)

    def _text(self, text: str, path: KeyPath) -> str:
        result = substitute(text, self.environment)
        if result.from_environment:
            self.written[path] = text
        for fault in result.faults:
            self._problem(path, self.lines.get(path, 1), fault)
        if _SURROGATE.search(result.text):
            self._problem(path, self.lines.get(path, 1), "holds half of a surrogate pair, which is not text")
            return ""
        return result.text

    def _problem(self, path: KeyPath, line: int, message: str) -> None:
        self.problems.append(Problem(key_path(path), line, message))
