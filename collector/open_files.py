"""How many files the process may have open: each connection is one, and each column of a table that ClickHouse reads."""

from __future__ import annotations

import resource
from typing import Final

_MOST: Final = 1 << 20


def allow_many() -> None:
    """Raise the soft limit as far as the hard one lets us, for this process and those that it starts.

    The soft limit, often 1024, is low for programs that use select(2). There are none here.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
