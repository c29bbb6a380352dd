"""Nothing is sent to where it must not go, however the destination is written and wherever its name leads."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import AsyncIterator, Callable, Sequence

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from collector.egress.addresses import Kind, embedded, kind_of
from collector.egress.connector import GuardedConnector
from collector.egress.destination import Destination, EgressRefused, read_url
from collector.egress.policy import Policy, for_notifications, for_targets
from collector.egress.resolving import resolve
from config.destinations import AllowedDestination

NOTIFICATIONS = for_notifications((), "allowed")
TARGETS = for_targets((), "allowed")

PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")
LOOPBACK = ("127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1")
PRIVATE = (
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "192.0.2.1",
    "fc00::1",
    "fec0::1",
    "::ffff:10.0.0.1",
    "64:ff9b:1::a00:1",
)
LINK_LOCAL = ("169.254.1.1", "fe80::1", "::ffff:169.254.1.1")
METADATA = ("169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16")
NEVER = ("0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1", "::ffff:0.0.0.0")


def refused(policy: Policy, host: str, port: int = 443, address: str | None = None) -> EgressRefused | None:
    destination = Destination.of(host, port)
    try:
        policy.check(destination, ipaddress.ip_address(address or host))
    except EgressRefused as refusal:
        return refusal
    return None


async def leads_to(*addresses: str) -> tuple[str, ...]:
    return addresses


def test_notifications_go_to_public_addresses_alone() -> None:
    assert [host for host in PUBLIC if refused(NOTIFICATIONS, host)] == []
    for kind, hosts in (
        (Kind.LOOPBACK, LOOPBACK),
        (Kind.PRIVATE, PRIVATE),
        (Kind.LINK_LOCAL, LINK_LOCAL),
        (Kind.METADATA, METADATA),
    ):
        for host in hosts:
            refusal = refused(NOTIFICATIONS, host)
            assert refusal is not None, host
            assert (refusal.rule, refusal.kind) == ("address", kind), host
            assert "name it in allowed" in str(refusal)
    assert [host for host in NEVER if not refused(NOTIFICATIONS, host)] == []


def test_requests_and_load_tests_go_to_this_machine_alone() -> None:
    assert [host for host in LOOPBACK if refused(TARGETS, host)] == []
    assert [host for host in (*PUBLIC, *PRIVATE, *LINK_LOCAL, *METADATA, *NEVER) if not refused(TARGETS, host)] == []


def test_rules_allow_what_they_name_and_nothing_beside_it() -> None:
    policy = for_notifications(
        ("hooks.internal:8443", "*.corp.example", "10.1.0.0/16", "[fc00::/8]:8000-8100", "169.254.0.0/16"), "x"
    )
    assert refused(policy, "hooks.internal", 8443, "10.9.9.9") is None
    assert refused(policy, "hooks.internal", 8443, "127.0.0.1") is None
    assert refused(policy, "hooks.internal", 8444, "10.9.9.9") is not None
    assert refused(policy, "a.b.corp.example", 1, "192.168.7.7") is None
    assert refused(policy, "corp.example", 443, "192.168.7.7") is not None
    assert refused(policy, "whatever.example", 25, "10.1.200.3") is None
    assert refused(policy, "10.1.200.3", 25) is None
    assert refused(policy, "::ffff:10.1.200.3", 25) is None
    assert refused(policy, "10.2.0.1", 443) is not None
    assert refused(policy, "fc00::5", 8100) is None
    assert refused(policy, "fc00::5", 8101) is not None
    # No name vouches for a metadata service, nor does a network that it happens to be in.
    assert refused(policy, "evil.corp.example", 80, "169.254.169.254") is not None
    assert refused(policy, "evil.corp.example", 80, "169.254.7.7") is None
    assert refused(for_notifications(("169.254.169.254",), "x"), "169.254.169.254", 80) is None
    assert refused(for_notifications(("0.0.0.0/0", "::/0", "*"), "x"), "0.0.0.0", 80) is not None


def test_ports_of_other_protocols_need_a_rule() -> None:
    refusal = refused(NOTIFICATIONS, "8.8.8.8", 25)
    assert refusal is not None
    assert (refusal.rule, str(refusal)) == (
        "port",
        "8.8.8.8:25 is a port of another protocol than HTTP; name it in allowed to allow it",
    )
    assert [port for port in (80, 443, 1024, 9093, 65535) if refused(NOTIFICATIONS, "8.8.8.8", port)] == []
    assert refused(for_notifications(("8.8.8.8:25",), "x"), "8.8.8.8", 25) is None


def test_the_collectors_own_store_needs_a_rule_with_its_port() -> None:
    refusal = refused(for_targets((), "allowed", [8123]), "localhost", 8123, "127.0.0.1")
    assert refusal is not None
    assert refusal.rule == "own_port"
    assert refused(for_targets(("localhost", "127.0.0.0/8"), "x", [8123]), "localhost", 8123, "127.0.0.1") is not None
    assert refused(for_targets(("localhost:8123",), "x", [8123]), "localhost", 8123, "127.0.0.1") is None
    assert refused(for_targets((), "x", [8123]), "localhost", 8124, "127.0.0.1") is None


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("ftp://example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("//example.com/", "scheme"),
        ("https:///path", "host"),
        ("https://user@example.com/", "user"),
        ("https://user:secret@example.com/", "user"),
        ("https://:@example.com/", "user"),
        ("http://example.com:0/", "port"),
        ("http://example.com:65536/", "url"),
        ("http://example.com:-1/", "url"),
        ("http://2130706433/", "host"),
        ("http://0x7f000001/", "host"),
        ("http://0177.0.0.1/", "host"),
        ("http://0x7f.0.0.1/", "host"),
        ("http://127.1/", "host"),
        ("http://127.0.0.1.2/", "host"),
        ("http://1.2.3.4.0x/", "host"),
        ("http://%31%32%37.0.0.1/", "host"),
        ("http://[fe80::1%25eth0]/", "host"),
        ("http://[::1/", "url"),
        ("http://exa mple.com/", "url"),
        ("http://example.com\\@127.0.0.1/", "url"),
        ("http://example.com/\r\nX-Header: 1", "url"),
        ("http://example.com\t/", "url"),
        (" http://example.com/", "url"),
        ("http://-example.com/", "host"),
        ("http://exa..mple.com/", "host"),
        ("http://" + "a" * 64 + ".com/", "host"),
        ("", "scheme"),
    ],
)
def test_urls_that_can_be_misread_are_refused_with_the_rule_that_says_so(url: str, rule: str) -> None:
    with pytest.raises(EgressRefused) as refusal:
        read_url(url)
    assert refusal.value.rule == rule
    assert "secret" not in str(refusal.value) or rule == "user"


def test_urls_are_read_as_the_client_reads_them() -> None:
    assert Destination.of_url(read_url("https://Example.COM./a?b#c")) == Destination("example.com", 443)
    assert Destination.of_url(read_url("https://bücher.example/")).host == "xn--bcher-kva.example"
    assert Destination.of_url(read_url("http://[::FFFF:7f00:1]:81/")).address == ipaddress.ip_address("::ffff:127.0.0.1")
    # What people's browsers take for digits and dots.
    assert refused(NOTIFICATIONS, Destination.of_url(read_url("http://\uff11\uff12\uff17\u30020\u30020\u30021/")).host)


@given(st.ip_addresses())
@example(ipaddress.ip_address("::"))
@example(ipaddress.ip_address("::1"))
def test_an_address_is_public_or_needs_a_rule(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    inner = embedded(address)
    is_public = inner.is_global and not inner.is_multicast and not inner.is_reserved and kind_of(address) is not Kind.METADATA
    if kind_of(address) is Kind.PUBLIC:
        assert is_public
    elif address.version == 4:
        assert not is_public
    assert (refused(NOTIFICATIONS, str(address)) is None) == (kind_of(address) is Kind.PUBLIC)
    assert (refused(TARGETS, str(address)) is None) == (kind_of(address) is Kind.LOOPBACK)


@given(st.ip_addresses(v=4), st.sampled_from(("::ffff:0:0", "::", "64:ff9b::")))
def test_an_address_within_another_is_no_other(address: ipaddress.IPv4Address, prefix: str) -> None:
    outer = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | int(address))
    if int(outer) <= 1:
        return
    assert kind_of(outer) is kind_of(address)
    assert (refused(NOTIFICATIONS, str(outer)) is None) == (refused(NOTIFICATIONS, str(address)) is None)


@given(st.text(max_size=40) | st.from_regex(r"(0x|0)?[0-9a-fx.]{1,20}", fullmatch=True))
def test_a_host_is_refused_or_is_a_name_or_the_address_that_everybody_reads(text: str) -> None:
    try:
        destination = Destination.of(text, 80)
    except EgressRefused:
        return
    if destination.address is None:
        # As the WHATWG has it: what ends in a number is an IPv4 address, or an error.
        assert not re.fullmatch(r"\d+|0x[0-9a-f]*", destination.host.rpartition(".")[2])
    else:
        assert destination.address == ipaddress.ip_address(text.removesuffix("."))


@given(st.text(max_size=60).map(lambda text: f"http://{text}") | st.text(max_size=60))
def test_any_text_is_a_url_with_a_destination_or_refused(text: str) -> None:
    try:
        url = read_url(text)
    except EgressRefused:
        return
    assert Destination.of_url(URL(str(url))) == Destination.of_url(url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.1.2.3/8",
        "example.com:0",
        "example.com:70000",
        "example.com:90-80",
        "127.1",
        "http://example.com",
        "a b",
        "[::1",
        "a/b",
        "::1%eth0",
    ],
)
def test_a_rule_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must "):
        AllowedDestination.parse(text)


async def test_all_addresses_of_a_name_must_be_allowed() -> None:
    destination = Destination.of("mixed.example", 443)
    with pytest.raises(EgressRefused, match="this machine"):
        await resolve(NOTIFICATIONS, destination, lambda *_: leads_to("8.8.8.8", "127.0.0.1"))
    found = await resolve(NOTIFICATIONS, destination, lambda *_: leads_to("8.8.8.8", "2606:2800:220:1::1", "8.8.8.8"))
    assert [str(address) for address in found] == ["8.8.8.8", "2606:2800:220:1::1"]
    with pytest.raises(OSError, match=r"mixed\.example has no addresses"):
        await resolve(NOTIFICATIONS, destination, lambda *_: leads_to())


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    """Answers with the path; `/to?url=…` sends on to another URL."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/to":
            raise web.HTTPFound(request.query["url"])
        return web.Response(text=request.path)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as running:
        yield running


