"""Times that come again and again: by the clock of a place, when that is put forward and back, too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from collector.monitor.recurrence import Recurrence

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
CHANGES = {
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-04", "2026-10-03"),
}
"""Days on which clocks are put forward or back, by an hour, or by half of one."""


@pytest.mark.parametrize("cron", ["0 * * * *", "*/20 * * * *", "30 2 * * *", "15 1 * * *", "0 3 * * SUN", "45 2 * * *"])
@pytest.mark.parametrize("zone", sorted(CHANGES))
@pytest.mark.parametrize("minutes", [10, 90])
def test_each_time_is_covered_from_its_beginning_to_its_end_whatever_clocks_do(zone: str, cron: str, minutes: int) -> None:
    length = timedelta(minutes=minutes)
    recurrence = Recurrence.model_validate({"cron": cron, "duration": f"{minutes}m", "timeZone": zone})
    for day in CHANGES[zone]:
        start = datetime.fromisoformat(day).replace(tzinfo=UTC) - DAY / 4
        begun = (each.astimezone(UTC) for each in CronSim(cron, (start - DAY).astimezone(ZoneInfo(zone))))
        begins = list(takewhile(lambda each, end=start + 2 * DAY: each < end, begun))  # type: ignore[misc]  # a default binds now
        edges = [each + edge for each in begins if start <= each < start + DAY for edge in (0 * length, length)]
        for at in sorted({edge + off for edge in edges for off in (-SECOND, 0 * SECOND, SECOND / 2)}):
            assert recurrence.covers(at) == any(each <= at < each + length for each in begins), at


def test_clocks_that_are_put_back_repeat_what_comes_each_hour_and_nothing_else() -> None:
    def begins(cron: str) -> list[str]:
        recurrence = Recurrence.model_validate({"cron": cron, "duration": "1m", "timeZone": "Europe/Berlin"})
        midnight = datetime(2026, 10, 25, tzinfo=UTC)
        return [
            at.strftime("%H:%M") for at in (midnight + timedelta(minutes=each) for each in range(120)) if recurrence.covers(at)
        ]

    # 02:30 in summer is 00:30 in UTC, and 01:30 afterwards.
    assert begins("30 * * * *") == ["00:30", "01:30"]
    assert begins("30 2 * * *") == ["00:30"]


def test_a_day_that_comes_once_in_four_years_is_found() -> None:
    recurrence = Recurrence.model_validate({"cron": "0 0 29 2 *", "duration": "24h"})
    assert [recurrence.covers(datetime(year, 2, 28, 23, 59, tzinfo=UTC) + timedelta(hours=12)) for year in (2027, 2028)] == [
        False,
        True,
    ]
