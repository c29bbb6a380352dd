"""Calls between services: what is known of one, and the words for it that stand in tables, in metrics and in answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from proto.spans import Table

CONNECTIONS: Final = ("", "messaging_system", "database", "virtual_node")
"""Types of connections, as the Collector's service graph names them."""
DIRECT, MESSAGING, DATABASE, VIRTUAL = range(len(CONNECTIONS))

NODES: Final = ("", "user", "database", "messaging", "external")
"""Which side of a call has no spans, and what it is: none; the client, a user; the server, and what that is."""
SERVICES, BY_USER, TO_DATABASE, TO_MESSAGING, TO_EXTERNAL = range(len(NODES))

USER: Final = "user"
"""The name of the client of servers that nothing called."""

EDGE = np.dtype(
    [
        ("start", "<u8"),  # of the called span, or of the caller where that is all there is; nanoseconds since 1970
        ("client_duration", "<u8"),  # nanoseconds; 0 where there is no such span
        ("server_duration", "<u8"),
        ("weight", "<f8"),  # calls that it stands for: both sides are there as often as the rarer one
        ("client", "<i4"),  # place in the names
        ("server", "<i4"),
        ("connection", "<i4"),  # place in CONNECTIONS
        ("node", "<i4"),  # place in NODES
        ("failed", "<i4"),
        ("workspace", "<i4"),  # place among the workspaces
    ]
)
"""A call."""


@dataclass(frozen=True, slots=True)
class CallsOfBatch:
    """What the spans of a batch tell of calls.

    Attributes:
        names: of services, and of what stands in their place.
        edges: calls that are known from both sides, or need no more; of dtype EDGE.
        halves: sides of calls of which more may be told elsewhere; of dtype HALF, `service` and `peer` being places in the names.
        half_workspaces: of each half, a place in `workspaces`; shape (halves,).
        workspaces: names of those that edges and halves are in.
    """

    names: list[str]
    edges: Table
    halves: Table
    half_workspaces: NDArray[np.int32]
    workspaces: Sequence[str]
