"""What leads around the row policies, which hold a reader to some workspaces, though the engine lets everybody do it.

Policies are the engine's, which keeps to them wherever a statement names a table. Not so in a few table functions and in EXPLAIN:
`merge` evaluates a condition before the policy, so that an error about a row of others shows what is in it, and `mergeTree...`
and EXPLAIN tell of granules whose rows they are. Settings that are SQL themselves could have all that in a query of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from exporters.embedded.errors import DatabaseError, error

_FUNCTION: Final = re.compile(rb"\b(merge|mergeTree\w+|eval)\(")
_SQL_SETTINGS: Final = (
    *("additional_table_filters", "additional_result_filter", "parallel_replicas_custom_key", "select", "filter", "order"),
)
# No query is without these. What is read as a text once more may have letters of them behind a backslash.
_QUERY: Final = re.compile(rb"\b(?:SELECT|FROM)\b|\\[xN]", re.IGNORECASE)

_STRING: Final = rb"'(?:[^'\\]|\\.)*'"
_SQL_OR_QUOTED: Final = re.compile(
    rb"`?\b(?P<name>%b)`? = (?P<sql>%b|\{(?:%b|[^'}])*\})|%b|`(?:[^`\\]|\\.)*`"
    % ("|".join(_SQL_SETTINGS).encode(), _STRING, _STRING, _STRING),
    re.DOTALL,
)


def check_within_policies(statement: bytes, words: bytes, settings: Mapping[str, str]) -> None:
    """See that a statement leads to no rows of others.

    Args:
        statement: as the engine writes it.
        words: the same without what stands between quotes.
        settings: that come with it.

    Raises:
        DatabaseError: 497, it would.
    """
    if words[:7].upper() == b"EXPLAIN":
        raise _refused("EXPLAIN would count")
    function = _FUNCTION.search(words)
    if function is not None:
        raise _refused(f"{function[1].decode()}() could read")
    in_statement = ((found["name"].decode(), found["sql"]) for found in _SQL_OR_QUOTED.finditer(statement) if found["name"])
    of_request = ((name, settings[name].encode(errors="replace")) for name in _SQL_SETTINGS if name in settings)
    for name, sql in (*in_statement, *of_request):
        if _QUERY.search(sql):
            raise _refused(f"A query in the setting {name} could read")


def _refused(what: str) -> DatabaseError:
    return error(497, "ACCESS_DENIED", f"Not enough privileges. {what} the rows of other workspaces")
