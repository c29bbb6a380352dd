"""The processor `memory_limiter`: what its keys mean, and when requests are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from collector.errors import Retryable
from collector.memory import resident_bytes, total_memory_bytes
from collector.pipeline.memory_limiter import MemoryLimiter
from config.memory_limit import MemoryLimiterProcessor

MIB = 1 << 20


class Machine:
    """Memory and time as a test wants them."""

    def __init__(self) -> None:
        self.used = 0
        self.now_s = 0.0
        self.looks = 0

    def resident(self) -> int:
        self.looks += 1
        return self.used

    def limiter(self, soft: int = 100, hard: int = 120) -> MemoryLimiter:
        return MemoryLimiter(soft, hard, 1.0, 10.0, self.resident, lambda: self.now_s)


async def test_whether_requests_may_come_in_is_told_to_who_asks_whether_the_daemon_is_ready() -> None:
    machine = Machine()
    limiter = machine.limiter(100 * MIB, 120 * MIB)
    assert await limiter.trouble() == ""
    machine.used, machine.now_s = 130 * MIB, 1.0
    assert await limiter.trouble() == "the collector takes 130 MiB of memory, and may take 100; try again shortly"
    machine.used, machine.now_s = 90 * MIB, 2.0
    assert await limiter.trouble() == ""


def refuses(limiter: MemoryLimiter) -> bool:
    try:
        limiter.check()
    except Retryable:
        return True
    return False


@pytest.mark.parametrize(
    ("keys", "total", "limits"),
    [
        # The reference's example: refuse from 3200, collect from 4000.
        ({"limit_mib": 4000, "spike_limit_mib": 800}, 0, (3200 * MIB, 4000 * MIB)),
        ({"limit_mib": 100}, 0, (80 * MIB, 100 * MIB)),
        ({"limit_percentage": 50, "spike_limit_percentage": 10}, 1000, (400, 500)),
        ({"limit_percentage": 50}, 1000, (400, 500)),
        # MiB win over shares.
        ({"limit_mib": 10, "spike_limit_mib": 1, "limit_percentage": 50}, 1000 * MIB, (9 * MIB, 10 * MIB)),
    ],
)
def test_limits(keys: dict[str, int], total: int, limits: tuple[int, int]) -> None:
    assert MemoryLimiterProcessor.model_validate(keys).limits(total) == limits


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"limit_mib": 10, "check_interval": "0"},
        {"limit_mib": 10, "spike_limit_mib": 10},
        {"limit_percentage": 10, "spike_limit_percentage": 10},
        {"limit_percentage": 101},
    ],
)
def test_keys_that_mean_nothing_are_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MemoryLimiterProcessor.model_validate(keys)


def test_requests_are_refused_above_the_soft_limit_and_taken_again_below_it() -> None:
    machine = Machine()
    limiter = machine.limiter()
    assert not refuses(limiter)
    machine.used = 101
    machine.now_s = 1.0
    assert refuses(limiter)
    machine.used = 100
    machine.now_s = 2.0
    assert not refuses(limiter)


def test_what_is_let_in_between_two_looks_counts_until_the_next_look_says_otherwise() -> None:
    machine = Machine()
    limiter = machine.limiter()
    assert not refuses(limiter)
    limiter.admitted(200)
    # Too soon to look again.
    assert refuses(limiter)
    # It has left the memory in the meantime.
    machine.now_s = 0.02
    assert not refuses(limiter)
    machine.used = 150
    limiter.admitted(200)
    machine.now_s = 0.04
    assert refuses(limiter)


def test_memory_is_looked_at_once_an_interval_while_there_is_room() -> None:
    machine = Machine()
    limiter = machine.limiter()
    for _ in range(100):
        limiter.check()
    assert machine.looks == 1
    machine.now_s = 1.0
    limiter.check()
    assert machine.looks == 2


def test_garbage_is_collected_above_the_hard_limit_and_not_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    machine.used = 130

    def collect() -> None:
        machine.used -= 20

    monkeypatch.setattr("collector.pipeline.memory_limiter.gc.collect", collect)
    limiter = machine.limiter()
    assert refuses(limiter)
    assert machine.used == 110
    machine.used = 130
    machine.now_s = 5.0
    assert refuses(limiter)
    assert machine.used == 130
    machine.now_s = 10.0
    assert refuses(limiter)
    assert machine.used == 110


def test_the_machine_says_what_it_has_and_what_the_process_takes() -> None:
    assert 10 * MIB < resident_bytes() < total_memory_bytes()
