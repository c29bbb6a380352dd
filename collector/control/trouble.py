"""Trouble with reading what operators say: counted each time, told of once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from exporters.clickhouse.client import ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.errors import ACCESS_DENIED, UNKNOWN_DATABASE, UNKNOWN_TABLE, export_error

_log = structlog.get_logger(__name__)

_NO_TABLE: Final = frozenset({UNKNOWN_TABLE, UNKNOWN_DATABASE, ACCESS_DENIED})


def lacks_tables(error: Exception) -> bool:
    """Whether there are no tables: at the first start they are being made, or nobody wants any."""
    return isinstance(error, ClickHouseError) and error.code in _NO_TABLE


class Trouble:
    """What keeps something from being read.

    Args:
        what: is read, in the plural, as events of the log begin: `tracing_configs`.
        failed: called with the reason of each failure.
    """

    def __init__(self, what: str, failed: Callable[[str], None]) -> None:
        self._what = what
        self._failed = failed
        self._reason = ""

    def tell(self, error: Exception) -> None:
        """It could not be read, and what was read before stays in force."""
        if isinstance(error, ClickHouseError | ClickHouseUnavailable):
            reason, trace = export_error(error).reason, None
        else:
            reason, trace = "internal_error", error
        self._failed(reason)
        if reason != self._reason:
            note = "what was read before stays in force"
            _log.warning(f"{self._what}_not_read", reason=reason, error=str(error), note=note, exc_info=trace)
        self._reason = reason

    def over(self) -> None:
        """It was read."""
        if self._reason:
            _log.info(f"{self._what}_read_again")
        self._reason = ""
