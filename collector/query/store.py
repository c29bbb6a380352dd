"""The table of spans: which columns a query reads, and the one place from which queries are sent.

A `Statement` is SQL with bound parameters. The modules beside this one build statements, and turn the columns that come back
into their own shapes; only `SpanStore.fetch` talks to ClickHouse.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from collector.query.older_tables import OlderTables
from exporters.clickhouse.client import ClickHouseClient, ClickHouseError, QueryResult
from exporters.clickhouse.wire import Answer

KINDS: Final = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUS_CODES: Final = ("Unset", "Ok", "Error")
ERROR: Final = 2

MAX_TIMESTAMP: Final = 2**63 - 1
"""The last nanosecond that the Timestamp column holds."""

# `Timestamp` is signed and ends in 2262; a start outside of that has a column of its own.
START: Final = "if(StartTimeUnixNano != 0, StartTimeUnixNano, toUInt64(greatest(toUnixTimestamp64Nano(Timestamp), 0)))"
# Writers that subtract without a guard wrap around where a span ends before it starts.
MAX_DURATION: Final = 2**63 - 1
UNSIGNED_DURATION: Final = "toUInt64(Duration)"
"""As tables had it that are older than 2025, it has a sign."""
DURATION: Final = f"if({UNSIGNED_DURATION} > {MAX_DURATION}, 0, {UNSIGNED_DURATION})"
EVENT_TIMES: Final = (
    "if(empty(EventTimesUnixNano), arrayMap(t -> toUInt64(greatest(toUnixTimestamp64Nano(t), 0)), `Events.Timestamp`),"
    " EventTimesUnixNano)"
)
# One span stored twice, because its client sent it again, has all of this in common (receiver contract DATA-24 and DATA-25).
ALIKE: Final = "SpanId, SpanKind, ServiceName, Timestamp, Duration, SpanName"
"""What tells nearly all spans of a trace apart. For IDENTITY, attributes have to be read, too."""
IDENTITY: Final = f"sipHash64({ALIKE}, ResourceAttributes, SpanAttributes)"
AMONG_MANY: Final = f"cityHash64(TraceId, {ALIKE})"
"""What tells spans of many traces apart. Attributes are left out, unlike where a trace is read: reading them costs more than all
the rest, and two spans that agree to the nanosecond in everything else are the same to whoever counts them."""
_TABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?")


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and the values of its `{name:Type}` parameters."""

    sql: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take in ClickHouse; 0 is what ClickHouse itself allows.

    Attributes:
        rows, bytes: that it reads, the bytes before compression.
        memory: in bytes.
    """

    rows: int = 0
    bytes: int = 0
    memory: int = 0

    @property
    def settings(self) -> dict[str, object]:
        """The same as settings of ClickHouse."""
        limits = {"max_rows_to_read": self.rows, "max_bytes_to_read": self.bytes, "max_memory_usage": self.memory}
        return {name: limit for name, limit in limits.items() if limit}


@dataclass(frozen=True, slots=True)
class SpanStore:
    """The spans table, its companion, and what a query may take.

    Attributes:
        spans_table: `otel_traces`, with or without a database; the companion is called the same plus `_trace_id_ts`.
        timeout_s: limit of every query.
        limits: what else every query may take.
        older: what tables lack that are there already.

    Raises:
        ValueError: `spans_table` is not a plain name.
    """

    client: ClickHouseClient
    spans_table: str = "otel_traces"
    timeout_s: float = 30.0
    limits: Limits = field(default_factory=Limits)
    older: OlderTables = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _TABLE_NAME.fullmatch(self.spans_table):
            raise ValueError(f"spans_table {self.spans_table!r}: a name such as otel_traces or otel.otel_traces is needed")
        object.__setattr__(self, "older", OlderTables(self.spans_table))

    @property
    def bounds_table(self) -> str:
        """The companion that knows between which seconds a trace's spans start."""
        return f"{self.spans_table}_trace_id_ts"

    async def fetch(self, statement: Statement) -> QueryResult:
        """Run the statement within the store's limits.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
        """
        return await self._answered(
            statement,
            lambda sql: self.client.query(sql, statement.parameters, settings=self.limits.settings, timeout_s=self.timeout_s),
        )

    async def fetch_native(self, statement: Statement) -> Answer:
        """Run a statement of very many rows within the store's limits; what `parse_blocks` reads.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
        """
        return await self._answered(
            statement,
            lambda sql: self.client.query_native(
                sql, statement.parameters, settings=self.limits.settings, timeout_s=self.timeout_s
            ),
        )

    async def _answered(self, statement: Statement, ask: Callable[[str], Awaitable[T]]) -> T:
        asked = self.older.completed(statement.sql)
        try:
            return await ask(asked)
        except ClickHouseError as error:
            completed = await self.older.completed_after(error, self.client, statement.sql)
            if completed == asked:
                raise
        return await ask(completed)


def time_range(start: int, end: int, prefix: str = "") -> tuple[str, dict[str, object]]:
    """Condition that `Timestamp` lies in [start, end), nanoseconds, and its parameters `start` and `end` with a prefix."""
    first, last = f"{prefix}start", f"{prefix}end"
    condition = (
        f"Timestamp >= fromUnixTimestamp64Nano({{{first}:Int64}}) AND Timestamp < fromUnixTimestamp64Nano({{{last}:Int64}})"
    )
    return condition, {first: min(start, MAX_TIMESTAMP), last: min(end, MAX_TIMESTAMP)}
