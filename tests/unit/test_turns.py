"""Turns of workspaces: against a model of who must be served next, and that none is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.api.turns import refusal_of
from collector.fair_turns import Busy, TurnLimits, Turns
from tests.support.waiting import until


class Asking:
    """Requests that stay until they are told to go; notes in which order they got their turns."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.served: list[str] = []
        self.leaving: list[asyncio.Event] = []

    async def ask(self, workspace: str) -> None:
        leave = asyncio.Event()
        async with self.turns.turn(workspace):
            self.served.append(workspace)
            self.leaving.append(leave)
            await leave.wait()

    def begin(self, workspace: str) -> asyncio.Task[None]:
        return asyncio.create_task(self.ask(workspace))


async def settle() -> None:
    """Let every task run until it has to wait."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_workspace_that_floods_keeps_no_other_waiting_for_more_than_one_turn() -> None:
    asking = Asking(Turns(TurnLimits(at_once=4, of_workspace=3, waiting=1000)))
    flood = [asking.begin("flood") for _ in range(500)]
    await settle()
    quiet = [asking.begin("quiet") for _ in range(3)]
    await settle()
    # One turn was kept from the flood; the next one that ends is followed by the other that is waiting.
    assert asking.served == ["flood"] * 3 + ["quiet"]
    asking.leaving[0].set()
    await settle()
    assert asking.served[4:] == ["quiet"]
    for position in range(503):
        asking.leaving[position].set()
        await settle()
    await asyncio.gather(*flood, *quiet)
    assert Counter(asking.served) == {"flood": 500, "quiet": 3}
    assert (asking.turns.running, asking.turns.waiting) == (0, 0)


async def test_workspaces_that_ask_equally_much_are_served_in_turn() -> None:
    asking = Asking(Turns(TurnLimits(at_once=1, of_workspace=1)))
    tasks = [asking.begin(workspace) for workspace in "aaaabbbbcccc"]
    for position in range(12):
        await settle()
        asking.leaving[position].set()
    await asyncio.gather(*tasks)
    assert "".join(asking.served) == "abcabcabcabc"


async def test_those_who_wait_in_vain_are_told_why_and_when_to_come_back() -> None:
    asking = Asking(Turns(TurnLimits(at_once=2, of_workspace=1, waiting=1, wait_s=0.05)))
    running = [asking.begin("a"), asking.begin("b")]
    await settle()
    waiting = [asking.begin(workspace) for workspace in "aac"]
    refused = [each for each in await asyncio.gather(*waiting, return_exceptions=True) if isinstance(each, Busy)]
    refusals = [refusal_of(busy) for busy in refused]
    assert [(refusal.status, refusal.reason, refusal.headers) for refusal in refusals] == [
        (429, "workspace_busy", {"Retry-After": "1"}),
        (429, "workspace_busy", {"Retry-After": "1"}),
        (503, "busy", {"Retry-After": "1"}),
    ]
    assert "workspace a " in refusals[0].detail
    for leave in asking.leaving:
        leave.set()
    await asyncio.gather(*running)
    assert (asking.turns.running, asking.turns.waiting) == (0, 0)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["begin", "end", "cancel"]), st.sampled_from("abc"), st.integers(0, 20)), max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_whatever_happens_bounds_hold_and_no_turn_is_lost(
    steps: list[tuple[str, str, int]], at_once: int, of_workspace: int
) -> None:
    async def run() -> None:
        asking = Asking(Turns(TurnLimits(at_once, of_workspace, waiting=3)))
        tasks: list[tuple[str, asyncio.Task[None]]] = []
        for step, workspace, number in steps:
            if step == "begin":
                tasks.append((workspace, asking.begin(workspace)))
            elif step == "end" and asking.leaving:
                asking.leaving[number % len(asking.leaving)].set()
            elif step == "cancel" and tasks:
                tasks[number % len(tasks)][1].cancel()
            if number % 2:
                # Otherwise the next step comes at the same moment.
                await settle()
        await settle()
        alive = Counter(workspace for workspace, task in tasks if not task.done())
        turns = asking.turns
        assert turns.running + turns.waiting == alive.total()
        assert turns.running == min(at_once, sum(min(count, of_workspace) for count in alive.values()))
        for _, task in tasks:
            task.cancel()
        for _, task in tasks:
            with suppress(asyncio.CancelledError, Busy):
                await task
        assert (turns.running, turns.waiting) == (0, 0)

    asyncio.run(run())


async def test_a_request_that_leaves_while_it_waits_is_forgotten() -> None:
    asking = Asking(Turns(TurnLimits(at_once=1, of_workspace=1)))
    first, second = asking.begin("a"), asking.begin("a")
    await until(lambda: asking.turns.waiting == 1)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert asking.turns.waiting == 0
    asking.leaving[0].set()
    await first
    assert asking.served == ["a"]
