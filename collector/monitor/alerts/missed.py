"""Minutes for which nobody has evaluated rules, since no collector was alive, the store was away, or a machine slept.

They are evaluated afterwards, in order, so that what happened in them is in the history. All times are nanoseconds since 1970.
"""

from __future__ import annotations

from typing import Final

from collector.monitor.alerts.measured import HOUR, MINUTE
from collector.monitor.alerts.rules import AlertRule

MOST: Final = HOUR
"""What is longer ago is left out."""
LATE: Final = 5 * MINUTE
"""People are not told of what began and ended longer ago than this; see `docs/adr/0023-missed-minutes.md`."""


def missed_since(evaluated: int, current: int) -> range:
    """The whole minutes between the last one that was evaluated and the current one, as far as they matter."""
    return range(max(evaluated + MINUTE, current - MOST), current, MINUTE)


def fires_where_spans_are_missing(rule: AlertRule) -> bool:
    """Whether that spans are missing can make a rule fire.

    Such a rule says nothing of a minute that was missed: spans may be missing because we were, and then nobody else was at fault.
    """
    return rule.no_data == "breach" or rule.condition.misses_spans
