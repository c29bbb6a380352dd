"""What the processor `redaction` puts in the place of texts, and of parts of them. Pure."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, NamedTuple

import numpy as np

from collector.processors.search import Search, Substituted
from config.pattern_facts import least_length
from config.redaction import RedactionProcessor
from proto.edit import Mask
from proto.lines import as_lines
from proto.texts import Texts, pick, text_at, texts_of

MASK: Final = b"****"

_HASHES: Final = {"md5": "md5", "sha1": "sha1", "sha3": "sha3_256", "hmac-sha256": "sha256", "hmac-sha512": "sha512"}


class Masked(NamedTuple):
    """Which texts are let through, bool, shape (texts,); and those that are others now."""

    allowed: Mask
    changed: Substituted


class Masking:
    """The patterns for values.

    Attributes:
        looks_at_values: whether there are any.
        least_length: texts with fewer bytes stay as they are, if their keys are not blocked.
    """

    def __init__(self, settings: RedactionProcessor) -> None:
        self._algorithm = _HASHES.get(settings.hash_function)
        self._secret = settings.hmac_key.get_secret_value().encode()
        self._allowed = Search(settings.allowed_values)
        self._blocked = Search(settings.blocked_values)
        patterns = (*settings.allowed_values, *settings.blocked_values)
        self.looks_at_values = bool(patterns)
        self.least_length = min(map(least_length, patterns), default=0)

    def mask(self, texts: Texts, *, whole: bool) -> Masked:
        """What becomes of values.

        Args:
            whole: their keys are blocked.
        """
        allowed = self._allowed.found(texts)
        rest = np.flatnonzero(~allowed)
        others = pick(texts, rest)
        if whole:
            return Masked(allowed, Substituted(rest, as_lines(self._all_masked(others))))
        mask = MASK if self._algorithm is None else lambda match: self._masked(match[0])
        numbers, lines = self._blocked.substitute(others, mask)
        return Masked(allowed, Substituted(rest[numbers], lines))

    def _all_masked(self, texts: Texts) -> Texts:
        if self._algorithm is None:
            # The same text for all of them.
            return pick(texts_of([MASK]), np.zeros(len(texts.offsets), np.int64))
        return texts_of([self._masked(text_at(texts, row)) for row in range(len(texts.offsets))])

    def _masked(self, text: bytes) -> bytes:
        if self._algorithm is None:
            return MASK
        if self._secret:
            return hmac.digest(self._secret, text, self._algorithm).hex().encode()
        return hashlib.new(self._algorithm, text, usedforsecurity=False).hexdigest().encode()
