"""What callers of a listener may do, and in which workspace: decided from the head of a request, before its body is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from collector.clock import Clock
from collector.errors import Refused
from collector.tokens import Principal, Tokens
from config.access import Auth, TokensExtension, is_workspace_name
from config.model import Config

DEFAULT_WORKSPACE: Final = "default"
CHALLENGE: Final = 'Bearer realm="spanhouse", Basic realm="spanhouse", charset="UTF-8"'
"""The `WWW-Authenticate` header of an answer with status 401."""

_WORKSPACE_HEADERS: Final = (("x-workspace-id", "X-Workspace-Id"), ("x-scope-orgid", "X-Scope-OrgID"))
_DOING: Final = {"ingest": "sending spans", "read": "reading spans"}

Role = Literal["ingest", "read"]


class Headers(Protocol):
    """Headers of a request, to be asked in lower case."""

    def get(self, name: str, default: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, and in which workspace."""

    principal: Principal
    workspace: str


def no_certificate() -> Iterable[str]:
    """What a peer without a certificate is called."""
    return ()


class Gate:
    """Who may use one listener.

    Args:
        role: what a caller needs to be allowed.
        tokens: knows callers; None lets everybody in.
        from_header: whether callers may name a workspace in a header while everybody is let in.
    """

    def __init__(self, role: Role, tokens: Tokens | None = None, *, from_header: bool = True) -> None:
        self._role = role
        self._tokens = tokens
        anybody = Principal("anybody", "admin", None if from_header else frozenset((DEFAULT_WORKSPACE,)))
        self._anybody = Caller(anybody, DEFAULT_WORKSPACE)

    @property
    def authenticates(self) -> bool:
        """Whether callers must show who they are."""
        return self._tokens is not None

    def admit(self, headers: Headers, certificate: Callable[[], Iterable[str]] = no_certificate, in_path: str = "") -> Caller:
        """The caller of a request.

        Args:
            headers: of the request.
            certificate: names in the peer's certificate, if it has shown one and an authority that we trust has signed it.
            in_path: the workspace that the request's path names, if it does.

        Raises:
            Refused: `unauthenticated`, `permission_denied`, or `invalid` where headers and path do not name one workspace.
        """
        where, named = _named_workspace(headers, in_path)
        if self._tokens is None:
            principal = self._anybody.principal
            if not named:
                return self._anybody
        else:
            principal = self._authenticated(self._tokens, headers.get("authorization", ""), certificate)
        return Caller(principal, _allowed_workspace(principal, where, named))

    def _authenticated(self, tokens: Tokens, authorization: str, certificate: Callable[[], Iterable[str]]) -> Principal:
        principal = tokens.by_header(authorization) if authorization else tokens.by_certificate(certificate())
        if principal is None:
            if authorization:
                raise Refused("the token in the header Authorization is not known here", "unauthenticated")
            raise Refused("no token came: send the header Authorization: Bearer TOKEN", "unauthenticated")
        if not principal.may(self._role):
            doing = _DOING[self._role]
            message = f"{principal.name} has the role {principal.role}; {doing} needs the role {self._role} or admin"
            raise Refused(message, "permission_denied")
        return principal


def names_in(certificate: Mapping[str, Any] | None) -> Iterable[str]:
    """The common names and alternative names of a certificate, as `ssl` gives it."""
    for pairs in (certificate or {}).get("subject", ()):
        yield from (value for name, value in pairs if name == "commonName")
    for _, value in (certificate or {}).get("subjectAltName", ()):
        yield value


class Gates:
    """The gates of a configuration.

    Every listener that names the same extension asks the same tokens.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        self._tokens = {
            name: Tokens(extension, f"extensions.{name}", clock.monotonic)
            for name, extension in config.extensions.items()
            if isinstance(extension, TokensExtension)
        }

    def gate(self, role: Role, auth: Auth | None, *, from_header: bool) -> Gate:
        """The gate of a listener."""
        return Gate(role, self._tokens[auth.authenticator] if auth is not None else None, from_header=from_header)


def _named_workspace(headers: Headers, in_path: str) -> tuple[str, str]:
    """What names a workspace, and the workspace; both empty when nothing does.

    Raises:
        Refused: `invalid`.
    """
    found, workspace = "", ""
    in_headers = ((spelling, headers.get(header, "")) for header, spelling in _WORKSPACE_HEADERS)
    for spelling, named in (("the path", in_path), *in_headers):
        if not named:
            continue
        if not is_workspace_name(named):
            message = f"{spelling}: {named[:80]!r} must be 1 to 64 letters, digits, dots, underscores and hyphens"
            raise Refused(message, "invalid")
        if workspace and named != workspace:
            raise Refused(f"{spelling}: {named!r} is not {workspace!r}, which {found} names; send one of them", "invalid")
        found, workspace = spelling, named
    return found, workspace


def _allowed_workspace(principal: Principal, where: str, named: str) -> str:
    """The workspace that a principal's request is for.

    Raises:
        Refused: `permission_denied` for a workspace that is not the principal's, `invalid` when it must name one of several.
    """
    if named:
        if not principal.sees(named):
            raise Refused(f"{where}: {named!r} is not a workspace that {principal.name} may use", "permission_denied")
        return named
    if principal.sees(DEFAULT_WORKSPACE):
        return DEFAULT_WORKSPACE
    if principal.workspaces is not None and len(principal.workspaces) == 1:
        return next(iter(principal.workspaces))
    raise Refused(f"{principal.name} has several workspaces; name one of them in the header X-Workspace-Id", "invalid")
