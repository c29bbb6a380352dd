"""Who may ask: the accounts of the server, and how a request names one of them."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from exporters.embedded.errors import DatabaseError, error
from exporters.embedded.limits import ReaderLimits
from exporters.embedded.request import Parameters

ENVIRONMENT = "SPANHOUSE_EMBEDDED_ACCOUNTS"
"""The variable that hands the accounts to the server process: a command line would show the owner's secret to everybody."""


def password_digest(password: str) -> str:
    """How passwords are kept and compared: SHA-256 of UTF-8, hexadecimal."""
    return hashlib.sha256(password.encode()).hexdigest()


_NO_PASSWORD = password_digest("")
_DEFAULT = "default"
_TWO_WAYS = "Invalid authentication: it is not allowed to use {} simultaneously"


@dataclass(frozen=True, slots=True)
class Reader:
    """What an account that may only read is shown.

    Attributes:
        workspaces: whose spans; None for everybody's.
        limits: what its queries may use.
    """

    workspaces: tuple[str, ...] | None = None
    limits: ReaderLimits = field(default_factory=ReaderLimits)


@dataclass(frozen=True, slots=True)
class Account:
    """A name that may ask.

    Attributes:
        password_sha256: see `password_digest`. Without a password the account is for programs on this machine.
        reader: None for the owner, who may do everything that the engine lets anybody do.
    """

    name: str = _DEFAULT
    password_sha256: str = _NO_PASSWORD
    reader: Reader | None = field(default_factory=Reader)

    @property
    def has_password(self) -> bool:
        return self.password_sha256 != _NO_PASSWORD


class Accounts:
    """The accounts of a server. Unless told otherwise, `default` may read everything from this machine.

    Args:
        accounts: each with a name of its own.
    """

    def __init__(self, accounts: Iterable[Account] = (Account(),)) -> None:
        self._accounts = {account.name: account for account in accounts}

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def to_json(self) -> str:
        """For `from_json`, in another process."""
        return json.dumps([dataclasses.asdict(account) for account in self._accounts.values()])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The accounts that `to_json` wrote."""
        return cls(_account(**values) for values in json.loads(text))

    def admit(self, parameters: Parameters, headers: Mapping[str, str], *, from_this_machine: bool) -> Account:
        """The account that a request names and proves; `default` if it names none.

        Raises:
            DatabaseError: 516 for a wrong name, password or mixture of ways to send them; 194, at which browsers ask for a
                password, if it is that of `default` which is wrong.
        """
        name, password = _credentials(parameters, headers)
        account = self._accounts.get(name)
        # Compared for unknown names as well, so that the time it takes tells nobody which names there are.
        expected = account.password_sha256 if account is not None else _NO_PASSWORD
        proven = hmac.compare_digest(password_digest(password), expected)
        if account is not None and proven and (account.has_password or from_this_machine):
            return account
        message = f"{name}: Authentication failed: password is incorrect, or there is no user with such name"
        if name == _DEFAULT:
            raise error(194, "REQUIRED_PASSWORD", message, of_session=False)
        raise _refused(message)


def _account(name: str, password_sha256: str, reader: dict[str, object] | None) -> Account:
    if reader is None:
        return Account(name, password_sha256, None)
    return Account(name, password_sha256, _reader(**reader))  # type: ignore[arg-type]  # JSON of our own


def _reader(workspaces: list[str] | None, limits: dict[str, int]) -> Reader:
    return Reader(None if workspaces is None else tuple(workspaces), ReaderLimits(**limits))


def _credentials(parameters: Parameters, headers: Mapping[str, str]) -> tuple[str, str]:
    """The name and password that a request gives, found in the order in which a server looks for them."""
    authorization = headers.get("Authorization", "")
    name, password = headers.get("X-ClickHouse-User", ""), headers.get("X-ClickHouse-Key", "")
    in_parameters = "user" in parameters.values or "password" in parameters.values
    if name or password:
        if authorization:
            raise _refused(_TWO_WAYS.format("X-ClickHouse HTTP headers and Authorization HTTP header"))
        if in_parameters:
            raise _refused(_TWO_WAYS.format("X-ClickHouse HTTP headers and authentication via parameters"))
        return name or _DEFAULT, password
    if in_parameters:
        name, password = parameters.values.get("user", _DEFAULT), parameters.values.get("password", "")
        return _not_empty(name, "authentication via parameters"), password
    if authorization:
        name, password = _basic(authorization)
        return _not_empty(name, "Authorization HTTP header"), password
    return _DEFAULT, ""


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise _refused(f"Invalid authentication: '{scheme}' HTTP Authorization scheme is not supported")
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise _refused("Invalid authentication: not Base64") from None
    return name, password


def _not_empty(name: str, where: str) -> str:
    if not name:
        raise _refused(f"Got an empty user name from {where}")
    return name


def _refused(message: str) -> DatabaseError:
    return error(516, "AUTHENTICATION_FAILED", message, of_session=False)
