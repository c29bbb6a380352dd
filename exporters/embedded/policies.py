"""What leads around the row policies, which hold a reader to some workspaces, though the engine lets everybody do it.

Policies are the engine's, which keeps to them wherever a statement names a table. Not so in a few table functions and in EXPLAIN:
`merge` evaluates a condition before the policy, so that an error about a row of others shows what is in it, and `mergeTree...`
and EXPLAIN tell of granules whose rows they are. Settings that are SQL themselves could have all that in a query of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from exporters.embedded.engine import Connection
from exporters.embedded.errors import DatabaseError, error
from exporters.embedded.formatting import QUOTED, formatted

_FUNCTION: Final = re.compile(rb"\b(merge|mergeTree\w+|eval)\(")
_BY_TABLE: Final = "additional_table_filters"
"""A setting that has an expression for each of some tables."""
_SQL_SETTINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys((_BY_TABLE, "additional_result_filter", "parallel_replicas_custom_key", "select", "filter"), "SELECT "),
    "order": "SELECT 1 ORDER BY ",
}
"""Settings that are SQL → what makes a statement of it."""
_OF_TABLES: Final = """
SELECT formatQuerySingleLine(concat('SELECT ', text))
FROM (SELECT arrayJoin(mapValues({texts:Map(String, String)})) AS text) WHERE text != ''
"""
_QUERY: Final = re.compile(rb"SELECT\b.*\b(?:SELECT|FROM)\b", re.DOTALL)
_STRING: Final = rb"'(?:[^'\\]|\\.)*'"
_SET_OR_QUOTED: Final = re.compile(
    rb"`?\b(?P<name>%b)`? = (?:(?P<text>%b)|(?P<texts>\{(?:%b|[^'}])*\}))|%b"
    % ("|".join(_SQL_SETTINGS).encode(), _STRING, _STRING, QUOTED.pattern),
    re.DOTALL,
)


def check_within_policies(connection: Connection, statement: bytes, settings: Mapping[str, str]) -> None:
    """See that a statement leads to no rows of others.

    Args:
        connection: the reader's, whose settings must be those it was made with.
        statement: as the engine writes it.
        settings: that come with it.

    Raises:
        DatabaseError: 497 if it would; others for a setting that is no SQL, though it should be.
    """
    words = QUOTED.sub(b"''", statement)
    if words[:7].upper() == b"EXPLAIN":
        raise _refused("EXPLAIN would count")
    function = _FUNCTION.search(words)
    if function is not None:
        raise _refused(f"{function[1].decode()}() could read")
    for name, text in _sql_settings(connection, statement, settings):
        if any(_QUERY.match(QUOTED.sub(b"''", written)) for written in _written(connection, name, text)):
            raise _refused(f"A query in the setting {name} could read")


def _sql_settings(connection: Connection, statement: bytes, settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names and values of the settings that are SQL, of which bytes that are not UTF-8 can only be between quotes."""
    for found in _SET_OR_QUOTED.finditer(statement):
        if found["text"] is not None:
            text = connection.run(b"SELECT " + found["text"], "RawBLOB").data
            yield found["name"].decode(), text.decode(errors="replace")
        elif found["texts"] is not None:
            yield found["name"].decode(), found["texts"].decode(errors="replace")
    for name in _SQL_SETTINGS.keys() & settings.keys():
        yield name, settings[name]


def _written(connection: Connection, name: str, text: str) -> list[bytes]:
    """The statements that are made of a setting, as the engine writes them."""
    if not text:
        return []
    if name != _BY_TABLE:
        return [formatted(connection, f"{_SQL_SETTINGS[name]}{text}".encode())]
    # A parameter of this type is read as the setting is.
    return connection.run(_OF_TABLES, "TSVRaw", {"texts": text}).data.splitlines()


def _refused(what: str) -> DatabaseError:
    return error(497, "ACCESS_DENIED", f"Not enough privileges. {what} the rows of other workspaces")
