"""What an answer over gRPC must be like to count as a success."""

from __future__ import annotations

from collector.monitor.expectations import Expectations, Judge
from collector.monitor.requests.grpc_statuses import NAMES


class GrpcJudge(Judge):
    """Judges answers over gRPC, whose statuses have names. Their bodies are messages as JSON.

    Args:
        expectations: what is expected, but for `status`.
        expected: the status that an answer must have.
    """

    def __init__(self, expectations: Expectations, expected: str) -> None:
        super().__init__(expectations)
        self._expected = expected

    def _fault_of_status(self, status: int) -> str:
        name = NAMES.get(status, str(status))
        return "" if name == self._expected else f"status {name}"
