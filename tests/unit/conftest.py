"""What several unit tests share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Logging is the process's own: other tests get it back as it was."""
    handlers, level = logging.root.handlers[:], logging.root.level
    configuration = structlog.get_config()
    yield
    structlog.configure(**configuration)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
