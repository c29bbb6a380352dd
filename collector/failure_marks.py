"""What marks spans of requests that failed on purpose: attributes, whoever has injected the failure."""

from __future__ import annotations

from typing import Final

RULE_ATTRIBUTE: Final = "spanhouse.failure.rule"
TYPE_ATTRIBUTE: Final = "spanhouse.failure.type"
"""The id of the failure rule that has struck, and the type of its failure."""


def marks(rule: str, failure: str) -> dict[str, str]:
    """The attributes, with the rule and the type of the failure."""
    return {RULE_ATTRIBUTE: rule, TYPE_ATTRIBUTE: failure}
