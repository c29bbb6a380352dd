"""What is wrong with a configuration file, in words for the person who edits it."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys, and positions in lists."""

_LONGEST_QUOTE = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend.

    Attributes:
        path: the key, such as `receivers.otlp.protocols.grpc.endpoint`; empty when the file as a whole is meant.
        line: the line of the key, from 1; 0 when there is none.
        message: what is wrong, with the value found unless it might be a secret, and what is allowed.
        hint: what to do; may be empty.
        is_of_all: whether all that stands below the key is to go, so that what is wrong with it does not matter.
    """

    path: str
    line: int
    message: str
    hint: str = ""
    is_of_all: bool = False

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        return f"{text}; {self.hint}" if self.hint else text


class ConfigError(Exception):
    """A configuration file cannot be used.

    Attributes:
        problems: everything that is wrong, in the order of the file.
        source: the name of the file.
    """

    def __init__(self, problems: tuple[Problem, ...], source: str) -> None:
        super().__init__(problems, source)
        self.problems = problems
        self.source = source

    def __str__(self) -> str:
        return render_problems(self)


def render_problems(error: ConfigError) -> str:
    """One line for each problem, as `render_problem` has it."""
    return "\n".join(render_problem(problem, error.source) for problem in error.problems)


def render_problem(problem: Problem, source: str) -> str:
    """`file:line: key: message; hint`, as editors and terminals link it."""
    return f"{source}:{problem.line}: {problem}" if problem.line else f"{source}: {problem}"


def key_path(path: KeyPath) -> str:
    """Write a path as `exporters.clickhouse.endpoint[1]`, on one line whatever the keys hold."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{printable(key)}"
    return text.removeprefix(".")


def printable(text: str) -> str:
    """Shorten a text from the file to what fits into a line of a message."""
    clean = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return clean if len(clean) <= _LONGEST_QUOTE else f"{clean[: _LONGEST_QUOTE - 1]}…"


def nearest(name: str, known: Iterable[str]) -> str:
    """Ask whether the nearest of the known names was meant; empty when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def alternatives(name: str, known: Iterable[str], what: str) -> str:
    """Name the nearest of the known names, or all of them when none is near."""
    names = list(known)
    return nearest(name, names) or (f"{what}: {', '.join(names)}" if names else "")
