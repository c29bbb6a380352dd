"""What of a configuration may be shown: nothing that is, or may hold, a secret."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

MASK = "***"

_SECRET_KEY = re.compile(r"pass|token|secret|credential|auth|api_?key|connection_params|^headers$", re.IGNORECASE)
_USER_IN_URL = re.compile(r"^(\w+://)?.*@", re.DOTALL)
_PARAMETERS_IN_URL = re.compile(r"(://[^?]*)\?.*", re.DOTALL)
_PUBLIC = frozenset({"auth", "tokens", "token_file"})
"""Keys that sound like secrets, and hold names of extensions, lists of principals, and paths."""


def is_secret(key: object) -> bool:
    """Whether a secret may stand under a key, or near it: then nothing that the file says there is repeated."""
    return bool(_SECRET_KEY.search(str(key)))


def without_credentials(text: str) -> str:
    """A text that may be a URL, without its user and its parameters."""
    return _PARAMETERS_IN_URL.sub(rf"\1?{MASK}", _USER_IN_URL.sub(rf"\1{MASK}@", text))


def masked(section: BaseModel) -> dict[str, Any]:
    """A checked section with all its defaults, as JSON has it, and with MASK for what is or may be a secret."""
    document: dict[str, Any] = _masked(section.model_dump(mode="json"), hidden=False)
    return document


def _masked(value: Any, *, hidden: bool) -> Any:
    match value:
        case Mapping():
            return {key: _masked(item, hidden=hidden or _hides(key)) for key, item in value.items()}
        case list():
            return [_masked(item, hidden=hidden) for item in value]
        case str() if value and set(value) != {"*"}:
            return MASK if hidden else without_credentials(value)
        case str() | None | bool():
            return value
    return MASK if hidden else value


def _hides(key: str) -> bool:
    return key.partition("/")[0] not in _PUBLIC and is_secret(key)
