"""Secrets that objects of workspaces refer to by name. Their values are read when they are used, and are kept nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from collector.egress.destination import Destination
from config.destinations import AllowedDestination
from config.problems import alternatives
from config.secrets import Secret

MASK = "***"


class SecretError(Exception):
    """A secret cannot be used; the message says why, and has nothing of it."""


class NamedSecrets:
    """The secrets of a configuration.

    Args:
        secrets: by their names.
        setting: the key where they stand.
    """

    def __init__(self, secrets: Mapping[str, Secret], setting: str) -> None:
        self._secrets = secrets
        self._setting = setting

    def check(self, name: str, workspace: str) -> Secret:
        """The secret of a name, as far as the workspace may use it.

        Raises:
            SecretError: it may not, which is told like there being none.
        """
        secret = self._secrets.get(name)
        if secret is not None and secret.may_be_named_in(workspace):
            return secret
        known = [each for each, secret in self._secrets.items() if secret.may_be_named_in(workspace)]
        hint = alternatives(name, known, "there are") or f"the operator lists secrets in {self._setting}"
        raise SecretError(f"{name} is no secret that this workspace may use; {hint}")

    def read(self, name: str, workspace: str) -> str:
        """What a secret is now.

        Raises:
            SecretError: the workspace may not use it, or its file cannot be read.
        """
        secret = self.check(name, workspace)
        if secret.value is not None:
            return secret.value.get_secret_value().strip()
        try:
            text = Path(secret.file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SecretError(f"the file of the secret {name} cannot be read: {type(error).__name__}") from None
        if not text:
            raise SecretError(f"the file of the secret {name} is empty")
        return text

    def check_destination(self, name: str, workspace: str, destination: Destination) -> None:
        """Raise SecretError unless a secret may be sent there."""
        rules = [AllowedDestination.parse(text) for text in self.check(name, workspace).destinations]
        address = destination.address
        if rules and not any(
            rule.allows_name(destination.host, destination.port)
            or (address is not None and rule.allows_address(address, destination.port))
            for rule in rules
        ):
            raise SecretError(f"the secret {name} may not be sent to {destination}")
