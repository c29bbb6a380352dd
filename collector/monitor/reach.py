"""Where requests that users describe may go, and which secrets they may take there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from collector.egress.destination import Destination
from collector.egress.policy import Policy
from collector.egress.resolving import Lookup, system_lookup
from collector.monitor.secrets import NamedSecrets


@dataclass(frozen=True, slots=True)
class Reach:
    """How far they reach.

    Attributes:
        policy: where they may be sent.
        secrets: that they may name.
        lookup: finds addresses of names.
    """

    policy: Policy
    secrets: NamedSecrets
    lookup: Lookup = system_lookup

    def secrets_at(self, destination: Destination, workspace: str) -> Callable[[str], str]:
        """What reads a secret by its name, for a request of a workspace to a destination; raises SecretError if it must not."""

        def read(name: str) -> str:
            self.secrets.check_destination(name, workspace, destination)
            return self.secrets.read(name, workspace)

        return read
