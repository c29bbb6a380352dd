"""Who a caller is, by what it shows, whatever that is."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from collector.access import Gate
from collector.errors import Refused
from collector.tokens import Tokens
from config.access import TokensExtension, is_workspace_name

SHOP, CART = "shop-token-0123456789", "cart-token-0123456789"


def tokens(*rows: dict[str, object], **keys: object) -> Tokens:
    return Tokens(TokensExtension.model_validate({"tokens": list(rows), **keys}), "extensions.tokens")


KNOWN = tokens(
    {"name": "shop", "token": SHOP, "role": "ingest", "workspaces": ["shop"]},
    {"name": "cart", "token": f"sha256:{hashlib.sha256(CART.encode()).hexdigest().upper()}", "role": "read"},
)
GATE = Gate("ingest", KNOWN)


def basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


def name_of(authorization: str, known: Tokens = KNOWN) -> str:
    principal = known.by_header(authorization)
    return principal.name if principal else ""


def test_bearers_and_passwords_are_told_apart() -> None:
    assert name_of(f"Bearer {SHOP}") == "shop"
    assert name_of(f"BEARER {CART}") == "cart"
    assert name_of(basic(f"cart:{CART}".encode())) == "cart"
    assert name_of(basic(f"shop:{CART}".encode())) == ""
    assert name_of(basic(CART.encode())) == ""
    assert name_of(CART) == ""


# What a header can hold once it was read: any bytes, as text that stands for them.
HEADERS = st.one_of(st.text(), st.binary(max_size=200).map(lambda value: value.decode(errors="surrogateescape")))


@settings(deadline=None)
@given(st.sampled_from(["Bearer ", "Basic ", "bearer", "basic  ", ""]), HEADERS)
def test_any_header_is_nobodys_or_somebodys_and_never_a_fault(scheme: str, rest: str) -> None:
    assert name_of(scheme + rest) == ""


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_pair_of_basic_authentication_is_nobodys(pair: bytes) -> None:
    assert name_of(basic(pair)) == ""


def admitted(gate: Gate, headers: dict[str, str]) -> str:
    """The workspace that a request is let into, or the kind of the refusal, which must be fit to be shown."""
    try:
        return gate.admit(headers).workspace
    except Refused as error:
        return error.kind if str(error).isprintable() else "not printable"


@settings(deadline=None)
@given(HEADERS, HEADERS)
def test_any_workspace_header_is_followed_or_refused(workspace: str, organisation: str) -> None:
    headers = {"authorization": f"Bearer {SHOP}", "x-workspace-id": workspace, "x-scope-orgid": organisation}
    assert admitted(GATE, headers) in ("shop", "invalid", "permission_denied")
    names = {name for name in (workspace, organisation) if name} or {"default"}
    expected = names.pop() if len(names) == 1 and all(map(is_workspace_name, names)) else "invalid"
    assert admitted(Gate("read"), headers) == expected


def test_a_token_that_several_callers_have_is_nobodys(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file in files:
        file.write_text(SHOP)
    rows = [{"name": file.name, "token_file": str(file), "role": "read"} for file in files]
    known = tokens(*rows, reload_interval="1us")
    assert name_of(f"Bearer {SHOP}", known) == ""
    for file in files[1:]:
        file.write_text(CART + file.name)
    assert name_of(f"Bearer {SHOP}", known) == "a"


def test_a_token_may_be_replaced_without_a_gap(tmp_path: Path) -> None:
    file = tmp_path / "new"
    file.write_text(CART)
    known = tokens({"name": "shop", "token": SHOP, "token_file": str(file), "role": "ingest"})
    assert name_of(f"Bearer {SHOP}", known) == name_of(f"Bearer {CART}", known) == "shop"


@pytest.mark.parametrize("between", ["", "short", None])
def test_a_file_that_is_being_replaced_keeps_its_token_for_a_moment_and_never_for_good(
    tmp_path: Path, between: str | None
) -> None:
    now_s = 0.0
    file = tmp_path / "token"
    file.write_text(SHOP)
    row = {"name": "shop", "token_file": str(file), "role": "ingest"}
    known = Tokens(TokensExtension.model_validate({"tokens": [row]}), "extensions.tokens", lambda: now_s)

    def names() -> list[str]:
        return [name_of(f"Bearer {token}", known) for token in (SHOP, CART)]

    def cut() -> None:
        file.unlink() if between is None else file.write_text(between)

    cut()
    now_s = 10.0
    with capture_logs() as lines:
        assert names() == ["shop", ""]
    assert [line["event"] for line in lines] == ["token_missing", "files_reloaded"]
    file.write_text(CART)
    now_s = 11.0
    assert names() == ["", "shop"]
    cut()
    now_s = 21.0
    assert names() == ["", "shop"]
    now_s = 22.0
    assert names() == ["", ""]
    now_s = 1000.0
    assert names() == ["", ""]
    file.write_text(SHOP)
    now_s = 1010.0
    assert names() == ["shop", ""]


@pytest.mark.parametrize("content", ["", "short", "sha256:xyz", "two words of some length", "\xff" * 20, "x" * 2000])
def test_a_file_without_a_token_lets_nobody_in(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content, encoding="latin-1")
    known = tokens({"name": "shop", "token_file": str(file), "role": "ingest"})
    assert name_of(f"Bearer {content}", known) == ""


def test_certificates_are_looked_up_by_any_of_their_names() -> None:
    known = tokens({"name": "gateway", "certificate": "gateway.internal", "role": "ingest"})
    assert known.by_certificate(["other", "gateway.internal"]) is not None
    assert known.by_certificate(["other"]) is None
    assert known.by_certificate([]) is None
