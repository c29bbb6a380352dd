"""Searches many texts for the same patterns, and puts something else in the place of what is found. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from config.pattern_facts import byte_classes
from config.patterns import compile_line_pattern, compile_pattern
from proto.edit import Mask
from proto.lines import NO_LINES, Lines, as_lines
from proto.shapes import Parts, put_in_parts, shapes_of
from proto.spans import ABSENT
from proto.texts import Texts, pick, text_at, texts_of

Make = bytes | Callable[[Any], bytes]
"""What comes in the place of a match, or what makes it of the match."""


class Substituted(NamedTuple):
    """Texts that are others now: their numbers, int64, and what they are."""

    numbers: NDArray[np.int64]
    lines: Lines

    def with_more(self, more: Substituted) -> Substituted:
        """These texts and others."""
        return Substituted(np.concatenate([self.numbers, more.numbers]), self.lines.with_more(more.lines))


NOTHING = Substituted(np.zeros(0, np.int64), NO_LINES)


class Search:
    """Patterns for which many texts are searched at once, as lines one below the other, as far as that comes to the same.

    Texts that a pattern cannot tell apart are searched once: those whose bytes are of the same kinds, such as numbers of as many
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
        if not self._alone:
            return np.zeros(len(texts.offsets), np.bool_)
        shapes = shapes_of(texts, self._kinds)
        apart = shapes.codes == ABSENT
        are_found = np.zeros(len(shapes.lines.lengths), np.bool_)
        for pattern in self._in_lines:
            parts = _find(pattern, shapes.lines)
            if parts is None:
                apart[:] = True
                break
            are_found |= parts.counts > 0
        found = _of_shapes(are_found, shapes.codes)
        for number in np.flatnonzero(apart).tolist():
            found[number] = any(pattern.search(text_at(texts, number)) for pattern in self._alone)
        return found

    def substitute(self, texts: Texts, make: Make) -> Substituted:
        """Let one pattern after the other replace what it finds."""
        shapes = shapes_of(texts, self._kinds)
        apart = np.flatnonzero(shapes.codes == ABSENT)
        # Of texts in which nothing was found yet; what became of the others has shapes of its own.
        codes, changed, after = shapes.codes.copy(), NOTHING, None
        for pattern in self._in_lines:
            if len(changed.numbers):
                after = after or shapes_of(changed.lines.texts, self._kinds)
                parts = _find(pattern, after.lines)
                if parts is None or (after.codes == ABSENT).any():
                    return self._one_by_one(range(len(codes)), texts, make)
                if len(parts.spans):
                    lines = _replace(pattern, changed.lines.texts, after.codes, parts, make)
                    changed, after = Substituted(changed.numbers, lines), None
            parts = _find(pattern, shapes.lines)
            if parts is None:
                return self._one_by_one(range(len(codes)), texts, make)
            rows = np.flatnonzero(_of_shapes(parts.counts > 0, codes))
            if len(rows):
                lines = _replace(pattern, pick(texts, rows), codes[rows], parts, make)
                changed, after = changed.with_more(Substituted(rows, lines)), None
                codes[rows] = ABSENT
        changed = _that_differ(changed, texts)
        return changed.with_more(self._one_by_one(apart.tolist(), texts, make)) if len(apart) else changed

    def _one_by_one(self, numbers: Iterable[int], texts: Texts, make: Make) -> Substituted:
        """The same for texts of which each is searched alone."""
        made = {}
        for number in numbers:
            text = text_at(texts, number)
            for pattern in self._alone:
                text = substitute(pattern, text, make)
            if text != text_at(texts, number):
                made[number] = text
        return Substituted(np.array(list(made), np.int64), as_lines(texts_of(list(made.values()))))


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


def _find(pattern: Any, shapes: Lines) -> Parts | None:
    """What a pattern finds in shapes; None where that says nothing of texts alone."""
    if pattern is None:
        return None
    spans = np.array([match.span() for match in pattern.finditer(shapes.data.tobytes())], np.int64).reshape(-1, 2)
    if (spans[:, 0] == spans[:, 1]).any():
        # For what is empty Go has rules of its own.
        return None
    rows = np.searchsorted(shapes.starts, spans[:, 0], side="right") - 1
    counts = np.bincount(rows, minlength=len(shapes.lengths))
    return Parts(counts, np.cumsum(counts) - counts, spans - shapes.starts[rows, None])


def _of_shapes(are: Mask, codes: NDArray[np.int32]) -> Mask:
    """What is so of shapes, for texts with these codes; not so for those that have none."""
    return np.append(are, False)[codes]


def _replace(pattern: Any, texts: Texts, codes: NDArray[np.int32], parts: Parts, make: Make) -> Lines:
    """Texts with something else in the parts that a pattern has found in their shapes."""
    if isinstance(make, bytes):
        replacements = texts_of([make])
    else:
        replacements = texts_of([make(match) for match in pattern.finditer(as_lines(texts).data.tobytes())])
    return put_in_parts(texts, codes, parts, replacements)


def _that_differ(changed: Substituted, texts: Texts) -> Substituted:
    """Of texts that are others now those that are not what they were."""
    differ = changed.lines.differ_from(pick(texts, changed.numbers))
    if differ.all():
        return changed
    return Substituted(changed.numbers[differ], as_lines(pick(changed.lines.texts, differ)))
