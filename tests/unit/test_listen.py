"""Taken ports are found before anything slow is done."""

from __future__ import annotations

import socket

import pytest

from collector.receivers.listen import ListenError, check_free

SETTING = "receivers.otlp.protocols.grpc.endpoint"


def test_net_16_a_taken_port_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port}: it is in use.*change {SETTING}"):
            check_free("127.0.0.1", port, SETTING)


def test_a_free_port_and_any_port_are_no_trouble() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    check_free("127.0.0.1", port, SETTING)
    check_free("localhost", 0, SETTING)
