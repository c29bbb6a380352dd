"""The play of the demo's shop."""

from __future__ import annotations

import threading

from collector.commands.demo import play


def test_a_play_ends_on_time_at_a_rate_that_no_machine_keeps_up_with() -> None:
    rate, duration_s = 1e9, 0.01
    assert 0 < play(lambda _: None, rate, duration_s, threading.Event()) < rate * duration_s
