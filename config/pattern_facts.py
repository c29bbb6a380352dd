"""What can be said of regular expressions without running them: which bytes they tell apart, and how short what they find can be.

An expression asks of a character only in which sets it is: a literal, a class, what `\\b` calls a word. Those that are in the
same sets are of one kind. In a text whose bytes are put in place of others of their kind, the same is found.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from typing import Final

_ASCII: Final = 128
_TOKEN: Final = re.compile(
    r"""\\(?P<escaped>.)
    | \[\^?(?P<members>\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*)\]
    | \((?:\?(?:P?<\w+>|[imsU-]*[:)]))?
    | \{\d+(?:,\d*)?\}
    | (?P<literal>[^.|)*+?^$])
    | .""",
    re.VERBOSE | re.DOTALL,
)
_MEMBER: Final = re.compile(r"\[:\^?(?P<name>[a-z]+):\]|(?P<first>\\.|.)(?:-(?P<last>\\.|[^\]]))?", re.DOTALL)
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}
_SETS: Final = {
    "d": string.digits,
    "w": f"{string.ascii_letters}{string.digits}_",
    "s": "\t\n\f\r ",
    "alnum": f"{string.ascii_letters}{string.digits}",
    "alpha": string.ascii_letters,
    "digit": string.digits,
    "lower": string.ascii_lowercase,
    "punct": string.punctuation,
    "space": "\t\n\v\f\r ",
    "upper": string.ascii_uppercase,
    "word": f"{string.ascii_letters}{string.digits}_",
    "xdigit": string.hexdigits,
}


class _Unknown(Exception):
    """An expression has something of which it is not known what it asks for."""


def byte_classes(patterns: Sequence[str]) -> bytes:
    """For each byte one of its kind, always the same of each: of 256 bytes.

    Each byte of characters beyond ASCII is of a kind of its own, and so is a line feed; and all where it is not known what is
    told apart.
    """
    try:
        sets = [each for pattern in patterns for each in _told_apart(pattern)]
    except _Unknown:
        return bytes(range(256))
    first: dict[tuple[bool, ...], int] = {}
    kinds = [first.setdefault((code == ord("\n"), *(code in each for each in sets)), code) for code in range(_ASCII)]
    return bytes([*kinds, *range(_ASCII, 256)])


def least_length(pattern: str) -> int:
    """What an expression finds has so many bytes, or more. 0 where that is not known."""
    # Of each group that is open the least lengths of its alternatives.
    groups, atom, is_repeated = [[0]], 0, False
    for token in _TOKEN.finditer(pattern):
        text = token[0]
        if text == "|":
            groups[-1].append(0)
        elif text[0] == "(":
            # Otherwise it only says how what follows is meant.
            if not text.endswith(")"):
                groups.append([0])
        elif token["literal"] is None and token["members"] is None and text[0] in "*+?{":
            # Behind another one, a question mark asks for as little as possible.
            if not is_repeated:
                times = int(text[1:-1].partition(",")[0]) if text[0] == "{" else int(text == "+")
                groups[-1][-1] += (times - 1) * atom
            is_repeated = True
        else:
            try:
                atom = min(groups.pop()) if text == ")" else _least_length(token)
            except _Unknown:
                return 0
            groups[-1][-1] += atom
            is_repeated = False
    return min(groups[0])


def _least_length(token: re.Match[str]) -> int:
    """The same of what is no group."""
    if token["escaped"] is not None:
        _escaped(token["escaped"])
        return int(token["escaped"] not in "bB")
    return int(token[0] not in "^$")


def _told_apart(pattern: str) -> Iterator[frozenset[int]]:
    """Sets of codes from which any that the expression asks for can be put together. More of them do no harm."""
    if not pattern.isascii():
        # Beyond ASCII there are characters that are those of ASCII where case does not count.
        raise _Unknown
    for token in _TOKEN.finditer(pattern):
        if token["escaped"] is not None:
            yield from _either_case(_escaped(token["escaped"]))
        elif token["members"] is not None:
            # Each member for itself, since what is meant may be all but one of them.
            for member in _members(token["members"]):
                yield from _either_case(member)
        elif token["literal"] is not None:
            yield from _either_case(token["literal"])


def _either_case(characters: str) -> Iterator[frozenset[int]]:
    """Characters, and those that they are as well where case does not count."""
    yield frozenset(map(ord, characters))
    yield frozenset(map(ord, characters.swapcase()))


def _escaped(character: str) -> str:
    """The characters for which an escaped one stands."""
    if character in "bB":
        return _SETS["w"]
    if character.lower() in ("d", "w", "s"):
        return _SETS[character.lower()]
    if character in _CONTROLS:
        return _CONTROLS[character]
    if character.isalnum():
        raise _Unknown
    return character


def _members(members: str) -> Iterator[str]:
    """The characters of each member of a class."""
    for member in _MEMBER.finditer(members):
        name, first, last = member["name"], member["first"], member["last"]
        if name is not None:
            if name not in _SETS:
                raise _Unknown
            yield _SETS[name]
        elif last is None:
            yield _escaped(first[1]) if first.startswith("\\") else first
        elif first.startswith("\\") or last.startswith("\\"):
            raise _Unknown
        else:
            yield "".join(map(chr, range(ord(first), ord(last) + 1)))
