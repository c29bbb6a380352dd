"""Times that come again and again by somebody's clock, such as each Sunday from 02:30 for an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

from collector.control.objects import ObjectModel
from collector.monitor.alerts.measured import DAY, MINUTE
from config.problems import nearest
from config.values import Duration

_LEAP_DAYS: Final = datetime(2024, 1, 1, tzinfo=UTC)


def _cron(text: str) -> str:
    if len(text.split()) != 5:
        raise ValueError('must have five fields: minute, hour, day of month, month, day of week, such as "30 2 * * SUN"')
    try:
        next(CronSim(text, _LEAP_DAYS))
    except CronSimError as error:
        raise ValueError(f"must be a cron expression: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError("must be a cron expression for a day that there is") from None
    return text


def _time_zone(name: str) -> str:
    if name not in _time_zones():
        hint = nearest(name, _time_zones())
        raise ValueError(f"must be the name of a time zone, such as Europe/Berlin or UTC{f'; {hint}' if hint else ''}")
    return name


@lru_cache(1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _length(value: Duration) -> Duration:
    if not MINUTE <= value <= 7 * DAY:
        raise ValueError("must be from 1m to 168h")
    return value


class Recurrence(ObjectModel):
    """Times of one length that come again and again."""

    cron: Annotated[str, AfterValidator(_cron)]
    """When it begins: minute, hour, day of month, month, day of week; `30 2 * * SUN`."""
    duration: Annotated[Duration, AfterValidator(_length)]
    """How long it lasts."""
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    """Whose clock that is: a name of the IANA database. A time that is left out when clocks go forward is the next there is."""

    def covers(self, at: datetime) -> bool:
        """Whether a time, with its zone, lies in one of them."""
        # Forward: going backwards, what comes each hour is not found in the hour that comes twice when clocks go back.
        earliest = at.astimezone(UTC) - timedelta(microseconds=self.duration // 1000)
        try:
            began = next(CronSim(self.cron, earliest.astimezone(ZoneInfo(self.time_zone))))
        except StopIteration:
            return False
        return earliest < began.astimezone(UTC) <= at
