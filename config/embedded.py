"""The ClickHouse that the daemon starts itself: where it is, and who may read it."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from config.access import EVERY_WORKSPACE, is_workspace_name
from config.section import Section
from config.tls import ServerTls
from config.values import Count, Duration, PositiveCount, TcpAddress, TcpEndpoint

OWNER = "spanhouse"
"""The user that the daemon itself is."""

_SECOND_NS = 1_000_000_000
_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?", re.ASCII)


def _user_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be 1 to 64 letters, digits, dots, underscores, hyphens or at signs")
    if text == OWNER:
        raise ValueError(f"must not be {OWNER}, which is the daemon's own user")
    return text


def _digest(text: str) -> str:
    if text and not _DIGEST.fullmatch(text):
        raise ValueError("must have 64 hexadecimal digits, such as `printf %s PASSWORD | sha256sum` prints")
    return text.lower()


def _host_name(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("must be the name of a host, without scheme and port")
    return text


def _workspaces(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _workspace(text: str) -> str:
    if text != EVERY_WORKSPACE and not is_workspace_name(text):
        raise ValueError(f'must be the name of a workspace, or "{EVERY_WORKSPACE}"')
    return text


class EmbeddedUser(Section):
    """Somebody who may read the tables of the spans with SQL, such as Grafana. Nobody but the daemon may write."""

    name: Annotated[str, AfterValidator(_user_name)]
    """The user's name; requests that give none are from `default`."""
    password: SecretStr = SecretStr("")
    """The password; take it from the environment: `${env:GRAFANA_PASSWORD}`. Without one the user is let in from this machine
    alone."""
    password_sha256: Annotated[str, AfterValidator(_digest)] = ""
    """The SHA-256 of the password instead, 64 hexadecimal digits."""
    workspaces: Annotated[
        tuple[Annotated[str, AfterValidator(_workspace)], ...],
        BeforeValidator(_workspaces, json_schema_input_type=str | list[str]),
    ] = ("default",)
    """The workspaces whose spans the user sees; `"*"` is every one."""
    max_execution_time: Duration = Duration.parse("60s")
    """How long a query may take."""
    max_memory_usage: PositiveCount = 268_435_456
    """The most memory that a query takes, in bytes. As many queries of users run at a time as fit into half of
    `max_server_memory_usage`."""
    max_result_rows: PositiveCount = 1_000_000
    """The most rows that a query returns."""
    max_result_bytes: PositiveCount = 268_435_456
    """The most bytes that a query returns, before compression."""
    max_concurrent_queries: PositiveCount = 16
    """How many queries may be under way at a time, those that wait for memory included."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "readonly": "leave it out: users may only read",
        "profile": "set limits here, such as max_execution_time",
        "networks": "bind to an address with listen, or keep others away with a firewall",
    }

    @field_validator("max_execution_time")
    @classmethod
    def _whole_seconds(cls, value: Duration) -> Duration:
        if not value or value % _SECOND_NS:
            raise ValueError("must be whole seconds, which is what ClickHouse counts, and at least 1s")
        return value

    @field_validator("workspaces")
    @classmethod
    def _some_workspace(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must name a workspace, or there would be nothing to see")
        return value

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password.get_secret_value() and self.password_sha256:
            raise ValueError("must have either a password or a password_sha256, not both")
        return self

    @property
    def sees_every_workspace(self) -> bool:
        """Whether no workspace is hidden from the user."""
        return EVERY_WORKSPACE in self.workspaces

    @property
    def has_password(self) -> bool:
        """Whether the user has to prove who it is."""
        return bool(self.password.get_secret_value() or self.password_sha256)


class EmbeddedDatabase(Section):
    """The ClickHouse that the daemon starts itself when `endpoint` is `embedded`."""

    path: Annotated[str, Field(min_length=1)] = "./spanhouse-data"
    """The directory of its data; relative to the working directory."""
    listen: TcpEndpoint = "127.0.0.1:8123"
    """Where its HTTP interface listens, for the daemon, Grafana and clients."""
    users: tuple[EmbeddedUser, ...] = ()
    """Who may read. Without any, `default` may read the spans of every workspace, without a password, from this machine alone."""
    allowed_hosts: tuple[Annotated[str, AfterValidator(_host_name)], ...] = ()
    """Names by which clients call it, besides `localhost` and the host in `listen`; addresses need not be named. Requests for
    other names are refused, since they may come from a web page in somebody's browser."""
    tls: ServerTls | None = None
    """Encryption of that interface; without it, it speaks clear text. The daemon itself then uses it as well."""
    max_server_memory_usage: Count = 2_147_483_648
    """The most memory that the database takes, in bytes; 0 leaves it to ClickHouse."""
    max_memory_usage: Count = 1_073_741_824
    """The most memory that one query of the daemon takes, in bytes; 0 leaves it to ClickHouse."""

    @field_validator("users")
    @classmethod
    def _told_apart(cls, users: tuple[EmbeddedUser, ...]) -> tuple[EmbeddedUser, ...]:
        names = [user.name for user in users]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise ValueError(f"must have different names; {name} stands there twice")
        return users

    @property
    def address(self) -> TcpAddress:
        """`listen`, taken apart."""
        return TcpAddress.parse(self.listen)

    @property
    def readers(self) -> tuple[EmbeddedUser, ...]:
        """`users`, or the one that there is without them."""
        return self.users or (EmbeddedUser(name="default", workspaces=(EVERY_WORKSPACE,)),)
