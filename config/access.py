"""Who may send and read spans, and in which workspace they are: tokens, and what listeners say about access."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from config.section import Section
from config.values import Count, Duration

EVERY_WORKSPACE = "*"
HASHED = "sha256:"
"""What a token begins with that is given as its hash."""

_WORKSPACE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_SHORTEST_TOKEN = 16
_LONGEST_TOKEN = 1024


def is_workspace_name(text: str) -> bool:
    """Whether a text can be the name of a workspace: 1 to 64 ASCII letters, digits, dots, underscores and hyphens."""
    return _WORKSPACE.fullmatch(text) is not None


def check_token(text: str) -> str:
    """What is wrong with a token, in clear or as `sha256:` and 64 hexadecimal digits; empty when it can be used."""
    if text.startswith(HASHED):
        return "" if _DIGEST.fullmatch(text.removeprefix(HASHED)) else f"must have 64 hexadecimal digits after {HASHED}"
    if not _SHORTEST_TOKEN <= len(text) <= _LONGEST_TOKEN:
        return f"must have {_SHORTEST_TOKEN} to {_LONGEST_TOKEN} characters, such as `openssl rand -hex 32` prints"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "must be of visible ASCII characters, since it travels in a header"
    return ""


def _name(text: str) -> str:
    if not is_workspace_name(text):
        raise ValueError("must be 1 to 64 letters, digits, dots, underscores and hyphens")
    return text


def _workspace(text: str) -> str:
    if not is_workspace_name(text):
        raise ValueError("must be the name of a workspace: 1 to 64 letters, digits, dots, underscores and hyphens")
    return text


def _workspace_or_every(text: str) -> str:
    return text if text == EVERY_WORKSPACE else _workspace(text)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _every_one_alone(workspaces: tuple[str, ...]) -> tuple[str, ...]:
    if EVERY_WORKSPACE in workspaces and len(workspaces) > 1:
        raise ValueError(f'must be "{EVERY_WORKSPACE}" alone, or names')
    return workspaces


Workspaces = Annotated[
    tuple[Annotated[str, AfterValidator(_workspace_or_every)], ...],
    Field(min_length=1),
    AfterValidator(_every_one_alone),
    BeforeValidator(_as_list, json_schema_input_type=str | list[str]),
]
"""Names of workspaces, or `"*"` for every one; a single one may stand without a list."""


class Auth(Section):
    """Who may use a listener (receiver contract NET-08)."""

    authenticator: Annotated[str, Field(min_length=1)]
    """The id of the `tokens` extension that knows who may."""

    reference_only: ClassVar[Mapping[str, str]] = {"request_params": "send the token in a header: logs show parameters of URLs"}


class Token(Section):
    """One caller: what it shows, and what it may do. At least one of `token`, `token_file` and `certificate` is needed."""

    name: Annotated[str, AfterValidator(_name)]
    """What the caller is called in messages, and its user name in basic authentication; 1 to 64 letters, digits, dots,
    underscores and hyphens."""
    token: SecretStr | None = None
    """The token as `sha256:` and the 64 digits of its SHA-256, or in clear from the environment: `${env:NAME}`."""
    token_file: str = ""
    """A file that holds the token, in clear or as `sha256:`; it is read again when it changes."""
    certificate: str = ""
    """The common name, or one of the alternative names, of a client certificate; needs `client_ca_file` at the listener."""
    role: Literal["ingest", "read", "admin"]
    """`ingest` may send spans, `read` may read them, `admin` may do all."""
    workspaces: Workspaces = ("default",)
    """The workspaces that it may use; `"*"` is every one."""

    @field_validator("token")
    @classmethod
    def _usable(cls, token: SecretStr | None) -> SecretStr | None:
        fault = check_token(token.get_secret_value()) if token is not None else ""
        if fault:
            raise ValueError(fault)
        return token

    @model_validator(mode="after")
    def _shows_something(self) -> "Token":
        if self.token is None and not self.token_file and not self.certificate:
            raise ValueError("must have a token, a token_file or a certificate")
        return self


class TokensExtension(Section):
    """Knows callers by bearer token, by basic authentication (the token is the password), or by client certificate."""

    tokens: tuple[Token, ...]
    """The callers."""
    reload_interval: Duration = Duration.parse("10s")
    """How often every `token_file` is looked at for changes; 0 never does. A file that is gone, or has no token in it, lets
    nobody in; what it held before counts for a second more, as the file may be being replaced."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "scheme": "leave it out: Bearer and Basic are both understood",
        "token": "list it under tokens, with a name, a role and workspaces",
        "filename": "list it under tokens as token_file, with a name, a role and workspaces",
        "htpasswd": "list users under tokens, with a role and workspaces; the password is the token",
        "header": "send the token in the header Authorization",
    }

    @field_validator("tokens")
    @classmethod
    def _told_apart(cls, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        if not tokens:
            raise ValueError("must have at least one")
        names = [token.name for token in tokens]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise ValueError(f"must have different names; {name} stands there twice")
        certificates = [token.certificate for token in tokens if token.certificate]
        if len(set(certificates)) < len(certificates):
            raise ValueError("must have different certificates")
        return tokens


class WorkspaceLimits(Section):
    """How much a workspace may send, over all protocols of a receiver."""

    bytes_per_second: Count = 0
    """Bytes of uncompressed requests a second; 0 sets no limit."""
    spans_per_second: Count = 0
    """Spans a second; 0 sets no limit."""
    burst: Duration = Duration.parse("10s")
    """How much may come at once: what is allowed in this time."""

    @field_validator("burst")
    @classmethod
    def _some_time(cls, value: Duration) -> Duration:
        if not value:
            raise ValueError("must be longer than 0, or nothing could ever come")
        return value


class ReceiverWorkspaces(Section):
    """Which workspace spans go to, and how much each may send. The Collector has no such keys."""

    from_header: bool = True
    """Whether callers without authentication may name a workspace in `X-Workspace-Id` or `X-Scope-OrgID`; with false, theirs is
    `default`. With authentication, the caller's token says which workspaces it may name."""
    from_resource_attribute: str = ""
    """A resource attribute whose value names the workspace of the resource's spans, where the caller may use that."""
    limits: WorkspaceLimits = WorkspaceLimits()
    """What each workspace may send."""
    limits_of: Mapping[Annotated[str, AfterValidator(_workspace)], WorkspaceLimits] = {}
    """What single workspaces may send instead, by their names."""


class QueryWorkspaces(Section):
    """Which workspace a query sees."""

    from_header: bool = True
    """Whether callers without authentication may name a workspace in `X-Workspace-Id` or `X-Scope-OrgID`; with false, theirs is
    `default`. With authentication, the caller's token says which workspaces it may name."""
