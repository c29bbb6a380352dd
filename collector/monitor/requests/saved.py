"""Requests that are kept, to be sent when somebody wants to see what comes of them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, field_validator

from collector.control.objects import Kind, ObjectModel
from collector.monitor.expectations import Expectations
from collector.monitor.requests.exchange import MOST_REDIRECTS
from collector.monitor.requests.request import AnyRequest
from config.values import Duration

LONGEST_TIMEOUT: Final = Duration.parse("1m")


class SavedRequest(ObjectModel):
    """What is sent, and what is expected of the answer."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """By which people know it."""
    request: AnyRequest
    """What is sent."""
    service: Annotated[str, Field(max_length=256)] = ""
    """The name of the service that is asked, as failure rules have it; the host of the URL where it is empty."""
    expectations: Expectations = Expectations()
    """What an answer must be like to count as a success. Of an answer over gRPC, the body is its message as JSON, and `status`
    does not count: `expectedStatus` of the request says what it must be."""
    follow_redirects: Annotated[int, Field(ge=0, le=MOST_REDIRECTS)] = 0
    """So many redirects of HTTP are followed, each to where requests may be sent."""
    timeout: Duration = Duration.parse("10s")
    """How long it may take, redirects included."""

    @field_validator("timeout")
    @classmethod
    def _possible(cls, value: Duration) -> Duration:
        if not 0 < value <= LONGEST_TIMEOUT:
            raise ValueError(f"must be longer than 0s, and at most {LONGEST_TIMEOUT}")
        return value


SAVED_REQUESTS: Final = Kind("saved_request", SavedRequest, lambda saved: saved.name)
