"""The query port's guard takes any text for a host or an origin."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.api.guard import Guard
from collector.api.problems import Problem

# Any text, and what looks like addresses.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text("[]:@/.%\\#?localhst127. \t", max_size=30),
)


async def answer(_: web.Request) -> web.Response:
    return web.Response()


def outcome(guard: Guard, **headers: str) -> int:
    """The status that a request gets."""
    request = make_mocked_request("GET", "/api/v1/services", headers={name: value for name, value in headers.items() if value})
    try:
        response = asyncio.run(guard.middleware()(request, answer))
    except Problem as problem:
        return problem.response().status
    return response.status


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_any_host_and_origin_is_served_or_refused(host: str, origin: str) -> None:
    guard = Guard(checks_hosts=True)
    assert outcome(guard, Host=host, Origin=origin) in (200, 403)
    assert outcome(guard, Origin=origin) == (403 if origin else 200)
    assert outcome(guard, Host="evil.example", Origin=origin) == 403


@settings(deadline=None)
@given(TEXTS)
def test_only_names_of_loopback_are_served_there(prefix: str) -> None:
    assert outcome(Guard(checks_hosts=True), Host=f"{prefix}.evil.example") == 403
    assert outcome(Guard(hosts=["evil.example"], checks_hosts=True), Host=f"{prefix}x.evil.example") == 403
