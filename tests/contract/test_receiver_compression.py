"""Receiver contract, section COMP, over HTTP."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator

import cramjam
import lz4.frame
import orjson
import pytest
import zstandard
from google.rpc import status_pb2

from collector.receivers.http_body import decompress
from collector.receivers.settings import CONTENT_CODINGS, HttpSettings
from proto.errors import MalformedRequest
from tests.support.receivers import V1, Receivers, post, raw_http, receivers


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def lz4_frame(data: bytes) -> bytes:
    compressed: bytes = lz4.frame.compress(data, content_checksum=True)
    return compressed


def snappy_block(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def snappy_frames(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress(data))


COMPRESSORS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zlib": zlib.compress,
    "zstd": zstd,
    "lz4": lz4_frame,
    "snappy": snappy_block,
    "x-snappy-framed": snappy_frames,
}
CODINGS_OF_MEMBERS = [coding for coding in CONTENT_CODINGS if coding != "snappy"]
"""Those of which several may follow each other; a block of Snappy says at its beginning how much it holds."""
BROKEN_CHECKSUM = gzip.compress(V1, mtime=0)[:-8] + b"\0\0\0\0" + gzip.compress(V1, mtime=0)[-4:]


@pytest.fixture
async def both() -> AsyncIterator[Receivers]:
    async with receivers() as both:
        yield both


@pytest.mark.parametrize("coding", CONTENT_CODINGS)
async def test_comp_01_to_04_every_content_coding_is_undone(both: Receivers, coding: str) -> None:
    reply = await raw_http(both.http.port, post(COMPRESSORS[coding](V1), Content_Encoding=coding))
    assert reply.status == 200
    assert both.consumer.names == ["n"]


@pytest.mark.parametrize("coding", ["identity", ""])
async def test_comp_02_identity_and_an_empty_value_mean_uncompressed(both: Receivers, coding: str) -> None:
    assert (await raw_http(both.http.port, post(V1, Content_Encoding=coding))).status == 200
    assert both.consumer.names == ["n"]


async def test_comp_03_deflate_without_its_container_is_undone_too(both: Receivers) -> None:
    assert (await raw_http(both.http.port, post(raw_deflate(V1), Content_Encoding="deflate"))).status == 200
    assert both.consumer.names == ["n"]


async def test_comp_04_snappy_in_frames_is_known_by_its_beginning(both: Receivers) -> None:
    assert (await raw_http(both.http.port, post(snappy_frames(V1), Content_Encoding="snappy"))).status == 200
    assert both.consumer.names == ["n"]


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "nosuch"])
async def test_comp_05_an_unknown_coding_is_final_and_named(both: Receivers, coding: str) -> None:
    reply = await raw_http(both.http.port, post(gzip.compress(V1), Content_Encoding=coding))
    status = status_pb2.Status.FromString(reply.body)
    assert reply.status == 400
    assert status.message.startswith(f"unsupported Content-Encoding: {coding}")


async def test_comp_05_a_coding_that_is_switched_off_is_unknown() -> None:
    async with receivers(http=HttpSettings(compression_algorithms=())) as both:
        assert (await raw_http(both.http.port, post(gzip.compress(V1), Content_Encoding="gzip"))).status == 400


async def test_comp_06_coding_names_are_case_insensitive(both: Receivers) -> None:
    assert (await raw_http(both.http.port, post(gzip.compress(V1), Content_Encoding="GZIP"))).status == 200


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", V1),
        ("gzip", b""),
        ("gzip", gzip.compress(V1, mtime=0)[:5]),
        ("gzip", gzip.compress(V1, mtime=0)[:-1]),
        ("gzip", BROKEN_CHECKSUM),
        ("gzip", gzip.compress(V1, mtime=0) + b"junk"),
        ("zstd", b"garbage"),
        ("zstd", zstd(V1)[:-3]),
        ("zstd", b""),
        ("lz4", b"garbage"),
        ("lz4", lz4_frame(V1)[:-1]),
        ("lz4", lz4_frame(V1)[:-4] + b"\0\0\0\0"),
        ("zlib", raw_deflate(V1)),
        ("snappy", b"garbage"),
        ("snappy", b""),
        ("snappy", snappy_block(V1)[:-1]),
        ("snappy", snappy_block(V1) + snappy_block(V1)),
        ("x-snappy-framed", b""),
        ("x-snappy-framed", snappy_block(V1)),
        ("x-snappy-framed", snappy_frames(V1)[:-1]),
        ("x-snappy-framed", snappy_frames(V1)[:14] + b"\0\0\0\0" + snappy_frames(V1)[18:]),
        ("deflate", b"garbage"),
        ("deflate", zlib.compress(V1)[:-1]),
    ],
)
async def test_comp_07_a_body_that_is_not_in_its_coding_is_400(both: Receivers, coding: str, body: bytes) -> None:
    reply = await raw_http(both.http.port, post(body, Content_Encoding=coding))
    assert (reply.status, status_pb2.Status.FromString(reply.body).code) == (400, 3)
    assert not both.consumer.batches


async def test_comp_07_the_error_is_in_the_encoding_of_the_request(both: Receivers) -> None:
    request = post(b'{"key":"value"}', media_type="application/json", Content_Encoding="gzip")
    reply = await raw_http(both.http.port, request)
    assert reply.status == 400
    assert orjson.loads(reply.body)["code"] == 3
    assert orjson.loads(reply.body)["message"]


@pytest.mark.parametrize("coding", CODINGS_OF_MEMBERS)
async def test_comp_08_all_members_are_decoded(both: Receivers, coding: str) -> None:
    compress = COMPRESSORS[coding]
    reply = await raw_http(both.http.port, post(compress(V1[:20]) + compress(V1[20:]), Content_Encoding=coding))
    assert reply.status == 200
    assert both.consumer.names == ["n"]


@pytest.mark.parametrize("coding", CODINGS_OF_MEMBERS)
def test_comp_08_members_of_any_size_are_decoded_to_the_last_byte(coding: str) -> None:
    parts = [b"", b"x", bytes(range(256)) * 5000, b"y" * 3_000_000, b"", b"z"]
    body = b"".join(map(COMPRESSORS[coding], parts))
    assert decompress(coding, body, 1 << 24) == b"".join(parts)


def test_comp_08_a_storm_of_empty_members_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="members"):
        decompress("gzip", gzip.compress(b"") * 70_000, 1 << 20)
    with pytest.raises(MalformedRequest, match="chunks"):
        decompress("x-snappy-framed", snappy_frames(b"") + b"\xfe\0\0\0" * 70_000, 1 << 20)


@pytest.mark.parametrize("accepted", ["", "gzip, deflate", "br"])
async def test_comp_09_answers_are_not_compressed(both: Receivers, accepted: str) -> None:
    reply = await raw_http(both.http.port, post(V1, Accept_Encoding=accepted))
    assert "content-encoding" not in reply.headers


async def test_comp_04_a_large_body_is_decompressed_like_a_small_one(both: Receivers) -> None:
    spans = 5000
    assert (await raw_http(both.http.port, post(gzip.compress(V1 * spans, 0), Content_Encoding="gzip"))).status == 200
    assert both.consumer.spans == spans
