"""The parameters and headers of a request, in the roles that ClickHouse gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from exporters.embedded.errors import error

DEFAULT_SESSION_TIMEOUT_S = 60
MAX_SESSION_TIMEOUT_S = 3600

_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_RESERVED = frozenset(
    {
        *("query", "database", "default_format", "compress", "decompress", "buffer_size", "wait_end_of_query", "stacktrace"),
        *("user", "password", "quota_key", "role", "query_id", "client_protocol_version"),
        *("session_id", "session_timeout", "session_check", "close_session"),
    }
)


@dataclass(slots=True)
class Parameters:
    """What a request asks for, apart from its body.

    Attributes:
        values: the reserved parameters, by name; the last one wins.
        settings: every other parameter.
        bound: texts for `{name:Type}`, in TSV's escapes.
        database, answer_format, query_id: after the headers that outrank the parameters.
    """

    values: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    bound: dict[str, str] = field(default_factory=dict)
    database: str = ""
    answer_format: str = ""
    query_id: str = ""

    def add(self, name: str, value: str) -> None:
        """Take one parameter, from the URL or a form."""
        if name.startswith("param_"):
            self.bound[name.removeprefix("param_")] = value
        elif name in _RESERVED:
            self.values[name] = value
        else:
            self.settings[name] = value

    def flag(self, name: str) -> bool:
        """A parameter that is 0 or 1."""
        return self.values.get(name, "0") not in ("", "0", "false")

    def number(self, name: str) -> int:
        """A parameter that is a whole number, 0 if it is missing. Raises DatabaseError 27."""
        text = self.values.get(name) or "0"
        if not text.isdecimal():
            raise error(27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", f"Parameter {name} is '{text}'; it must be a whole number")
        return int(text)

    @property
    def session_timeout_s(self) -> int:
        """Seconds that the session outlives its last query. Raises DatabaseError 374."""
        text = self.values.get("session_timeout")
        if text is None:
            return DEFAULT_SESSION_TIMEOUT_S
        if not text.isdecimal():
            raise error(374, "INVALID_SESSION_TIMEOUT", f"Invalid session timeout: '{text}'", of_session=False)
        if int(text) > MAX_SESSION_TIMEOUT_S:
            message = (
                f"Session timeout '{text}' is larger than max_session_timeout: {MAX_SESSION_TIMEOUT_S}. "
                "Maximum session timeout could be modified in configuration file"
            )
            raise error(374, "INVALID_SESSION_TIMEOUT", message, of_session=False)
        return int(text)

    @property
    def protocol_version(self) -> int:
        """The revision of the native protocol that the client reads, 0 if it does not say."""
        return self.number("client_protocol_version")


def read_parameters(query: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> Parameters:
    """The parameters of a URL and the headers that go with them. Header names compare without regard to case."""
    parameters = Parameters()
    for name, value in query:
        parameters.add(name, value)
    settle(parameters, headers)
    return parameters


def settle(parameters: Parameters, headers: Mapping[str, str]) -> None:
    """Work out what depends on several places. Raises DatabaseError 115 for a name that no setting can have, 36 for an id that
    no header can hold.
    """
    values = parameters.values
    parameters.database = headers.get("X-ClickHouse-Database") or values.get("database", "")
    parameters.answer_format = headers.get("X-ClickHouse-Format") or values.get("default_format", "")
    parameters.query_id = values.get("query_id") or headers.get("X-ClickHouse-Query-Id") or parameters.query_id or str(uuid4())
    if not parameters.query_id.isprintable():
        raise error(36, "BAD_ARGUMENTS", "The query id holds characters that cannot be printed")
    for name in parameters.settings:
        if not _SETTING.match(name):
            raise error(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
