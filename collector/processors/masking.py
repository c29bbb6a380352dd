"""What the processor `redaction` puts in the place of texts, and of parts of them. Pure."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from collector.processors.search import Search, substitute
from config.patterns import compile_pattern
from config.redaction import RedactionProcessor

MASK: Final = b"****"

_HASHES: Final = {"md5": "md5", "sha1": "sha1", "sha3": "sha3_256", "hmac-sha256": "sha256", "hmac-sha512": "sha512"}


class Masking:
    """The patterns for values.

    Attributes:
        looks_at_values: whether there are any.
        search: finds the texts that they may match.
    """

    def __init__(self, settings: RedactionProcessor) -> None:
        self._algorithm = _HASHES.get(settings.hash_function)
        self._secret = settings.hmac_key.get_secret_value().encode()
        self._allowed = [compile_pattern(pattern) for pattern in settings.allowed_values]
        self._blocked = [compile_pattern(pattern) for pattern in settings.blocked_values]
        patterns = (*settings.allowed_values, *settings.blocked_values)
        self.looks_at_values = bool(patterns)
        self.search = Search(patterns)

    def outcome(self, text: bytes, whole: bool) -> bytes | None:
        """What becomes of a value: the same text where nothing in it is blocked, None where it is let through.

        Args:
            whole: its key is blocked.
        """
        if any(pattern.search(text) for pattern in self._allowed):
            return None
        if whole:
            return self._mask(text)
        for pattern in self._blocked:
            text = substitute(pattern, text, lambda match: self._mask(match[0]))
        return text

    def _mask(self, text: bytes) -> bytes:
        if self._algorithm is None:
            return MASK
        if self._secret:
            return hmac.digest(self._secret, text, self._algorithm).hex().encode()
        return hashlib.new(self._algorithm, text, usedforsecurity=False).hexdigest().encode()
