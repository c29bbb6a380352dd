"""Which listeners are open to everybody, and which may be."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from config.exposure import open_listeners
from config.load import parse
from config.model import Config
from config.problems import ConfigError
from config.values import is_loopback

TOKENS = {"tokens": [{"name": "a", "token_file": "a", "role": "admin"}]}
AUTH = {"auth": {"authenticator": "tokens"}}
PAIR = {"cert_file": "a", "key_file": "b"}
MUTUAL = {"tls": {**PAIR, "client_ca_file": "c"}}


def load(http: dict[str, Any], exporter: dict[str, Any] | None = None) -> Config:
    extensions = {"tokens": TOKENS} if "auth" in http else {}
    document = {
        "receivers": {"otlp": {"protocols": {"http": http}}},
        "exporters": {"clickhouse": exporter},
        "extensions": extensions,
        "service": {
            "extensions": list(extensions),
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["clickhouse"]}},
        },
    }
    return parse(yaml.safe_dump(document).encode(), {}, "collector.yaml")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com", "127.0.0.1.example.com", "127.1", "2130706433"],
)
def test_everything_else_is_beyond_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("embedded", "warned"),
    [({}, False), ({"listen": ":8123", "tls": PAIR}, False), ({"listen": ":8123"}, True)],
)
def test_a_database_beyond_this_machine_in_clear_text_is_warned_of(embedded: dict[str, Any], warned: bool) -> None:
    config = load({}, {"embedded": {**embedded, "users": [{"name": "a", "password": "b"}]}})
    assert [key for key, _ in open_listeners(config)] == ["exporters.clickhouse.embedded"] * warned


@pytest.mark.parametrize("endpoint", ["0.0.0.0:4318", "[::]:4318", ":4318", "collector.internal:4318", "10.0.0.1:0"])
@pytest.mark.parametrize("keys", [{}, {"tls": PAIR}])
def test_a_listener_for_everybody_is_refused(endpoint: str, keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="beyond this machine, and lets in whoever comes"):
        load({"endpoint": endpoint, **keys})


@pytest.mark.parametrize(
    ("keys", "warnings"),
    [
        ({"endpoint": "localhost:4318"}, []),
        ({"transport": "unix", "endpoint": "/run/o.sock"}, []),
        ({"endpoint": "0.0.0.0:4318", **AUTH, "tls": PAIR}, []),
        ({"endpoint": "0.0.0.0:4318", **MUTUAL}, []),
        (
            {"endpoint": "0.0.0.0:4318", **AUTH},
            ["tokens and spans travel in clear text; add tls, unless a proxy in front encrypts"],
        ),
        ({"endpoint": "0.0.0.0:4318", "insecure_listen": True}, ["whoever reaches it is let in"]),
    ],
)
def test_other_listeners_are_served_some_with_a_warning(keys: dict[str, Any], warnings: list[str]) -> None:
    assert list(open_listeners(load(keys))) == [("receivers.otlp.protocols.http", warning) for warning in warnings]
