"""What is taken from attributes by what they say: the settings of the processor `redaction`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, SecretStr, model_validator

from config.patterns import Pattern
from config.section import Section

_LEAST_KEY_BYTES = 32


class RedactionProcessor(Section):
    """Removes attributes whose keys are not allowed, and masks what must not be seen in the values of others."""

    allow_all_keys: bool = False
    """Remove no attribute. Without it all attributes are removed that `allowed_keys` does not name."""
    allowed_keys: tuple[str, ...] = ()
    """Keys of attributes that are not removed; with `allow_all_keys` they mean nothing."""
    ignored_keys: tuple[str, ...] = ()
    """Keys of attributes that stay as they are, whatever else is said of them."""
    ignored_key_patterns: tuple[Pattern, ...] = ()
    """The same by regular expressions, which may match anywhere in the key."""
    redact_all_types: bool = False
    """Look at numbers, booleans, bytes, arrays and key-value lists as well, by their texts; what is masked becomes a text."""
    blocked_key_patterns: tuple[Pattern, ...] = ()
    """Regular expressions for keys; the values of these attributes are masked as a whole."""
    blocked_values: tuple[Pattern, ...] = ()
    """Regular expressions for what is masked in values, each in what those before it have left."""
    allowed_values: tuple[Pattern, ...] = ()
    """Regular expressions for values in which nothing is masked."""
    hash_function: Annotated[
        Literal["", "md5", "sha1", "sha3", "hmac-sha256", "hmac-sha512"],
        BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
    ] = ""
    """Put a hash, in hexadecimal, in the place of what is masked; `****` without it. `sha3` is SHA3-256."""
    hmac_key: SecretStr = SecretStr("")
    """The secret of `hmac-sha256` and `hmac-sha512`, at least 32 bytes."""
    summary: Literal["debug", "info", "silent"] = "silent"
    """`info` adds attributes that count what was done, such as `redaction.masked.count`; `debug` also such that name the keys."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "url_sanitizer": "use blocked_values, or actions of the attributes processor",
        "db_sanitizer": "use blocked_values, or actions of the attributes processor",
    }

    @model_validator(mode="after")
    def _keyed(self) -> Self:
        keyed = self.hash_function.startswith("hmac-")
        length = len(self.hmac_key.get_secret_value().encode())
        if keyed and length < _LEAST_KEY_BYTES:
            raise ValueError(f"{self.hash_function} needs hmac_key of at least {_LEAST_KEY_BYTES} bytes")
        if length and not keyed:
            raise ValueError("hmac_key needs hash_function: hmac-sha256 or hmac-sha512")
        return self
