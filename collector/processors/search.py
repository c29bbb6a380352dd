"""Searches many texts for the same patterns, and puts something else in the place of what is found. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from config.pattern_facts import byte_classes
from config.patterns import compile_line_pattern, compile_pattern
from proto.attribute_lists import run_places
from proto.edit import Mask
from proto.lines import Lines, as_lines
from proto.texts import Texts, distinct_texts, text_at, texts_of

Make = bytes | Callable[[Any], bytes]
"""What comes in the place of a match, or what makes it of the match."""


class Substituted(NamedTuple):
    """Texts that are others now: their numbers, int64, and what they are."""

    numbers: NDArray[np.int64]
    lines: Lines


class Search:
    """Patterns for which many texts are searched at once, as lines one below the other, as far as that comes to the same.

    Lines that a pattern cannot tell apart are searched once: those whose bytes are of the same kinds, such as numbers of as many
    digits.

    Args:
        patterns: regular expressions.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._alone = [compile_pattern(pattern) for pattern in patterns]
        self._in_lines = [compile_line_pattern(pattern) for pattern in patterns]
        self._kinds = np.frombuffer(byte_classes(patterns), np.uint8)

    def found(self, texts: Texts) -> Mask:
        """In which of the texts any of the patterns finds something, bool, shape (texts,)."""
        found = np.zeros(len(texts.offsets), np.bool_)
        if not self._alone:
            return found
        lines, apart = as_lines(texts)
        shapes = _Shapes(lines, self._kinds)
        for pattern in self._in_lines:
            spans = shapes.spans(pattern)
            if spans is None:
                apart[:] = True
                break
            found[_rows(lines, spans)] = True
        for number in np.flatnonzero(apart).tolist():
            found[number] = any(pattern.search(text_at(texts, number)) for pattern in self._alone)
        return found

    def substitute(self, texts: Texts, make: Make) -> Substituted:
        """Let one pattern after the other replace what it finds."""
        before, apart = as_lines(texts)
        lines, shapes = before, None
        touched = np.zeros(len(apart), np.bool_)
        for pattern in self._in_lines:
            shapes = shapes or _Shapes(lines, self._kinds)
            spans = shapes.spans(pattern)
            if spans is None:
                apart[:] = True
                break
            if len(spans):
                touched[_rows(lines, spans)] = True
                lines, shapes = lines.replaced(spans, _replacements(pattern, lines, spans, make)), None
        return _joined(
            _that_differ(np.flatnonzero(touched & ~apart), before, lines),
            self._one_by_one(np.flatnonzero(apart).tolist(), texts, make),
        )

    def _one_by_one(self, numbers: Iterable[int], texts: Texts, make: Make) -> Substituted:
        """The same for texts of which each is searched alone."""
        made = {}
        for number in numbers:
            text = text_at(texts, number)
            for pattern in self._alone:
                text = substitute(pattern, text, make)
            if text != text_at(texts, number):
                made[number] = text
        return Substituted(np.array(list(made), np.int64), as_lines(texts_of(list(made.values())))[0])


class _Shapes:
    """Lines, each of whose bytes stands for all of its kind; lines that are the same then are one.

    Args:
        lines: as they are.
        kinds: for each byte the one that stands for it, uint8, shape (256,).
    """

    def __init__(self, lines: Lines, kinds: NDArray[np.uint8]) -> None:
        self._lines = lines
        data = kinds[lines.data]
        data.flags.writeable = False
        self._codes, shapes = distinct_texts(Texts(data, lines.starts[:-1], lines.lengths))
        self._shapes = as_lines(shapes)[0]

    def spans(self, pattern: Any) -> NDArray[np.int64] | None:
        """Where a pattern finds something in the lines, shape (matches, 2); None where that says nothing of texts alone."""
        if pattern is None:
            return None
        found = [match.span() for match in pattern.finditer(self._shapes.data.tobytes())]
        spans = np.array(found, np.int64).reshape(-1, 2)
        if (spans[:, 0] == spans[:, 1]).any():
            # For what is empty Go has rules of its own.
            return None
        counts = np.bincount(_rows(self._shapes, spans), minlength=len(self._shapes.starts) - 1)
        firsts = np.cumsum(counts) - counts
        moved = np.repeat(self._lines.starts[:-1] - self._shapes.starts[self._codes], counts[self._codes])
        moved_spans: NDArray[np.int64] = spans[run_places(firsts[self._codes], counts[self._codes])] + moved[:, None]
        return moved_spans


def substitute(pattern: Any, text: bytes, make: Make) -> bytes:
    """The text with something else in place of each match of a compiled pattern; the same text where there is none."""
    parts: list[bytes] = []
    end = 0
    for match in pattern.finditer(text):
        start, behind = match.span()
        # As in Go, an empty match right behind another is none, nor is one inside a character.
        if behind == start and ((parts and start == end) or _is_inside_a_character(text, start)):
            continue
        parts += [text[end:start], make if isinstance(make, bytes) else make(match)]
        end = behind
    return b"".join([*parts, text[end:]]) if parts else text


def _is_inside_a_character(text: bytes, position: int) -> bool:
    return position < len(text) and text[position] & 0xC0 == 0x80


def _replacements(pattern: Any, lines: Lines, spans: NDArray[np.int64], make: Make) -> Texts:
    """What comes in the places of matches."""
    if isinstance(make, bytes):
        zeros = np.zeros(len(spans), np.int64)
        return Texts(np.frombuffer(make, np.uint8), zeros, zeros + len(make))
    return texts_of([make(match) for match in pattern.finditer(lines.data.tobytes())])


def _rows(lines: Lines, spans: NDArray[np.int64]) -> NDArray[np.int64]:
    """In which line each span is."""
    rows: NDArray[np.int64] = np.searchsorted(lines.starts, spans[:, 0], side="right") - 1
    return rows


def _that_differ(numbers: NDArray[np.int64], before: Lines, after: Lines) -> Substituted:
    """Of these lines those that are not what they were."""
    lengths = after.lengths
    same_length = numbers[before.lengths[numbers] == lengths[numbers]]
    same = [number for number in same_length.tolist() if before.text(number) == after.text(number)]
    if same:
        numbers = np.setdiff1d(numbers, same)
    return Substituted(numbers, as_lines(Texts(after.data, after.starts[numbers], lengths[numbers]))[0])


def _joined(first: Substituted, second: Substituted) -> Substituted:
    data = np.concatenate([first.lines.data, second.lines.data])
    starts = np.concatenate([first.lines.starts[:-1], len(first.lines.data) + second.lines.starts])
    return Substituted(np.concatenate([first.numbers, second.numbers]), Lines(data, starts))
