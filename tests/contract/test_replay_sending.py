"""How stored requests get to receivers: over gRPC and HTTP, and to sockets in the file system."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest

from collector.cli import INTERRUPTED, UserError
from collector.receivers.settings import GrpcSettings
from collector.replay.senders import connect
from tests.support.receivers import V1, receivers
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]


async def test_stored_requests_are_sent_to_a_unix_socket_over_grpc_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "grpc.sock")
    async with receivers(grpc=GrpcSettings(unix_path=path)) as both:
        for endpoint in (f"unix://{path}", f"unix:{path}"):
            async with connect("grpc", endpoint) as sender:
                assert await sender.send(V1) == 0
            with pytest.raises(UserError, match=f"{path} is a socket, .* give --protocol grpc"):
                async with connect("http", endpoint):
                    pass
        assert both.consumer.spans == 2
    with pytest.raises(UserError, match=f"nobody takes OTLP over grpc at unix:{path}"):
        async with connect("grpc", f"unix://{path}"):
            pass


async def test_a_replay_that_is_interrupted_tells_what_it_has_sent(tmp_path: Path) -> None:
    (tmp_path / "one.pb").write_bytes(V1)
    async with receivers() as both:
        words = ("replay", str(tmp_path), "--repeat", "1000", "--rate", "1", "--endpoint", f"127.0.0.1:{both.grpc.port}")
        replay = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "collector", *words, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        await until(lambda: both.consumer.spans > 0)
        replay.send_signal(signal.SIGINT)
        told, _ = await replay.communicate()
    assert replay.returncode == INTERRUPTED
    assert re.fullmatch(rb"\d spans sent in \d requests, 0 rejected, 0 failed\n", told)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_looking_for_a_receiver_is_no_request_that_fails_there(protocol: str) -> None:
    async with receivers() as both:
        port = both.grpc.port if protocol == "grpc" else both.http.port
        async with connect(protocol, f"127.0.0.1:{port}"):
            assert not both.counts.failed_requests
