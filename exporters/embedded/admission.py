"""From a request's credentials to what its caller may do and use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporters.embedded.accounts import Accounts
from exporters.embedded.limits import ServerLimits
from exporters.embedded.memory import MemoryShare
from exporters.embedded.request import Parameters
from exporters.embedded.rights import Rights
from exporters.embedded.workers import Workers


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what is theirs.

    Attributes:
        rights: of a reader; None for the owner.
        max_requests: how many of them may be answered at a time.
        max_body_bytes: the largest of their bodies, packed or unpacked.
        body_timeout_s: how long they may take to send one; None for ever.
        memory: what their queries take theirs from; None for the owner's.
        answer_timeout_s: how long an answer may take to its last byte; None for ever.
    """

    name: str
    rights: Rights | None
    workers: Workers
    max_requests: int
    max_body_bytes: int
    body_timeout_s: float | None = None
    memory: MemoryShare | None = None
    answer_timeout_s: float | None = None


class Admission:
    """Lets callers in.

    Args:
        rights: those of each reader, by the account's name.
    """

    def __init__(self, accounts: Accounts, rights: Mapping[str, Rights], limits: ServerLimits) -> None:
        self._accounts = accounts
        self._rights = rights
        self._limits = limits
        self._of_owner = Workers(limits.max_queries)
        self._of_readers = Workers(limits.max_reader_queries)
        self._memory = MemoryShare(limits.max_reader_memory_bytes, limits.reader_wait_timeout_s)

    def admit(self, parameters: Parameters, headers: Mapping[str, str], *, from_this_machine: bool) -> Caller:
        """Who a request is from. Raises DatabaseError, as `Accounts.admit` does."""
        account, limits = self._accounts.admit(parameters, headers, from_this_machine=from_this_machine), self._limits
        if account.reader is None:
            return Caller(account.name, None, self._of_owner, limits.max_queries, limits.max_body_bytes)
        return Caller(
            account.name,
            self._rights[account.name],
            self._of_readers,
            account.reader.limits.max_queries,
            limits.max_reader_body_bytes,
            limits.reader_body_timeout_s,
            self._memory,
            account.reader.limits.max_execution_time_s + limits.reader_answer_timeout_s,
        )

    async def close(self) -> None:
        """Wait for what is ending."""
        await self._of_readers.close()
        await self._of_owner.close()
