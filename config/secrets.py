"""Secrets by name: what users may refer to, and never see."""

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr, field_validator, model_validator

from config.access import EVERY_WORKSPACE, Workspaces
from config.destinations import Destinations
from config.section import Section

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be 1 to 64 letters, digits, dots, underscores and hyphens")
    return text


SecretName = Annotated[str, AfterValidator(_name)]
"""What a secret is called: 1 to 64 ASCII letters, digits, dots, underscores and hyphens."""


class Secret(Section):
    """A text that is sent, or signed with, for those who name it. One of `value` and `file` is needed."""

    value: SecretStr | None = None
    """The secret, from the environment: `${env:NAME}`."""
    file: str = ""
    """A file that holds the secret; it is read whenever the secret is used, and white space around it does not count."""
    workspaces: Workspaces = ("default",)
    """The workspaces that may name it; `"*"` is every one."""
    destinations: Destinations = ()
    """Where it may be sent, by host names and globs with or without ports. Empty is anywhere that can be sent to at all, so that
    whoever may name the secret can have it sent to a place of theirs, and read it."""

    @field_validator("value")
    @classmethod
    def _not_empty(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().strip():
            raise ValueError("must not be empty")
        return value

    @model_validator(mode="after")
    def _from_one_place(self) -> "Secret":
        if (self.value is None) != bool(self.file):
            raise ValueError("must have a value or a file, and not both")
        return self

    def may_be_named_in(self, workspace: str) -> bool:
        """Whether objects of a workspace may refer to it."""
        return self.workspaces == (EVERY_WORKSPACE,) or workspace in self.workspaces
