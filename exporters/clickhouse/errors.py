"""What ClickHouse's errors mean for spans that are to be stored: one table from exception codes to the outlook of a retry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exporters.base import ExportError, Outlook
from exporters.clickhouse.client import ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable

NO_SUCH_COLUMN: Final = 16
UNKNOWN_TABLE: Final = 60
UNKNOWN_DATABASE: Final = 81
ACCESS_DENIED: Final = 497
STD_EXCEPTION: Final = 1001

OUTLOOKS: Final[Mapping[int, Outlook]] = {
    # The server is busy, short of something, restarting, or has lost its partners or what it stores in: that passes.
    75: Outlook.LATER,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
    76: Outlook.LATER,  # CANNOT_OPEN_FILE
    159: Outlook.LATER,  # TIMEOUT_EXCEEDED
    160: Outlook.LATER,  # TOO_SLOW
    173: Outlook.LATER,  # CANNOT_ALLOCATE_MEMORY
    198: Outlook.LATER,  # DNS_ERROR
    201: Outlook.LATER,  # QUOTA_EXCEEDED
    202: Outlook.LATER,  # TOO_MANY_SIMULTANEOUS_QUERIES
    203: Outlook.LATER,  # NO_FREE_CONNECTION
    204: Outlook.LATER,  # CANNOT_FSYNC
    209: Outlook.LATER,  # SOCKET_TIMEOUT
    210: Outlook.LATER,  # NETWORK_ERROR
    225: Outlook.LATER,  # NO_ZOOKEEPER
    236: Outlook.LATER,  # ABORTED
    241: Outlook.LATER,  # MEMORY_LIMIT_EXCEEDED
    242: Outlook.LATER,  # TABLE_IS_READ_ONLY: a replica without its Keeper
    243: Outlook.LATER,  # NOT_ENOUGH_SPACE
    252: Outlook.LATER,  # TOO_MANY_PARTS
    254: Outlook.LATER,  # NO_ACTIVE_REPLICAS
    279: Outlook.LATER,  # ALL_CONNECTION_TRIES_FAILED
    285: Outlook.LATER,  # TOO_FEW_LIVE_REPLICAS
    286: Outlook.LATER,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    289: Outlook.LATER,  # REPLICA_IS_NOT_IN_QUORUM
    297: Outlook.LATER,  # SHARD_HAS_NO_CONNECTIONS
    319: Outlook.LATER,  # UNKNOWN_STATUS_OF_INSERT
    364: Outlook.LATER,  # RECEIVED_ERROR_TOO_MANY_REQUESTS
    394: Outlook.LATER,  # QUERY_WAS_CANCELLED
    439: Outlook.LATER,  # CANNOT_SCHEDULE_TASK
    473: Outlook.LATER,  # DEADLOCK_AVOIDED: an ALTER holds the table
    499: Outlook.LATER,  # S3_ERROR
    500: Outlook.LATER,  # AZURE_BLOB_STORAGE_ERROR
    519: Outlook.LATER,  # NO_REMOTE_SHARD_AVAILABLE
    574: Outlook.LATER,  # DISTRIBUTED_TOO_MANY_PENDING_BYTES
    696: Outlook.LATER,  # ASYNC_LOAD_CANCELED
    700: Outlook.LATER,  # USER_SESSION_LIMIT_EXCEEDED
    722: Outlook.LATER,  # ASYNC_LOAD_WAIT_FAILED
    733: Outlook.LATER,  # TABLE_IS_BEING_RESTARTED
    745: Outlook.LATER,  # SERVER_OVERLOADED
    762: Outlook.LATER,  # HTTP_CONNECTION_LIMIT_REACHED
    776: Outlook.LATER,  # RESOURCE_LIMIT_EXCEEDED
    777: Outlook.LATER,  # MEMORY_RESERVATION_KILLED
    778: Outlook.LATER,  # MEMORY_RESERVATION_FAILED
    999: Outlook.LATER,  # KEEPER_EXCEPTION
    # The set-up is at fault, not the spans: somebody may put it right while they wait.
    16: Outlook.UNSURE,  # NO_SUCH_COLUMN_IN_TABLE
    60: Outlook.UNSURE,  # UNKNOWN_TABLE
    81: Outlook.UNSURE,  # UNKNOWN_DATABASE
    164: Outlook.UNSURE,  # READONLY
    192: Outlook.UNSURE,  # UNKNOWN_USER
    193: Outlook.UNSURE,  # WRONG_PASSWORD
    194: Outlook.UNSURE,  # REQUIRED_PASSWORD
    497: Outlook.UNSURE,  # ACCESS_DENIED
    516: Outlook.UNSURE,  # AUTHENTICATION_FAILED
    # The same data would fail again.
    6: Outlook.NEVER,  # CANNOT_PARSE_TEXT
    20: Outlook.NEVER,  # NUMBER_OF_COLUMNS_DOESNT_MATCH
    27: Outlook.NEVER,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
    33: Outlook.NEVER,  # CANNOT_READ_ALL_DATA
    36: Outlook.NEVER,  # BAD_ARGUMENTS
    43: Outlook.NEVER,  # ILLEGAL_TYPE_OF_ARGUMENT
    44: Outlook.NEVER,  # ILLEGAL_COLUMN
    50: Outlook.NEVER,  # UNKNOWN_TYPE
    53: Outlook.NEVER,  # TYPE_MISMATCH
    62: Outlook.NEVER,  # SYNTAX_ERROR
    70: Outlook.NEVER,  # CANNOT_CONVERT_TYPE
    73: Outlook.NEVER,  # UNKNOWN_FORMAT
    115: Outlook.NEVER,  # UNKNOWN_SETTING
    117: Outlook.NEVER,  # INCORRECT_DATA
    128: Outlook.NEVER,  # TOO_LARGE_ARRAY_SIZE
    131: Outlook.NEVER,  # TOO_LARGE_STRING_SIZE
    306: Outlook.NEVER,  # TOO_DEEP_RECURSION
    349: Outlook.NEVER,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    469: Outlook.NEVER,  # VIOLATED_CONSTRAINT
}
"""Exception code → outlook. A code that is not here is unsure."""

OF_CONTENT: Final = frozenset({6, 27, 33, 36, 43, 44, 53, 70, 117, 128, 131, 306, 349, 469})
"""Of those that would fail again, the codes with which some of the spans are at fault, and not the statement around them."""

_NOT_ENOUGH_SPACE: Final = 243
_DISK_FULL: Final = "No space left on device"
_MAKE_ROOM: Final = (
    "Make room on the disk of ClickHouse, or keep spans for less long (ttl); what is acknowledged waits meanwhile."
)

TOO_LARGE: Final = 413

STATUS_OUTLOOKS: Final[Mapping[int, Outlook]] = {
    408: Outlook.LATER,
    TOO_LARGE: Outlook.NEVER,
    429: Outlook.LATER,
    502: Outlook.LATER,
    503: Outlook.LATER,
    504: Outlook.LATER,
}
"""HTTP status of an answer without an exception code, such as a proxy gives → outlook. Any other status is unsure."""


def export_error(error: ClickHouseError | ClickHouseUnavailable) -> ExportError:
    """The failure in the exporters' own terms, with a reason fit for a metric's label."""
    match error:
        case ClickHouseTimeout():
            return ExportError(str(error), "timeout", Outlook.LATER)
        case ClickHouseUnavailable():
            return ExportError(str(error), "connection_lost" if error.sent else "unreachable", Outlook.LATER)
        case ClickHouseError(code=0):
            outlook = STATUS_OUTLOOKS.get(error.status, Outlook.UNSURE)
            message = f"HTTP status {error.status}: {error.message}"
            return ExportError(message, f"http_{error.status}", outlook, of_content=error.status == TOO_LARGE)
        case ClickHouseError(code=code, message=text) if code == STD_EXCEPTION and "filesystem error" in text:
            # Its disk is full, or was made read-only.
            return ExportError(_with_remedy(error), "filesystem_error", Outlook.LATER)
    reason = error.name.lower() or f"code_{error.code}"
    outlook = OUTLOOKS.get(error.code, Outlook.UNSURE)
    return ExportError(_with_remedy(error), reason, outlook, of_content=error.code in OF_CONTENT)


def _with_remedy(error: ClickHouseError) -> str:
    """What the server said, and what to do where only somebody outside can help."""
    is_full = error.code == _NOT_ENOUGH_SPACE or _DISK_FULL in error.message
    return f"{error} {_MAKE_ROOM}" if is_full else str(error)
