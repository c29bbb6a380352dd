"""Bounds on what requests may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What requests may use.

    Attributes:
        max_body_bytes: the largest request body of the owner, packed or unpacked; it is held in memory.
        max_queries: statements of the owner running at a time; the next one is refused with code 202, and clients try again.
        max_reader_body_bytes: the largest request body of anybody else.
        max_reader_queries: requests of all others at a time.
        max_reader_memory_bytes: memory of the queries of all others together; those that find none left wait.
        max_connections: open sockets; further ones are closed at once.
        kept_for_this_machine: of these, how many nobody elsewhere may open, so that the owner finds one.
        head_timeout_s: how long anybody may take to send the head of a request.
        idle_timeout_s: how long a connection may be without a request.
        reader_body_timeout_s: how long anybody else may take to send a request.
        reader_wait_timeout_s: how long their queries may wait for memory.
        reader_answer_timeout_s: how long they may take to read an answer, besides the time of its query.
    """

    max_body_bytes: int = 1 << 29
    max_queries: int = 64
    max_reader_body_bytes: int = 1 << 22
    max_reader_queries: int = 64
    max_reader_memory_bytes: int = 1 << 30
    max_connections: int = 512
    kept_for_this_machine: int = 128
    head_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0
    reader_body_timeout_s: float = 30.0
    reader_wait_timeout_s: float = 30.0
    reader_answer_timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """What the queries of an account that may only read may use.

    Attributes:
        max_execution_time_s: seconds for one query.
        max_memory_bytes: memory of one query.
        max_result_rows, max_result_bytes: the largest answer.
        max_queries: requests at a time; the next one is refused with code 202.
    """

    max_execution_time_s: int = 60
    max_memory_bytes: int = 1 << 28
    max_result_rows: int = 1_000_000
    max_result_bytes: int = 1 << 28
    max_queries: int = 16
