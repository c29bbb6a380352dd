"""Texts that several kinds of objects have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from collector.egress.destination import EgressRefused, read_url


def printable(text: str) -> str:
    """The text, which must be of visible characters and spaces; raises ValueError for another one."""
    if not text.isprintable():
        raise ValueError("must be of visible characters and spaces")
    return text


def _url(text: str) -> str:
    try:
        read_url(text)
    except EgressRefused as refusal:
        raise ValueError(str(refusal)) from None
    return text


Url = Annotated[str, Field(max_length=4000), AfterValidator(_url)]
"""An absolute URL of HTTP, without user and password. Whether anything may be sent there, is found out when it is."""