@pytest.fixture
async def session_of() -> AsyncIterator[Callable[..., aiohttp.ClientSession]]:
    opened = []

    def make(policy: Policy, *answers: Sequence[str]) -> aiohttp.ClientSession:
        told = iter(answers)

        async def lookup(_: str, __: int) -> Sequence[str]:
            return next(told)

        opened.append(aiohttp.ClientSession(connector=GuardedConnector(policy, lookup)))
        return opened[-1]

    yield make
    for session in opened:
        await session.close()


async def test_a_connection_goes_to_the_address_that_was_checked(
    server: TestServer, session_of: Callable[..., aiohttp.ClientSession]
) -> None:
    # The name leads here once, and elsewhere when it is asked for again: nobody asks again for this connection, and the next one
    # is checked anew.
    session = session_of(TARGETS, ["127.0.0.1"], ["10.0.0.1"])
    url = f"http://rebinding.example:{server.port}"
    async with session.get(f"{url}/here", headers={"Connection": "close"}) as answer:
        assert await answer.text() == "/here"
    with pytest.raises(EgressRefused, match="a private address"):
        await session.get(f"{url}/there")


async def test_redirects_and_addresses_are_checked_like_everything(
    server: TestServer, session_of: Callable[..., aiohttp.ClientSession]
) -> None:
    session = session_of(for_notifications(("allowed.example",), "x"), ["127.0.0.1"], ["127.0.0.1"])
    with pytest.raises(EgressRefused) as refusal:
        await session.get(f"http://127.0.0.1:{server.port}/")
    assert refusal.value.kind is Kind.LOOPBACK
    for target in (f"http://127.0.0.1:{server.port}/", "http://169.254.169.254/latest/meta-data", "http://2130706433/"):
        with pytest.raises((EgressRefused, aiohttp.InvalidURL)):
            await session.get(URL(f"http://allowed.example:{server.port}/to").with_query(url=target))
    async with session.get(URL(f"http://allowed.example:{server.port}/to").with_query(url="/same")) as answer:
        assert await answer.text() == "/same"


async def test_proxies_are_not_used(
    server: TestServer, session_of: Callable[..., aiohttp.ClientSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(TARGETS)
    with pytest.raises(EgressRefused, match="without a proxy"):
        await session.get("http://10.0.0.1/", proxy=str(server.make_url("/")))
    monkeypatch.setenv("http_proxy", str(server.make_url("/")))
    with pytest.raises(EgressRefused, match="a private address"):
        await session.get("http://10.0.0.1/")
