"""Who callers are: the principals of a `tokens` extension, by token, password or client certificate.

Of tokens only hashes are kept. They are long and random, so that plain SHA-256 is enough; passwords that people think up do not
belong here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from collector.reloading import Reloading
from config.access import EVERY_WORKSPACE, HASHED, Token, TokensExtension, check_token

_log = structlog.get_logger(__name__)

_LONGEST_HEADER: Final = 4096
_LONGEST_FILE: Final = 4096
_REPLACING_S: Final = 1.0
"""So long at most a file may be gone, empty or cut off while another token is being written to it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was recognised.

    Attributes:
        name: for messages.
        role: `ingest`, `read` or `admin`; the last may do what the others may.
        workspaces: those that it may use; None for every one.
    """

    name: str
    role: str
    workspaces: frozenset[str] | None

    def may(self, role: str) -> bool:
        return self.role in (role, "admin")

    def sees(self, workspace: str) -> bool:
        return self.workspaces is None or workspace in self.workspaces


@dataclass(frozen=True, slots=True)
class _Known:
    """Principals by what they show."""

    by_digest: dict[bytes, tuple[bytes, Principal]]
    by_certificate: dict[str, Principal]


class Tokens:
    """The principals of one extension; files of tokens are read again when they change.

    Args:
        settings: which principals.
        key: where they stand in the configuration, for messages.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, settings: TokensExtension, key: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._key = key
        self._last: dict[str, bytes] = {}
        """Key of a file in the configuration → digest of the token that it held when it was read last."""
        files = [token.token_file for token in settings.tokens if token.token_file]
        self._known = Reloading(files, settings.reload_interval.seconds, self._read, monotonic)

    def by_header(self, authorization: str) -> Principal | None:
        """Whose the value of an `Authorization` header is; None for nobody's.

        Bearer tokens, and basic authentication with the principal's name and its token.
        """
        if len(authorization) > _LONGEST_HEADER:
            return None
        scheme, _, credentials = authorization.partition(" ")
        match scheme.lower():
            case "bearer":
                return self._by_token(credentials.strip().encode(errors="surrogateescape"))
            case "basic":
                try:
                    name, _, token = base64.b64decode(credentials.strip(), validate=True).partition(b":")
                except ValueError:
                    return None
                principal = self._by_token(token)
                return principal if principal is not None and principal.name.encode() == name else None
        return None

    def by_certificate(self, names: Iterable[str]) -> Principal | None:
        """Whose certificate has one of these names, which an authority has confirmed; None for nobody's."""
        known = self._known.current().by_certificate
        return next((known[name] for name in names if name in known), None)

    def _by_token(self, token: bytes) -> Principal | None:
        # The dictionary compares hashes of hashes, with a key that changes with each process: its timing tells nothing about a
        # token. What it finds is then compared in constant time.
        digest = hashlib.sha256(token).digest()
        found = self._known.current().by_digest.get(digest)
        return found[1] if found is not None and hmac.compare_digest(found[0], digest) else None

    def _read(self) -> _Known:
        known = _Known({}, {})
        owners: defaultdict[bytes, list[Principal]] = defaultdict(list)
        for position, token in enumerate(self._settings.tokens):
            workspaces = None if EVERY_WORKSPACE in token.workspaces else frozenset(token.workspaces)
            principal = Principal(token.name, token.role, workspaces)
            if token.certificate:
                known.by_certificate[token.certificate] = principal
            for digest in self._digests(token, f"{self._key}.tokens[{position}]"):
                owners[digest].append(principal)
        for digest, principals in owners.items():
            if len({principal.name for principal in principals}) == 1:
                known.by_digest[digest] = (digest, principals[0])
            else:
                names = [principal.name for principal in principals]
                _log.error("token_not_used", key=self._key, names=names, reason="all of them have the same token")
        return known

    def _digests(self, token: Token, key: str) -> Iterable[bytes]:
        if token.token is not None:
            yield _digest(token.token.get_secret_value())
        if token.token_file and (digest := self._in_file(token.token_file, token.name, f"{key}.token_file")) is not None:
            yield digest

    def _in_file(self, file: str, name: str, key: str) -> bytes | None:
        """The digest of the token in a file; where it has none any more, that of the one before, once."""
        text, fault = read_token(file)
        if not fault:
            digest = self._last[key] = _digest(text)
            return digest
        log = _log.bind(key=key, file=file, name=name, reason=fault)
        before = self._last.pop(key, None)
        if before is None:
            log.error("token_not_used")
        else:
            log.warning("token_missing", consequence="the one before it counts for a moment, as the file may be being replaced")
            self._known.make_again(_REPLACING_S)
        return before


def _digest(token: str) -> bytes:
    if token.startswith(HASHED):
        return bytes.fromhex(token.removeprefix(HASHED))
    return hashlib.sha256(token.encode()).digest()


def read_token(file: str) -> tuple[str, str]:
    """The token in a file, and what is wrong with that; empty where nothing is."""
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(_LONGEST_FILE).decode("ascii").strip()
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        return "", "must be of visible ASCII characters, since it travels in a header"
    return text, check_token(text)
