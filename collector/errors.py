"""Why a request or a batch did not go through, in the three kinds that decide what its sender should do.

`Permanent`: the same data would fail again. `Retryable`: it may well succeed later. `Refused`: nothing is wrong with the
data, but it was not let in (size, rights, shape of the call). `collector/receivers/answers.py` maps them to gRPC codes and HTTP
statuses.
"""

from __future__ import annotations

from dataclasses import dataclass


class CollectorError(Exception):
    """Base of all; `str(error)` is a sentence for the sender's developer, without secrets."""


class Permanent(CollectorError):
    """The same data would fail again: do not send it again."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field
        """What in the request is wrong, as a path or a position; empty when it is not in the request."""


class Retryable(CollectorError):
    """The same data may succeed later."""

    def __init__(self, message: str, delay_s: float = 1.0) -> None:
        super().__init__(message)
        self.delay_s = delay_s
        """How long to wait before the next try, in seconds."""


class Unconfirmed(Retryable):
    """The data was taken, and may yet be lost: it is to be sent again, though it may then be stored twice."""


class Refused(CollectorError):
    """Not let in. `kind` names the reason and fixes the answer."""

    def __init__(self, message: str, kind: str, delay_s: float = 1.0) -> None:
        super().__init__(message)
        self.delay_s = delay_s
        """How long to wait before the next try, in seconds; of use only for kinds that may be sent again."""
        self.kind = kind
        """One of the rows of the answers table: `too_large`, `unsupported_encoding`, `unsupported_media_type`, ..."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Spans of one request that were refused while the rest went in (OTLP's partial success).

    Attributes:
        counts: spans refused, by reason (`trace_id_length`, ...).
        message: English sentence for the sender's developer.
    """

    counts: dict[str, int]
    message: str

    @property
    def spans(self) -> int:
        return sum(self.counts.values())
