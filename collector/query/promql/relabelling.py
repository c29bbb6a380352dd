"""Series with labels that are made of others. Source: "Functions" of the documentation of Prometheus 3.

There a label may become as long as it will, doubled by every call around it; here there is a bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from collector.query.promql.matchers import pattern_of
from collector.query.promql.vectors import EvaluationError, Labels, Vector, labels_of, merged, within_bound

MOST_CHARACTERS: Final = 10_000
"""Of a label."""

_REFERENCE: Final = re.compile(r"\$(?:\$|\{(?P<braced>\w+)\}|(?P<plain>\w+))", re.ASCII)


def label_replaced(vector: Vector, label: str, replacement: str, source: str, pattern: str) -> Vector:
    """The series with a label made of another one where all of that fits a pattern; what it is made of nothing is taken away.

    Args:
        replacement: may name groups of the pattern, as `$1` or `${name}`.

    Raises:
        EvaluationError: two have the same labels by that, or they are too long.
    """
    compiled = pattern_of(pattern)

    def pieces(texts: Mapping[str, str]) -> Iterator[str]:
        found = compiled.match(texts.get(source, ""))
        return iter((texts.get(label, ""),)) if found is None else _filled(replacement, found)

    return _relabelled(vector, label, pieces)


def label_joined(vector: Vector, label: str, separator: str, sources: Sequence[str]) -> Vector:
    """The series with a label made of others, one after the other, with a separator between them.

    Raises:
        EvaluationError: as for `label_replaced`.
    """

    def pieces(texts: Mapping[str, str]) -> Iterator[str]:
        for number, source in enumerate(sources):
            yield separator if number else ""
            yield texts.get(source, "")

    return _relabelled(vector, label, pieces)


def _relabelled(vector: Vector, label: str, pieces: Callable[[Mapping[str, str]], Iterator[str]]) -> Vector:
    """The series with a label that is put together from what `pieces` gives for their labels."""
    changed = (_with(dict(labels), label, pieces) for labels in vector.labels)
    return merged(list(within_bound(changed)), vector)


def _with(texts: dict[str, str], label: str, pieces: Callable[[Mapping[str, str]], Iterator[str]]) -> Labels:
    return labels_of(texts | {label: _put_together(label, pieces(texts))})


def _put_together(label: str, pieces: Iterable[str]) -> str:
    text = ""
    for piece in pieces:
        text += piece
        if len(text) > MOST_CHARACTERS:
            raise EvaluationError(f"the label {label} has more than {MOST_CHARACTERS} characters")
    return text


def _filled(replacement: str, found: Any) -> Iterator[str]:
    """The pieces of a replacement, with what its references stand for."""
    at = 0
    for reference in _REFERENCE.finditer(replacement):
        yield replacement[at : reference.start()]
        yield _referred(reference, found)
        at = reference.end()
    yield replacement[at:]


def _referred(reference: re.Match[str], found: Any) -> str:
    """What a reference to a group stands for: nothing where there is no such group, or nothing fits it."""
    name = reference["braced"] or reference["plain"]
    if name is None:
        return "$"
    try:
        return found.group(int(name) if name.isdecimal() else name) or ""
    except (IndexError, KeyError):
        return ""
