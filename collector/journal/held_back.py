"""What the journal remembers for one exporter's pipeline of spans that are held back: its cuts, and the log of its decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from collector.journal.cuts import CutLog
from collector.journal.decisions import DecisionLog, cut_of
from collector.journal.group_commit import GroupCommit
from collector.journal.lasting import until_lasting, until_written
from collector.queues.held import Emission, Recorded
from exporters.base import Delivery


class HeldBack:
    """A `collector.queues.held.HeldLog` that outlives the process.

    Args:
        cuts: the exporter's cuts.
        log: the decisions.
        commit: makes the log last; None when batches are sent without waiting for that.
        make_room: is called when the disk is too full for a line of the log.
    """

    def __init__(self, cuts: CutLog, log: DecisionLog, commit: GroupCommit | None, make_room: Callable[[], None]) -> None:
        self._cuts = cuts
        self._log = log
        self._commit = commit
        self._make_room = make_room

    @property
    def unfinished(self) -> bool:
        """Whether a former process has left spans that it held back."""
        return any(cut.held for cut in self._cuts.cuts.values())

    def remember(self, kept: int, dropped: int) -> None:
        """Let so many of the newest decisions of either kind outlive the process."""
        self._log.remember(kept, dropped)

    @property
    def next_piece(self) -> int:
        return self._log.next_piece

    def is_held(self, piece: str) -> bool:
        cut = self._cuts.cuts.get(cut_of(piece))
        return cut is not None and cut.held

    def recorded(self) -> Iterable[Recorded]:
        return self._log.recorded()

    async def record(self, emission: Emission) -> None:
        await until_written(lambda: self._log.append(emission), self._log.path, self._make_room)
        if self._commit is not None:
            await until_lasting(self._commit, self._log.path)

    def done(self, name: str, shares: Mapping[str, Delivery]) -> None:
        self._log.done(name, shares)
