"""Who is let in to the embedded ClickHouse, from where, and on whose web page's behalf."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from exporters.embedded.accounts import Account, Accounts, Reader, password_digest
from exporters.embedded.errors import DatabaseError
from exporters.embedded.limits import ReaderLimits
from exporters.embedded.origin import foreign, is_this_machine
from exporters.embedded.request import read_parameters

_ACCOUNTS = Accounts(
    [
        Account(),
        Account("owner", password_digest("secret"), None),
        Account("ann", password_digest("pw"), Reader(("a", "b"), ReaderLimits(max_queries=3))),
    ]
)
_TEXTS = st.text(st.sampled_from(string.printable + "éж\N{OLD ITALIC LETTER A}"), max_size=20)
_NAMES = st.sampled_from(["default", "owner", "ann", "", "x"])


def _admitted(user: str, password: str, *, from_this_machine: bool) -> Account:
    parameters = read_parameters([("user", user), ("password", password)], {})
    return _ACCOUNTS.admit(parameters, {}, from_this_machine=from_this_machine)


def test_accounts_survive_the_way_into_another_process() -> None:
    assert list(Accounts.from_json(_ACCOUNTS.to_json())) == list(_ACCOUNTS)
    assert "secret" not in _ACCOUNTS.to_json()


def test_without_a_password_one_has_to_be_on_this_machine() -> None:
    assert _admitted("default", "", from_this_machine=True).reader == Reader()
    with pytest.raises(DatabaseError, match="Authentication failed"):
        _admitted("default", "", from_this_machine=False)
    assert _admitted("ann", "pw", from_this_machine=False).name == "ann"


@given(
    st.dictionaries(st.sampled_from(["Authorization", "X-ClickHouse-User", "X-ClickHouse-Key"]), _TEXTS | _NAMES),
    st.lists(st.tuples(st.sampled_from(["user", "password", "quota_key"]), _TEXTS | _NAMES), max_size=4),
)
def test_nobody_gets_in_by_chance(headers: dict[str, str], parameters: list[tuple[str, str]]) -> None:
    given_names = CIMultiDict(headers)
    with contextlib.suppress(DatabaseError):
        account = _ACCOUNTS.admit(read_parameters(parameters, given_names), given_names, from_this_machine=True)
        assert account.name == "default"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_addresses_are_this_machine(address: str) -> None:
    assert is_this_machine(address)


@pytest.mark.parametrize("address", [None, "", "10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "localhost", "0.0.0.0"])
def test_other_addresses_are_not(address: str | None) -> None:
    assert not is_this_machine(address)


@given(st.dictionaries(st.sampled_from(["Host", "Origin", "Sec-Fetch-Site"]), _TEXTS))
def test_a_strange_host_or_origin_is_refused(headers: dict[str, str]) -> None:
    reason = foreign(CIMultiDict(headers), "http", ["spans.example.com"])
    if headers.get("Origin") is not None:
        # None of these texts is a URL.
        assert reason
    assert "\n" not in reason
