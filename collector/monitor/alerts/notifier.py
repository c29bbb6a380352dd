"""What sends events of alerts to people: the contract between what finds alerts and the channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from collector.monitor.alerts.events import AlertEvent


class Notifier(Protocol):
    """Sends events."""

    async def deliver(self, event: AlertEvent, channels: Sequence[str]) -> None:
        """Send an event, and return when its outcome is known and kept for each channel: delivered, or given up.

        An event is in the store before this is called. After a crash it is called again for an event of which nobody wrote down
        that all of it was delivered, maybe by another collector: channels whose outcome is kept are then left out, and the others
        are sent the event with the same idempotency key. It may be cancelled at any moment.

        Args:
            event: what happened.
            channels: ids of channels of the event's workspace, as its rule names them; one that does not exist any more is an
                outcome as well.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: outcomes cannot be read or kept; it is called again.
        """
        ...
